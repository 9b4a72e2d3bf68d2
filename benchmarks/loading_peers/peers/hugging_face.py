"""Hugging Face datasets: an Arrow table on disk, decoded by Pillow, through torch's DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, Image, Value, load_from_disk
from torch.utils.data import DataLoader

from loading_peers.peers.pillow import crop
from loading_peers.peers.torch_loader import options_of
from loading_peers.work import BATCH, Epoch, Work

PACKAGES = ("datasets", "pillow", "torch")


def antialias(work: Work) -> Epoch:
    """Batches uint8 (n, H, W, 3)."""
    torch.set_num_threads(1)
    folder = work.folder / "hugging_face"
    if not folder.is_dir():
        blobs, items = work.blobs(), range(work.n_items)
        rows = {
            "image": [{"bytes": blobs[item % work.n_photos], "path": None} for item in items],
            "item": list(items),
        }
        features = Features({"image": Image(), "item": Value("int32")})
        Dataset.from_dict(rows, features=features).save_to_disk(folder)
    photos = load_from_disk(folder)

    def cut(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        cropped = [
            crop(image, work.box(item), flip=bool(work.flips[item]))
            for image, item in zip(rows["image"], rows["item"], strict=True)
        ]
        return {"pixels": [torch.from_numpy(np.array(image)) for image in cropped]}

    loader = DataLoader(photos.with_transform(cut), batch_size=BATCH, **options_of(work))

    def epoch() -> Iterator[Any]:
        return (batch["pixels"] for batch in loader)

    return epoch


VARIANTS = {"antialias": antialias}
