"""Batches: what is catalogued is not decoded again, and how much is held in memory."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.conftest import draw

from imagetree.catalog import schema
from imagetree.collect.source import Item, Rejected
from imagetree.database import Database
from imagetree.images.decode import DEFAULT_LIMITS
from imagetree.images.fingerprints import Prepared, prepare
from imagetree.workflows import batches
from imagetree.workflows.batches import Batches


@pytest.fixture
def db(tmp_path: Path, wordnet_file: Path) -> Iterator[Database]:
    with Database.create(tmp_path / "test.imagetree") as made:
        yield made


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The images that the threads decoded, as they come."""
    seen: list[bytes] = []

    def counted(data: bytes) -> Prepared:
        seen.append(data)
        return prepare(data)

    monkeypatch.setattr(batches, "prepare", counted)
    return seen


def count(db: Database, table: sa.Table) -> int:
    with db.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_known_images_are_not_decoded_again(
    db: Database, photos: Path, tmp_path: Path, decoded: list[bytes]
) -> None:
    db.collect(photos)
    assert len(decoded) == 36
    overlapping = Path(shutil.copytree(photos, tmp_path / "other"))
    fresh = overlapping / "n02091134" / "fresh.jpg"
    shutil.copy(photos / "n02091134" / "00.jpg", fresh)
    fresh.write_bytes(fresh.read_bytes() + b"\0")
    done = db.collect(overlapping)
    assert (done.n_stored, done.n_known, done.n_rejected) == (1, 36, 0)
    assert len(decoded) == 37, "only the new image is decoded"
    assert count(db, schema.origin) == 36 + 37
    assert db.check().sound
    assert db.replay_check() == []


def test_an_image_taken_back_after_it_was_looked_up_is_stored_all_the_same(
    db: Database, photos: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[bytes]
) -> None:
    def all_known(connection: object, sha256s: list[str]) -> dict[str, int]:
        return dict.fromkeys(sha256s, -1)

    monkeypatch.setattr(batches, "known_images", all_known)
    done = db.collect(photos)
    assert decoded == []
    assert (done.n_stored, done.n_known) == (36, 0)
    assert db.stats().n_images == 36
    assert db.check().sound


class Large:
    """A source of many items that are read when they are asked for."""

    kind, location, n_total = "folder", "nowhere", None

    def __init__(self, n_items: int, size_bytes: int | None) -> None:
        self._n_items, self._size_bytes = n_items, size_bytes
        self.n_read = 0

    def labels(self) -> set[str]:
        return set()

    def wnids(self) -> set[str]:
        return set()

    def _reader(self, number: int) -> Callable[[], bytes]:
        def read() -> bytes:
            self.n_read += 1
            return b"%d" % number

        return read

    def items(self) -> Iterator[Item | Rejected]:
        for number in range(self._n_items):
            yield Item(
                key=str(number),
                location=str(number),
                data=self._reader(number),
                filename="x",
                size_bytes=self._size_bytes,
            )


@pytest.mark.parametrize(
    ("size_bytes", "n_most"),
    [
        (10_000, batches.BATCH_ITEMS + batches.AHEAD_ITEMS + 2 * batches.GROUP_ITEMS),
        (8_000_000, batches.BATCH_ITEMS + batches.AHEAD_BYTES // 8_000_000 + 1),
    ],
)
def test_no_more_is_read_ahead_than_is_stored_soon(
    db: Database, size_bytes: int, n_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Large(2000, size_bytes)
    read_at_store: list[int] = []

    def store(*given: Any, **options: Any) -> dict[str, int]:
        read_at_store.append(source.n_read)
        return {"n_stored": 0, "n_known": 0, "n_rejected": 0}

    monkeypatch.setattr(batches, "store", store)
    running = Batches(db.context, source, 1, {}, wnids={}, refused={})
    try:
        while not running.store_next()["done"]:
            pass
    finally:
        running.close()
    assert source.n_read == 2000
    for number, n_read in enumerate(read_at_store):
        assert n_read <= number * batches.BATCH_ITEMS + n_most


def test_large_images_are_decoded_one_at_a_time(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos" / "n02091134"
    for number in range(6):
        draw(folder / f"large{number}.png", seed=number, size_px=(320, 200))
        draw(folder / f"small{number}.png", seed=50 + number)
    monkeypatch.setattr(batches, "LARGE_PIXELS", 320 * 200)
    monkeypatch.setattr(batches, "GROUP_ITEMS", 1)
    lock = threading.Lock()
    at_work = {True: 0, False: 0}
    most = {True: 0, False: 0}
    given_back: list[None] = []

    def slow(data: bytes) -> Prepared:
        made = prepare(data)
        large = made.info.width_px == 320
        with lock:
            at_work[large] += 1
            most[large] = max(most[large], at_work[large])
        time.sleep(0.02)
        with lock:
            at_work[large] -= 1
        return made

    monkeypatch.setattr(batches, "prepare", slow)
    monkeypatch.setattr(batches, "give_back", lambda: given_back.append(None))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert db.collect(folder.parent).n_stored == 12
    assert most[True] == 1
    assert most[False] > 1
    assert len(given_back) == 6


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "n02091134"
    folder.mkdir(parents=True)
    with (folder / "sparse.jpg").open("wb") as file:
        file.truncate(DEFAULT_LIMITS.max_bytes * 1000)
    done = db.collect(folder.parent, layout="imagefolder")
    assert done.n_rejected == 1
    (reject,) = db.rejects()
    assert (reject["code"], "200,000,000,000 bytes" in reject["reason"]) == ("too_many_bytes", True)
