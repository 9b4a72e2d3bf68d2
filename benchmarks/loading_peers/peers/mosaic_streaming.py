"""MosaicML streaming: MDS shards on the local disk, decoded by Pillow, through DataLoader.

Its package imports torchvision for classes that are not used here. Where the torchvision that
can be had does not import, two empty names stand in for it.
"""

from __future__ import annotations

import io
import shutil
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from loading_peers.peers.pillow import crop
from loading_peers.peers.torch_loader import options_of
from loading_peers.work import BATCH, Epoch, Work

PACKAGES = ("mosaicml-streaming", "pillow", "torch")
NOTE = ""
_LACKING = {
    "torchvision": (),
    "torchvision.datasets": ("VisionDataset",),
    "torchvision.transforms": (),
    "torchvision.transforms.functional": ("to_tensor",),
}

try:
    import torchvision  # noqa: F401
except Exception:
    NOTE = "torchvision, which its package imports and this does not use, was left out"
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    for name, members in _LACKING.items():
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
        for member in members:
            setattr(sys.modules[name], member, type(member, (), {}))

from streaming import MDSWriter, StreamingDataset  # noqa: E402  after what stands in
from streaming.base.util import clean_stale_shared_memory  # noqa: E402


class Photos(StreamingDataset):  # type: ignore[misc]
    """The shards, which hold the items one after another."""

    work: Work

    def __getitem__(self, at: int) -> torch.Tensor:
        sample: dict[str, Any] = super().__getitem__(at)
        item = sample["item"]
        image = Image.open(io.BytesIO(sample["jpg"]))
        cropped = crop(image, self.work.box(item), flip=bool(self.work.flips[item]))
        return torch.from_numpy(np.array(cropped))


def antialias(work: Work) -> Epoch:
    """Batches uint8 (n, H, W, 3)."""
    torch.set_num_threads(1)
    # Two processes cannot read the same folder at once: their shared memory is named after it.
    folder = work.folder / f"mosaic_streaming-{work.n_threads}"
    shutil.rmtree(folder, ignore_errors=True)
    with MDSWriter(out=str(folder), columns={"jpg": "bytes", "item": "int"}) as shards:
        for item in range(work.n_items):
            data = work.files[item % work.n_photos].read_bytes()
            shards.write({"jpg": data, "item": item})
    clean_stale_shared_memory()
    photos = Photos(local=str(folder), batch_size=BATCH, shuffle=False)
    photos.work = work
    loader = DataLoader(photos, batch_size=BATCH, **options_of(work))
    return lambda: iter(loader)


VARIANTS = {"antialias": antialias}
