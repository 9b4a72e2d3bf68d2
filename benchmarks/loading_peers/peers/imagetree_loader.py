"""imagetree as its users have it: a database of the photos, a release, and its loader.

The loader draws its own crops, from (seed, epoch, SHA-256). What it keeps of decoded images is
switched off: each epoch decodes all files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagetree
from loading_peers.work import BATCH, SIDE_PX, Array, Epoch, Work

PACKAGES = ("imagetree",)


def _collected(work: Work) -> Any:
    """The release; database and all are made on the first call."""
    folder = work.folder / "imagetree_loader"
    if not (folder / "finished").exists():
        shutil.rmtree(folder, ignore_errors=True)
        photos = folder / "photos" / "photo"
        photos.mkdir(parents=True)
        for number, path in enumerate(work.files):
            shutil.copyfile(path, photos / f"{number:06d}.jpg")
        tree = folder / "tree.csv"
        tree.write_text("id,words,gloss,parents\nphoto,photo,a picture,\n")
        with imagetree.init(folder / "photos.imagetree", wordnet=False, tree=tree) as database:
            database.collect(photos.parent, layout="imagefolder")
            database.release("v1", split={"train": 1.0})
        Path(folder / "finished").touch()
    return imagetree.open(folder / "photos.imagetree").release("v1")


def uint8(work: Work) -> Epoch:
    """Batches uint8 (n, H, W, 3)."""
    loader = _collected(work).loader(
        "train",
        batch_size=BATCH,
        image_size=SIDE_PX,
        n_workers=0 if work.n_threads == 1 else work.n_threads,
        cache_bytes=0,
    )

    n_epochs = work.n_items // work.n_photos

    def epoch() -> Iterator[Array]:
        for number in range(n_epochs):
            yield from (batch.images for batch in loader.epoch(number))

    return epoch


VARIANTS = {"uint8": uint8}
