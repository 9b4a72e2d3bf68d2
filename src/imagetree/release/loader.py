"""The loader: from stored bytes to numpy batches, the same whatever the number of threads.

An image is decoded once into what is kept of it (uint8): for training the picture with its
shorter side at 1.15 times the evaluation's resize, from which random crops are cut; for
evaluation the finished crop. Every batch is made from what is kept, whether memory held it or it
was just decoded, so the cache changes the speed and never a pixel.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import ImagetreeError, IntegrityFailure, InvalidInput
from imagetree.release.pixels import Kept, Pixels
from imagetree.release.record import ReleaseImage

# Images handed to a thread at a time, and batches under way beyond the one being used.
_CHUNK = 16
_AHEAD = 2
_ORDER = 0x0EDE2


@dataclass(frozen=True, slots=True)
class Batch:
    """images uint8 (N, H, W, C) or float32 (N, C, H, W) from 0 to 1; labels int64 (N,)."""

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

    Errors: InvalidInput for options that cannot be; IntegrityFailure, naming the image, from the
    iteration when its bytes cannot be read or decoded.

    Example:
        loader = Loader(records, classes, read, batch_size=256, image_size=224, training=True)
        for batch in loader.epoch(3, start_batch=10):   # goes on in the middle of epoch 3
            step(batch.images, batch.labels)
    """

    def __init__(
        self,
        records: Sequence[ReleaseImage],
        classes: Sequence[str],
        read: Callable[[str], bytes],
        *,
        training: bool,
        batch_size: int = 256,
        image_size: int = 224,
        seed: int = 0,
        layout: Literal["uint8", "float"] = "uint8",
        n_workers: int = 2,
        rank: int = 0,
        world_size: int = 1,
        channels: int = 3,
        views: int = 1,
        resize_px: int | None = None,
        crop_scale: tuple[float, float] = (0.08, 1.0),
        crop: bool | None = None,
        flip: bool | None = None,
        cache_bytes: int = 1_000_000_000,
    ) -> None:
        if batch_size < 1 or n_workers < 0 or layout not in ("uint8", "float"):
            raise InvalidInput(
                f"No batches can be made with batch_size {batch_size}, n_workers {n_workers} "
                f"and layout {layout!r}.",
                hint="Use at least one image a batch, and the layout uint8 or float.",
            )
        self.classes = tuple(classes)
        self.batch_size, self.image_size, self.seed = batch_size, image_size, seed
        self.training, self.layout, self.n_workers = training, layout, n_workers
        self.rank, self.world_size, self.cache_bytes = rank, world_size, cache_bytes
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
        self._read = read
        self._take(records)
        self._kept: dict[int, Kept] = {}
        self._n_kept_bytes = 0
        self._lock = threading.Lock()

    def _take(self, records: Sequence[ReleaseImage]) -> None:
        number = {wnid: i for i, wnid in enumerate(self.classes)}
        found: list[tuple[str, int]] = []
        for record in records:
            shown = [number[wnid] for wnid in record.present if wnid in number]
            if shown:
                found.append((record.sha256, min(shown)))
        found.sort()
        self._sha256 = [one[0] for one in found]
        self._labels = np.array([one[1] for one in found], dtype=np.int64)
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

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `start_batch` on, as if those before had been taken."""
        if epoch < 0 or not 0 <= start_batch <= len(self):
            raise InvalidInput(
                f"Epoch {epoch} has no batch {start_batch}.",
                hint=f"Epochs count from 0, batches from 0 to {len(self) - 1}.",
            )
        wanted = self._batches(epoch)[start_batch:]
        if self.n_workers == 0:
            return self._in_this_thread(wanted, epoch)
        return self._in_threads(wanted, epoch)

    def _in_this_thread(self, wanted: list[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        for numbers in wanted:
            images = self.pixels.empty(len(numbers))
            self._fill(images, numbers, epoch)
            yield self._batch(images, numbers)

    def _in_threads(self, wanted: list[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(self.n_workers, thread_name_prefix="imagetree-loader")
        ahead: deque[tuple[NDArray[np.uint8], NDArray[np.int64], list[Future[None]]]] = deque()
        left = iter(wanted)

        def start() -> None:
            numbers = next(left, None)
            if numbers is None:
                return
            images = self.pixels.empty(len(numbers))
            ahead.append(
                (
                    images,
                    numbers,
                    [
                        pool.submit(
                            self._fill, images[i : i + _CHUNK], numbers[i : i + _CHUNK], epoch
                        )
                        for i in range(0, len(numbers), _CHUNK)
                    ],
                )
            )

        try:
            for _ in range(_AHEAD):
                start()
            while ahead:
                images, numbers, parts = ahead.popleft()
                start()
                for part in parts:
                    part.result()
                yield self._batch(images, numbers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, images: NDArray[np.uint8], numbers: NDArray[np.int64]) -> Batch:
        made: NDArray[Any] = images
        if self.layout == "float":
            made = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
            made /= 255
        return Batch(made, self._labels[numbers], tuple(self._sha256[i] for i in numbers))

    def _fill(self, images: NDArray[np.uint8], numbers: NDArray[np.int64], epoch: int) -> None:
        for target, number in zip(images, numbers.tolist(), strict=True):
            sha256 = self._sha256[number]
            kept = self._kept.get(number) or self._decode(number, sha256)
            if self.training:
                # 64 bits of the hash: an image's crops follow from itself, not from its place.
                key = [self.seed % 2**64, epoch, int(sha256[:16], 16)]
                self.pixels.cut(kept, np.random.default_rng(key), out=target)
            else:
                target[...] = kept.pixels

    def _decode(self, number: int, sha256: str) -> Kept:
        try:
            kept = self.pixels.keep(self._read(sha256))
        except (ImagetreeError, OSError) as error:
            raise IntegrityFailure(
                f"Image {sha256} cannot be loaded: {error}",
                hint="Run imagetree check, then imagetree release verify.",
            ) from error
        with self._lock:
            # First come, first kept: with whole epochs, replacing would never hit.
            if self._n_kept_bytes + kept.pixels.nbytes <= self.cache_bytes:
                if number not in self._kept:
                    self._n_kept_bytes += kept.pixels.nbytes
                self._kept[number] = kept
        return kept
