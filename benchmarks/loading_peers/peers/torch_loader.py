"""torch's DataLoader over files, decoded by Pillow: what an ImageNet training script has.

torchvision's ImageFolder, RandomResizedCrop, ToTensor and Normalize, written out with the same
calls, so that torchvision need not be there. On one core it decodes in the calling process,
which is faster there than a worker; on more, one worker process a core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from loading_peers.peers.pillow import crop
from loading_peers.work import BATCH, MEAN, STD, Epoch, Work

PACKAGES = ("torch", "pillow")


class Photos(Dataset[torch.Tensor]):
    """The files with the items' boxes."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.mean = torch.tensor(MEAN).view(3, 1, 1)
        self.std = torch.tensor(STD).view(3, 1, 1)

    def __len__(self) -> int:
        return self.work.n_items

    def __getitem__(self, item: int) -> torch.Tensor:
        flip = bool(self.work.flips[item])
        with self.work.files[item % self.work.n_photos].open("rb") as file:
            image = crop(Image.open(file), self.work.box(item), flip=flip)
        pixels = torch.from_numpy(np.array(image, copy=True)).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div(255).sub_(self.mean).div_(self.std)


def options_of(work: Work) -> dict[str, Any]:
    """DataLoader's options: a worker process a core, kept for all epochs; none on one core."""
    n_workers = 0 if work.n_threads == 1 else work.n_threads
    return {"num_workers": n_workers, "persistent_workers": n_workers > 0}


def float32(work: Work) -> Epoch:
    """Batches float32 (n, 3, H, W), normalised."""
    torch.set_num_threads(1)
    loader = DataLoader(Photos(work), batch_size=BATCH, **options_of(work))
    return lambda: iter(loader)


VARIANTS = {"float32": float32}
