"""WebDataset: tar shards read in order, decoded by Pillow, through its WebLoader."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import numpy as np
import torch
import webdataset
from PIL import Image

from loading_peers.peers.pillow import crop
from loading_peers.peers.torch_loader import options_of
from loading_peers.work import BATCH, Epoch, Work

PACKAGES = ("webdataset", "pillow", "torch")
N_SHARDS = 4


def _write(work: Work) -> list[str]:
    folder = work.folder / "web_dataset"
    folder.mkdir(exist_ok=True)
    items = np.array_split(np.arange(work.n_items), N_SHARDS)
    names = []
    for shard, part in enumerate(items):
        path = folder / f"photos-{shard}.tar"
        names.append(str(path))
        with tarfile.open(path, "w") as archive:
            for item in part.tolist():
                archive.add(work.files[item % work.n_photos], arcname=f"{item:06d}.jpg")
    return names


def antialias(work: Work) -> Epoch:
    """Batches uint8 (n, H, W, 3); with worker processes their order is not that of the files."""
    torch.set_num_threads(1)
    names = _write(work)

    def cut(sample: dict[str, Any]) -> torch.Tensor:
        item = int(sample["__key__"])
        image = Image.open(io.BytesIO(sample["jpg"]))
        cropped = crop(image, work.box(item), flip=bool(work.flips[item]))
        return torch.from_numpy(np.array(cropped))

    photos = webdataset.WebDataset(names, shardshuffle=False).map(cut)
    loader = webdataset.WebLoader(photos, batch_size=BATCH, **options_of(work))
    return lambda: iter(loader)


VARIANTS = {"antialias": antialias}
