"""The loader's memory: bounded by the read-ahead setting, flat over epochs."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from tests.unit.release.test_loader import loader_of, photos_of, taken

from imagetree.core.errors import InvalidInput

SIDE_PX, BATCH = 96, 8
BATCH_BYTES = BATCH * SIDE_PX * SIDE_PX * 3


@pytest.fixture(scope="module")
def photos():
    return photos_of(64, size=(120, 160))


@pytest.mark.parametrize("n_ahead", [1, 2, 4])
def test_memory_is_bounded_and_flat_over_ten_epochs(photos, n_ahead):
    records, stored = photos
    fresh = {key: bytearray(data) for key, data in stored.items()}
    # Read as from a disk: every read is memory of its own, which tracemalloc counts.
    loader = loader_of(
        (records, _Fresh(fresh)), batch_size=BATCH, image_size=SIDE_PX, n_ahead=n_ahead
    )
    files_bytes = BATCH * max(map(len, stored.values()))
    peaks, after = [], []
    tracemalloc.start()
    try:
        for epoch in range(10):
            tracemalloc.reset_peak()
            for _ in loader.epoch(epoch):
                pass
            now, peak = tracemalloc.get_traced_memory()
            peaks.append(peak)
            after.append(now)
    finally:
        tracemalloc.stop()
    # In use, handed over, waiting, being filled; read, handed over, waiting, being decoded.
    bound = (n_ahead + 4) * BATCH_BYTES + (n_ahead + 3) * files_bytes + 200_000
    assert max(peaks) < bound
    # What is kept between epochs are free buffers, never more of them.
    assert max(after[1:]) <= (n_ahead + 2) * BATCH_BYTES + 200_000


class _Fresh(dict):
    def __getitem__(self, key):
        return bytes(super().__getitem__(key))


def test_epochs_run_on_without_end(photos):
    loader = loader_of(photos, batch_size=BATCH)
    n = len(loader)
    wanted = [one for epoch in (2, 3, 4) for one in taken(loader.epoch(epoch))]
    assert taken(itertools.islice(loader.epochs(2), 3 * n)) == wanted
    assert taken(itertools.islice(loader.epochs(2, 3), 2 * n)) == wanted[3 : 3 + 2 * n]
    plain = loader_of(photos, batch_size=BATCH, n_workers=0)
    assert taken(itertools.islice(plain.epochs(2), n + 1)) == wanted[: n + 1]
    with pytest.raises(InvalidInput, match="no batch"):
        loader.epochs(0, n + 1)


def test_a_twin_gives_the_same_batches_from_memory_of_its_own(photos):
    loader = loader_of(photos, batch_size=BATCH)
    asked = []

    def allocate(n_bytes):
        asked.append(n_bytes)
        return np.empty(n_bytes, np.uint8)

    twin = loader.twin(n_workers=1, allocate=allocate)
    assert taken(twin.epoch(5)) == taken(loader.epoch(5))
    assert (twin.n_workers, loader.n_workers) == (1, 2)
    assert twin._buffers is not loader._buffers
    assert asked
