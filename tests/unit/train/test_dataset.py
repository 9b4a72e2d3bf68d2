"""The loader in torch's DataLoader: the same batches in the same order, however many workers."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from imagetree.core.errors import InvalidInput
from imagetree.database import Database
from imagetree.release.loader import Loader
from imagetree.train.dataset import ReleaseDataset, tensors


@pytest.fixture(scope="module")
def loader(tiny_database_made: Path) -> Iterator[Loader]:
    with Database.open(tiny_database_made) as db:
        yield db.release("v1").loader("train", batch_size=4, image_size=32, seed=5)


def taken(batches: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(images.clone(), labels.clone()) for images, labels in batches]  # type: ignore[attr-defined]


def assert_same(found: list[tuple[torch.Tensor, torch.Tensor]], loader: Loader, epoch: int) -> None:
    wanted = list(loader.epoch(epoch))
    assert len(found) == len(wanted) > 4
    for (images, labels), batch in zip(found, wanted, strict=True):
        assert np.array_equal(images.numpy(), batch.images)
        assert labels.tolist() == batch.labels.tolist()


@pytest.mark.parametrize(
    ("n_workers", "method"), [(0, None), (1, "fork"), (2, "fork"), (2, "spawn")]
)
def test_workers_change_nothing(loader: Loader, n_workers: int, method: str | None) -> None:
    dataset = ReleaseDataset(loader, epoch=3)
    feeding = DataLoader(
        dataset, batch_size=None, num_workers=n_workers, multiprocessing_context=method
    )
    assert len(feeding) == len(loader)
    assert_same(taken(feeding), loader, 3)


def test_workers_that_live_on_see_the_next_epoch(loader: Loader) -> None:
    dataset = ReleaseDataset(loader)
    feeding = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        assert_same(taken(feeding), loader, epoch)
    dataset.set_epoch(1, start_batch=3)
    rest = taken(feeding)
    assert len(rest) == len(dataset) == len(loader) - 3
    assert torch.equal(rest[0][0], torch.from_numpy(next(loader.epoch(1, 3)).images))
    dataset.set_epoch(1, start_batch=len(loader))
    assert taken(feeding) == []
    with pytest.raises(InvalidInput, match="no batch"):
        dataset.set_epoch(0, start_batch=len(loader) + 1)


def test_a_pickled_loader_gives_the_same_batches(loader: Loader) -> None:
    other = pickle.loads(pickle.dumps(loader))
    assert_same(taken(ReleaseDataset(other, epoch=2)), loader, 2)


def test_bfloat16_is_a_view_of_the_loaders_memory(tiny_database_made: Path) -> None:
    with Database.open(tiny_database_made) as db:
        given = {"batch_size": 4, "image_size": 32, "training": False}
        colours = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
        release = db.release("v1")
        short = release.loader("train", layout="bfloat16", **given, **colours)
        full = release.loader("train", layout="float", **given, **colours)
        for (images, _), batch in zip(ReleaseDataset(short), full, strict=True):
            assert images.dtype == torch.bfloat16
            assert torch.equal(images, torch.from_numpy(batch.images).to(torch.bfloat16))
        batch = next(iter(short))
        images = tensors(batch.images)
        assert images.data_ptr() == batch.images.ctypes.data


def test_pinned_memory_is_used_where_cuda_is_there(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def pinned(n_bytes: int) -> np.ndarray:
        asked.append(n_bytes)
        return np.empty(n_bytes, np.uint8)

    monkeypatch.setattr("imagetree.train.dataset.pinned_memory", pinned)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert_same(taken(ReleaseDataset(loader)), loader, 0)
    assert set(asked) == {4 * 32 * 32 * 3}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_batches_are_pinned(loader: Loader) -> None:
    images, _ = next(iter(ReleaseDataset(loader)))
    assert images.is_pinned()
