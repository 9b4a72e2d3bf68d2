"""The loader's numpy batches as torch tensors, normalised and, for training, jittered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imagetree.core.errors import InvalidInput

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what JPEG's Y is


class Batch(Protocol):
    """images uint8 (N, H, W, C) or float (N, C, H, W) from 0 to 1; labels int64 (N,)."""

    @property
    def images(self) -> NDArray[Any]: ...
    @property
    def labels(self) -> NDArray[np.int64]: ...
    @property
    def sha256(self) -> tuple[str, ...]: ...


class Loader(Protocol):
    """What training needs of a loader: order and crops follow from (seed, epoch, index)."""

    @property
    def n_images(self) -> int: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]: ...


def normalised(images: NDArray[Any], *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Float32 (N, C, H, W) in channels_last memory, (x - mean) / std with x from 0 to 1.

    C is the length of `mean`: colour becomes grey by its luma, grey is repeated three times.

    Example:
        >>> normalised(np.zeros((1, 2, 2, 3), np.uint8), mean=(0.5,), std=(0.5,)).unique()
        tensor([-1.])
    """
    return _normalise(_unit(images, n_channels=len(mean)), mean, std)


def jittered(
    images: NDArray[Any],
    generator: torch.Generator,
    *,
    strength: float,
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """`normalised` after brightness, contrast and saturation times 1 +- strength, an image each."""
    x = _unit(images, n_channels=len(mean))
    if strength <= 0:
        return _normalise(x, mean, std)
    factors = 1 + strength * (2 * torch.rand(3, len(x), 1, 1, 1, generator=generator) - 1)
    x.mul_(factors[0])
    middle = x.mean((1, 2, 3), keepdim=True)
    x.sub_(middle).mul_(factors[1]).add_(middle)
    grey = x.mean(1, keepdim=True)
    x.sub_(grey).mul_(factors[2]).add_(grey)
    return _normalise(x.clamp_(0, 1), mean, std)


def _unit(images: NDArray[Any], *, n_channels: int) -> Tensor:
    """The images from 0 to 1 in memory of their own, so that the next steps may work in place."""
    if images.ndim != 4:
        raise InvalidInput(f"A batch must have four axes, not {images.ndim}.")
    if images.dtype == np.uint8:
        x = (
            torch.from_numpy(np.require(images, requirements=["C", "W"]))
            .permute(0, 3, 1, 2)
            .float()
            .div_(255)
        )
    else:
        x = torch.from_numpy(np.require(images, np.float32, ["C", "W"])).clone()
    if x.shape[1] == n_channels:
        return x
    if x.shape[1] == 3 and n_channels == 1:
        return (x * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if x.shape[1] == 1 and n_channels == 3:
        return x.repeat(1, 3, 1, 1)
    raise InvalidInput(
        f"The images have {x.shape[1]} channels, the recipe's mean has {n_channels}.",
        hint="Give mean and std one value (grey) or three (colour).",
    )


def _normalise(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    # In place: fresh memory for every step costs more than the arithmetic.
    x.sub_(torch.tensor(mean).view(1, -1, 1, 1)).div_(torch.tensor(std).view(1, -1, 1, 1))
    return x.contiguous(memory_format=torch.channels_last)
