"""imagetree's kernel, one call a batch: on libjpeg-turbo, or with its own entropy decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from loading_peers.work import BATCH, MEAN, SIDE_PX, STD, Array, Epoch, Work, epochs_of, slices

PACKAGES = ("imagetree",)
NOTE = ""
STANDS_IN = False

try:
    from imagetree.images import kernel
    from imagetree.images.tiles import crop_tiles
except ImportError:
    kernel = None


def _open(work: Work, *, engine: str, layout: str) -> Epoch:
    global NOTE, STANDS_IN
    if kernel is None or not kernel.available():
        if engine == "own":
            raise RuntimeError("the native kernel is absent")
        NOTE, STANDS_IN = "the native kernel is absent: this is Pillow", True
        return _by_pillow(work, layout=layout)
    blobs = work.blobs()
    items = [blobs[item % work.n_photos] for item in range(work.n_items)]
    tiles = crop_tiles(work.boxes, flip=work.flips)
    planes = layout == "float32"
    shape = (BATCH, 3, SIDE_PX, SIDE_PX) if planes else (BATCH, SIDE_PX, SIDE_PX, 3)
    buffer = np.empty(shape, layout)
    options: dict[str, Any] = {"engine": engine, "layout": layout, "n_threads": work.n_threads}
    if planes:
        options |= {"mean": MEAN, "std": STD}

    by_pillow = 0

    def epoch() -> Iterator[Array]:
        nonlocal by_pillow
        for part in slices(work.n_items):
            out = buffer[: part.stop - part.start]
            done = kernel.fill(items[part], tiles[part], out, **options)
            by_pillow += int((done == kernel.BY_PILLOW).sum())
            yield out

    for _ in epoch():
        pass
    if by_pillow == work.n_items:
        raise RuntimeError("all photos were left to Pillow")
    if by_pillow:
        NOTE = f"{by_pillow // (work.n_items // work.n_photos)} photos were left to Pillow"
    return epoch


def _by_pillow(work: Work, *, layout: str) -> Epoch:
    from loading_peers.peers.pillow import cut

    pixels = epochs_of(work, cut)
    if layout == "uint8":
        return pixels
    mean, std = (255 * np.float32(values) for values in (MEAN, STD))

    def epoch() -> Iterator[Array]:
        for batch in pixels():
            yield np.ascontiguousarray(((batch - mean) / std).transpose(0, 3, 1, 2), np.float32)

    return epoch


VARIANTS = {
    "turbo": lambda work: _open(work, engine="turbo", layout="uint8"),
    "own": lambda work: _open(work, engine="own", layout="uint8"),
    "turbo-float32": lambda work: _open(work, engine="turbo", layout="float32"),
    "own-float32": lambda work: _open(work, engine="own", layout="float32"),
}
