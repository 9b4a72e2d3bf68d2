"""torchvision.io: libjpeg-turbo into a tensor, antialiased resize on uint8 tensors."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

from loading_peers.work import SIDE_PX, Array, Epoch, Work, epochs_of

PACKAGES = ("torchvision", "torch")


def antialias(work: Work) -> Epoch:
    """Full decode, antialiased bilinear resize."""
    torch.set_num_threads(1)

    def cut(data: bytes, box: tuple[int, int, int, int], flip: bool, out: Array) -> None:
        left, top, right, bottom = box
        encoded = torch.from_numpy(np.frombuffer(data, np.uint8))
        pixels = decode_jpeg(encoded, mode=ImageReadMode.RGB)[:, top:bottom, left:right]
        pixels = functional.resize(pixels, [SIDE_PX, SIDE_PX], antialias=True)
        out[...] = (pixels.flip(-1) if flip else pixels).permute(1, 2, 0).numpy()

    return epochs_of(work, cut)


VARIANTS = {"antialias": antialias}
