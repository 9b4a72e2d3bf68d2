"""Batches as tensors: the same numbers as the plain formulas, and the loader's memory untouched."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imagetree.train.batches import LUMA, jittered, normalised

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pixels(kind: str, *, channels: int = 3) -> np.ndarray:
    generator = np.random.default_rng(1)
    whole = generator.integers(0, 256, (5, 8, 9, channels), dtype=np.uint8)
    return whole if kind == "uint8" else (whole.transpose(0, 3, 1, 2) / np.float32(255)).copy()


def unit(images: np.ndarray) -> torch.Tensor:
    x = torch.from_numpy(images.copy())
    return x.permute(0, 3, 1, 2).float() / 255 if images.dtype == np.uint8 else x


def by_formula(x: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    return (x - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_normalised_is_the_formula_to_the_last_bit(kind: str) -> None:
    images = pixels(kind)
    before = images.copy()
    found = normalised(images, mean=MEAN, std=STD)
    assert torch.equal(found, by_formula(unit(images), MEAN, STD))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(images, before), "the loader's memory was written to"


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_grey_and_colour_become_each_other(kind: str) -> None:
    grey = normalised(pixels(kind, channels=1), mean=MEAN, std=STD)
    wanted = by_formula(unit(pixels(kind, channels=1)).expand(-1, 3, -1, -1), MEAN, STD)
    assert torch.equal(grey, wanted)
    luma = (unit(pixels(kind)) * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    found = normalised(pixels(kind), mean=(0.5,), std=(0.2,))
    assert torch.equal(found, by_formula(luma, (0.5,), (0.2,)))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_jitter_is_the_formula_to_the_last_bit(kind: str) -> None:
    images = pixels(kind)
    before = images.copy()
    found = jittered(images, torch.Generator().manual_seed(4), strength=0.4, mean=MEAN, std=STD)
    drawn = torch.rand(3, 5, 1, 1, 1, generator=torch.Generator().manual_seed(4))
    factors = 1 + 0.4 * (2 * drawn - 1)
    x = unit(images) * factors[0]
    middle = x.mean((1, 2, 3), keepdim=True)
    x = middle + (x - middle) * factors[1]
    grey = x.mean(1, keepdim=True)
    x = (grey + (x - grey) * factors[2]).clamp(0, 1)
    assert torch.equal(found, by_formula(x, MEAN, STD))
    assert np.array_equal(images, before)
