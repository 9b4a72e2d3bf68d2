"""What every peer is given to do: the same files, boxes and flips, in batches of the same size.

This file runs in the peers' own environments: nothing but Python and numpy is imported here.

Legend of axes: N photos; I items, several times all photos, each with a box of its own; item i
is of photo i % N; H = W = `SIDE_PX`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE_PX, BATCH = 224, 64
# Photos that a thread takes at a time.
CHUNK = 8
# ImageNet's usual mean and deviation, for the peers whose batches are float32.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Array = NDArray[Any]
# The batches of all items in their order; a batch is (n, H, W, 3) or (n, 3, H, W).
Epoch = Callable[[], Iterator[Any]]
# Cuts one photo: its bytes, its box, whether to mirror it, and where the pixels (H, W, 3) go.
Cut = Callable[[bytes, tuple[int, int, int, int], bool, Array], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """The photos `files` (N), `boxes` (I, 4) as left, top, right, bottom in stored pixels,
    `flips` (I,), the threads or processes to use, and a folder for files of a peer's own.

    `reference` (N, H, W, 3) is the first N items as Pillow makes them, to see that a peer does
    the work.
    """

    files: tuple[Path, ...]
    boxes: NDArray[np.int32]
    flips: NDArray[np.bool_]
    reference: NDArray[np.uint8]
    n_threads: int
    folder: Path

    @property
    def n_photos(self) -> int:
        """N."""
        return len(self.files)

    @property
    def n_items(self) -> int:
        """I."""
        return len(self.boxes)

    def blobs(self) -> list[bytes]:
        """The files' bytes, held in memory."""
        return [path.read_bytes() for path in self.files]

    def box(self, item: int) -> tuple[int, int, int, int]:
        """The box of an item as plain integers."""
        left, top, right, bottom = self.boxes[item].tolist()
        return left, top, right, bottom


def read_work(folder: Path, *, n_threads: int) -> Work:
    """The work that `inputs.prepare` has laid into a folder."""
    names = json.loads((folder / "files.json").read_text())
    return Work(
        files=tuple(Path(name) for name in names),
        boxes=np.load(folder / "boxes.npy"),
        flips=np.load(folder / "flips.npy"),
        reference=np.load(folder / "reference.npy"),
        n_threads=n_threads,
        folder=folder,
    )


def slices(n: int, size: int = BATCH) -> list[slice]:
    """0 to n in parts of `size`; the last may be smaller.

    Example:
        >>> slices(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def epochs_of(work: Work, cut: Cut) -> Epoch:
    """Epochs of uint8 batches, for a library that only decodes: a plain loop, or threads.

    With threads the next batch is begun before one is waited for, so that no core idles at the
    end of a batch.
    """
    blobs = work.blobs()
    buffers = [np.empty((BATCH, SIDE_PX, SIDE_PX, 3), np.uint8) for _ in range(2)]

    def fill(items: range, out: Array) -> None:
        for item, target in zip(items, out, strict=True):
            cut(blobs[item % work.n_photos], work.box(item), bool(work.flips[item]), target)

    if work.n_threads == 1:

        def plain() -> Iterator[Array]:
            for part in slices(work.n_items):
                out = buffers[0][: part.stop - part.start]
                fill(range(part.start, part.stop), out)
                yield out

        return plain

    pool = ThreadPoolExecutor(work.n_threads)

    def begin(part: slice, out: Array) -> list[Future[None]]:
        items = range(part.start, part.stop)
        pieces = slices(len(items), CHUNK)
        return [pool.submit(fill, items[piece], out[piece]) for piece in pieces]

    def threaded() -> Iterator[Array]:
        ahead: list[tuple[Array, list[Future[None]]]] = []
        for count, part in enumerate(slices(work.n_items)):
            out = buffers[count % 2][: part.stop - part.start]
            ahead.append((out, begin(part, out)))
            if len(ahead) == 2:
                yield finished(*ahead.pop(0))
        yield from (finished(*one) for one in ahead)

    def finished(out: Array, pieces: list[Future[None]]) -> Array:
        for piece in pieces:
            piece.result()
        return out

    return threaded


def as_pixels(batch: Any) -> NDArray[np.float32]:
    """A batch of any layout as 0 to 255, (n, H, W, 3)."""
    array = np.asarray(batch)
    if array.dtype == np.uint8:
        return array.astype(np.float32)
    scaled = array.transpose(0, 2, 3, 1) * np.float32(STD) + np.float32(MEAN)
    return np.asarray(255 * scaled, dtype=np.float32)
