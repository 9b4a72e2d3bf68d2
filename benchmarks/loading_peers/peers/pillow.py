"""Pillow, and Pillow-SIMD, which is the same code built for AVX2 (in an environment of its own)."""

from __future__ import annotations

import io
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from PIL import Image

from loading_peers.work import SIDE_PX, Array, Epoch, Work, epochs_of


def _package() -> str:
    try:
        version("pillow-simd")
    except PackageNotFoundError:
        return "pillow"
    return "pillow-simd"


PACKAGES = (_package(),)


def crop(image: Image.Image, box: tuple[int, int, int, int], *, flip: bool) -> Image.Image:
    """What torchvision's RandomResizedCrop and RandomHorizontalFlip do to a Pillow image."""
    cut = image.convert("RGB").crop(box)
    cut = cut.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else cut


def cut(data: bytes, box: tuple[int, int, int, int], flip: bool, out: Array) -> None:
    """Full decode, antialiased bilinear resize."""
    out[...] = np.asarray(crop(Image.open(io.BytesIO(data)), box, flip=flip))


def antialias(work: Work) -> Epoch:
    """The plain loop."""
    return epochs_of(work, cut)


VARIANTS = {"antialias": antialias}
