"""The handwritten digits of scikit-learn as an in-memory loader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class DigitBatch:
    images: NDArray[Any]
    labels: NDArray[np.int64]
    sha256: tuple[str, ...]


class DigitLoader:
    """Order is a function of (seed, epoch); resumes at any batch."""

    def __init__(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        batch_size: int,
        shuffle: bool = True,
    ) -> None:
        self.images, self.labels = images, labels
        self.batch_size, self.shuffle = batch_size, shuffle
        self.classes = tuple(f"n{i:08d}" for i in range(10))
        self.n_images = len(images)

    def __len__(self) -> int:
        return -(-self.n_images // self.batch_size)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[DigitBatch]:
        order = np.arange(self.n_images)
        if self.shuffle:
            np.random.default_rng([0, epoch]).shuffle(order)
        for b in range(start_batch, len(self)):
            part = order[b * self.batch_size : (b + 1) * self.batch_size]
            yield DigitBatch(self.images[part], self.labels[part], tuple(str(i) for i in part))


def digit_loaders(
    *, n_train: int | None = None, batch_size: int = 32
) -> tuple[DigitLoader, DigitLoader]:
    """Train and test loaders of a 70/30 split, 32 x 32 px grey."""
    found = load_digits()
    large = [
        np.asarray(
            Image.fromarray((i * 255 / 16).astype(np.uint8)).resize(
                (32, 32), Image.Resampling.BICUBIC
            )
        )
        for i in found.images
    ]
    images = np.stack(large)[..., None]
    a, b, c, d = train_test_split(
        images, found.target.astype(np.int64), test_size=0.3, random_state=0, stratify=found.target
    )
    return (
        DigitLoader(a[:n_train], c[:n_train], batch_size=batch_size),
        DigitLoader(b, d, batch_size=200, shuffle=False),
    )
