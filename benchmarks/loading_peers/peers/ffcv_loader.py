"""FFCV: its own file format, pipelines compiled by numba, full decode and area resize.

Its crops are its own draws, of the same areas and aspects: a decoder there does not know which
photo it has. "stored" keeps the files' bytes as they are, "full" is what its writer makes of them
(quality 90 again), "400" its format for training with the longer side at most 400 px.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ffcv.fields.rgb_image
import numpy as np
from ffcv.fields import RGBImageField
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import RandomHorizontalFlip
from ffcv.writer import DatasetWriter
from PIL import Image

from loading_peers.work import BATCH, SIDE_PX, Epoch, Work

PACKAGES = ("ffcv", "numba")


class Photos:
    """The decoded files, as FFCV's writer wants them."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __len__(self) -> int:
        return self.work.n_photos

    def __getitem__(self, number: int) -> tuple[np.ndarray]:
        return (np.array(Image.open(self.work.files[number]).convert("RGB")),)


class StoredPhotos(Photos):
    """The files' own bytes, handed to the writer in place of what it would encode."""

    current = b""

    def __getitem__(self, number: int) -> tuple[np.ndarray]:
        StoredPhotos.current = self.work.files[number].read_bytes()
        return super().__getitem__(number)


def _stored(pixels: np.ndarray, quality: int) -> np.ndarray:
    return np.frombuffer(StoredPhotos.current, np.uint8)


def _open(work: Work, name: str, *, stored: bool, side_px: int | None) -> Epoch:
    path = work.folder / f"ffcv-{name}.beton"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        encode = ffcv.fields.rgb_image.encode_jpeg
        if stored:
            ffcv.fields.rgb_image.encode_jpeg = _stored
        field = RGBImageField(write_mode="jpg", max_resolution=side_px, jpeg_quality=90)
        writer = DatasetWriter(str(unfinished), {"image": field}, num_workers=1)
        writer.from_indexed_dataset(StoredPhotos(work) if stored else Photos(work))
        ffcv.fields.rgb_image.encode_jpeg = encode
        unfinished.rename(path)
    decoder = ffcv.fields.rgb_image.RandomResizedCropRGBImageDecoder((SIDE_PX, SIDE_PX))
    loader = Loader(
        str(path),
        batch_size=BATCH,
        num_workers=work.n_threads,
        order=OrderOption.SEQUENTIAL,
        os_cache=True,
        drop_last=False,
        indices=np.arange(work.n_items) % work.n_photos,
        pipelines={"image": [decoder, RandomHorizontalFlip()]},
    )

    def epoch() -> Iterator[Any]:
        return (images for (images,) in loader)

    return epoch


VARIANTS = {
    "stored": lambda work: _open(work, "stored", stored=True, side_px=None),
    "full": lambda work: _open(work, "full", stored=False, side_px=None),
    "400": lambda work: _open(work, "400", stored=False, side_px=400),
}
