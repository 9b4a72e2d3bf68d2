"""The loader: from stored bytes to numpy batches, the same whatever the number of threads.

Files are read a few batches ahead in the order of the disk, and decoded by the native kernel
straight into the batch: only the rows and columns of a JPEG that its crop needs. Crops follow
from (seed, epoch, SHA-256) alone.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import ImagetreeError, IntegrityFailure, InvalidInput
from imagetree.images import kernel
from imagetree.release.buffers import Allocate, BatchBuffers
from imagetree.release.pixels import Pixels, image_keys
from imagetree.release.reading_ahead import ReadingAhead
from imagetree.release.record import ReleaseImage
from imagetree.release.source import ImageSource

_ORDER = 0x0EDE2
_KERNEL_LAYOUTS: dict[str, kernel.Layout] = {
    "uint8": "uint8",
    "float": "float32",
    "bfloat16": "bfloat16",
}
# An epoch and the numbers of a batch's images.
Wanted = tuple[int, NDArray[np.int64]]
_DTYPES = {"uint8": np.uint8, "float": np.float32, "bfloat16": np.uint16}


@dataclass(frozen=True, slots=True)
class Batch:
    """images uint8 (N, H, W, C), float32 or bfloat16 as uint16 (N, C, H, W); labels int64 (N,).

    The memory of `images` is used again once the array and all views of it are gone.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    sha256: tuple[str, ...]


class Loader:
    """Batches of images and labels, a pure function of (seed, epoch, SHA-256).

    Training shuffles, cuts RandomResizedCrop (area `crop_scale`, aspect 3/4 to 4/3, Szegedy et
    al. 2015) and flips half of the images; evaluation keeps the order of SHA-256, resizes the
    shorter side to `resize_px` (by default 256/224 of `image_size`) and cuts the centre. With
    `views=10` evaluation gives squares of `resize_px`, from which ten views can be cut.

    Images below 64 px on the shorter side (digits) are only resized to the square: a crop would
    lose what they show and a mirrored 2 is none. `crop` and `flip` overrule this where not None.

    An image with several present labels counts as the first of them in the order of `classes`.
    With `world_size` processes, each `rank` gets its own part of every epoch; together they are
    all images, once each, in equally many batches. `n_workers=0` decodes in the calling thread.

    `layout` "float" and "bfloat16" give (value / 255 - mean) / std. `n_ahead` batches of files
    and as many of pixels wait at most: the bound of its memory. `allocate` gives memory for
    batches, for instance pinned. `engine` chooses the kernel's decoder, for comparing.

    Errors: InvalidInput for options that cannot be; IntegrityFailure, naming the image, from the
    iteration when its bytes cannot be read or decoded.

    Example:
        loader = Loader(records, classes, source, batch_size=256, image_size=224, training=True)
        for batch in loader.epoch(3, start_batch=10):   # goes on in the middle of epoch 3
            step(batch.images, batch.labels)
    """

    def __init__(
        self,
        records: Sequence[ReleaseImage],
        classes: Sequence[str],
        source: ImageSource,
        *,
        training: bool,
        batch_size: int = 256,
        image_size: int = 224,
        seed: int = 0,
        layout: Literal["uint8", "float", "bfloat16"] = "uint8",
        mean: kernel.Colour = (0.0, 0.0, 0.0),
        std: kernel.Colour = (1.0, 1.0, 1.0),
        n_workers: int = 2,
        n_ahead: int = 2,
        rank: int = 0,
        world_size: int = 1,
        channels: int = 3,
        views: int = 1,
        resize_px: int | None = None,
        crop_scale: tuple[float, float] = (0.08, 1.0),
        crop: bool | None = None,
        flip: bool | None = None,
        allocate: Allocate | None = None,
        engine: kernel.Engine = "auto",
    ) -> None:
        if batch_size < 1 or n_workers < 0 or n_ahead < 1 or layout not in _KERNEL_LAYOUTS:
            raise InvalidInput(
                f"No batches can be made with batch_size {batch_size}, n_workers {n_workers}, "
                f"n_ahead {n_ahead} and layout {layout!r}.",
                hint=f"Use at least one image a batch, and one of {', '.join(_KERNEL_LAYOUTS)}.",
            )
        self.classes = tuple(classes)
        self.batch_size, self.image_size, self.seed = batch_size, image_size, seed
        self.training, self.layout = training, layout
        self.n_workers, self.n_ahead = n_workers, n_ahead
        self.rank, self.world_size = rank, world_size
        self.pixels = Pixels(
            image_size=image_size,
            training=training,
            channels=channels,
            views=views,
            resize_px=resize_px,
            crop_scale=crop_scale,
            crop=crop,
            flip=flip,
        )
        self._source, self._mean, self._std, self._engine = source, mean, std, engine
        self._take(records)
        self._allocate = allocate
        self._buffers = self._own_buffers()

    def _own_buffers(self) -> BatchBuffers:
        side, channels = self.pixels.side_px, self.pixels.channels
        n_values = self.batch_size * side * side * channels
        n_bytes = n_values * np.dtype(_DTYPES[self.layout]).itemsize
        # The one being used, those that wait, and the one that is being filled.
        n_kept = self.n_ahead + 2
        return BatchBuffers(n_bytes=n_bytes, n_kept=n_kept, allocate=self._allocate)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_buffers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._source = copy.copy(self._source)
        self._buffers = self._own_buffers()

    def twin(self, *, n_workers: int | None = None, allocate: Allocate | None = None) -> Loader:
        """A loader of the same batches, with locks, files and memory of its own.

        For another process, with another number of threads, or with other memory for batches.
        """
        made = copy.copy(self)
        made.n_workers = self.n_workers if n_workers is None else n_workers
        made._allocate = allocate
        made._buffers = made._own_buffers()
        return made

    def _take(self, records: Sequence[ReleaseImage]) -> None:
        number = {wnid: i for i, wnid in enumerate(self.classes)}
        found: list[tuple[str, int, ReleaseImage]] = []
        for record in records:
            shown = [number[wnid] for wnid in record.present if wnid in number]
            if shown:
                found.append((record.sha256, min(shown), record))
        found.sort(key=lambda one: one[0])
        self._sha256 = [one[0] for one in found]
        self._labels = np.array([one[1] for one in found], dtype=np.int64)
        self._sizes = self._source.sizes([one[2] for one in found])
        self._keys = image_keys(self._sha256)
        if not 0 <= self.rank < self.world_size:
            raise InvalidInput(
                f"There is no rank {self.rank} of {self.world_size}.",
                hint="Ranks count from 0 up to world_size - 1.",
            )
        if len(found) < self.world_size:
            raise InvalidInput(
                f"The split has {len(found)} labelled images for {self.world_size} process(es).",
                hint="Choose a split that has images, or use fewer processes.",
            )

    # ---- what it is ----

    @property
    def n_images(self) -> int:
        """Images that this loader gives in an epoch: all, or this rank's part of them."""
        return len(range(self.rank, len(self._sha256), self.world_size))

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images of each class over all ranks, in the order of `classes`."""
        return tuple(np.bincount(self._labels, minlength=len(self.classes)).tolist())

    @property
    def protocol(self) -> str:
        """What is done to an image, in one line, to be told with every score."""
        return self.pixels.protocol

    @property
    def source(self) -> str:
        """What is read: the originals or a packed copy."""
        return self._source.description

    def __len__(self) -> int:
        """Batches an epoch, the same on every rank."""
        return -(-self._most() // self.batch_size)

    def _most(self) -> int:
        """Images of the rank that has most."""
        return -(-len(self._sha256) // self.world_size)

    # ---- batches ----

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Numbers of this rank's images in the order of that epoch, shape (n_images,)."""
        everything = np.arange(len(self._sha256), dtype=np.int64)
        if self.training:
            everything = np.random.default_rng([self.seed % 2**64, epoch, _ORDER]).permutation(
                everything
            )
        return everything[self.rank :: self.world_size]

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        order = self.order(epoch)
        n_batches = len(self)
        starts = [i * self.batch_size for i in range(n_batches)]
        if starts[-1] >= len(order):
            # Another rank has one image more and with it one batch more; processes that average
            # their gradients need equally many, so the last image makes a batch of its own.
            starts[-1] = len(order) - 1
        ends = [*starts[1:], len(order)]
        return [order[start:end] for start, end in zip(starts, ends, strict=True)]

    def epoch(self, epoch: int, start_batch: int = 0, every: int = 1) -> Iterator[Batch]:
        """The batches of an epoch from `start_batch` on, as if those before had been taken.

        With `every=k` only each k-th, for k processes that share an epoch batch by batch.
        """
        self._check(epoch, start_batch, every=every)
        numbers = self._batches(epoch)[start_batch::every]
        return self._made([(epoch, one) for one in numbers])

    def epochs(self, first: int = 0, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of epoch after epoch, without end: `len(loader)` of them are an epoch.

        While the last batches of an epoch are used, the first of the next are made; where epochs
        are short, that saves a wait in each. Begins as `epoch` does.
        """
        self._check(first, start_batch)

        def wanted() -> Iterator[Wanted]:
            for epoch in itertools.count(first):
                begin = start_batch if epoch == first else 0
                yield from ((epoch, numbers) for numbers in self._batches(epoch)[begin:])

        return self._made(wanted())

    def _check(self, epoch: int, start_batch: int, *, every: int = 1) -> None:
        if epoch < 0 or every < 1 or not 0 <= start_batch <= len(self):
            raise InvalidInput(
                f"Epoch {epoch} has no batch {start_batch}.",
                hint=f"Epochs count from 0, batches from 0 to {len(self) - 1}.",
            )

    def _made(self, wanted: Iterable[Wanted]) -> Iterator[Batch]:
        def read(one: Wanted) -> list[bytes]:
            return self._read(one[1])

        def make(one: Wanted, files: list[bytes]) -> Batch:
            return self._decoded(one[1], files, one[0])

        if self.n_workers == 0:
            return (make(one, read(one)) for one in wanted)
        return iter(ReadingAhead(wanted, read=read, make=make, n_ahead=self.n_ahead))

    def _read(self, numbers: NDArray[np.int64]) -> list[bytes]:
        wanted = [self._sha256[i] for i in numbers]
        try:
            return self._source.read_many(wanted)
        except (ImagetreeError, OSError) as error:
            raise self._unreadable(wanted, error) from error

    def _unreadable(self, wanted: list[str], error: Exception) -> IntegrityFailure:
        """The error again, naming the first image that cannot be read by itself."""
        for sha256 in wanted:
            try:
                self._source.read_many([sha256])
            except (ImagetreeError, OSError) as single:
                return _failure(sha256, single)
        return _failure(wanted[0], error)

    def _decoded(self, numbers: NDArray[np.int64], files: list[bytes], epoch: int) -> Batch:
        side, channels = self.pixels.side_px, self.pixels.channels
        planes = self.layout != "uint8"
        shape = (channels, side, side) if planes else (side, side, channels)
        images = self._buffers.array((len(numbers), *shape), _DTYPES[self.layout])
        tiles = self.pixels.tiles(
            self._sizes[numbers], self._keys[numbers], seed=self.seed, epoch=epoch
        )
        bad: list[tuple[int, ImagetreeError]] = []
        kernel.fill(
            files,
            tiles,
            images,
            layout=_KERNEL_LAYOUTS[self.layout],
            mean=self._mean,
            std=self._std,
            n_threads=max(1, self.n_workers),
            engine=self._engine,
            on_bad=lambda place, error: bad.append((place, error)),
        )
        sha256 = tuple(self._sha256[i] for i in numbers)
        if bad:
            raise _failure(sha256[bad[0][0]], bad[0][1])
        return Batch(images, self._labels[numbers], sha256)


def _failure(sha256: str, error: Exception) -> IntegrityFailure:
    return IntegrityFailure(
        f"Image {sha256} cannot be loaded: {error}",
        hint="Run imagetree check, then imagetree release verify.",
    )
