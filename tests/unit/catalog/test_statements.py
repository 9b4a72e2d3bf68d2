from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from imagetree.catalog import schema
from imagetree.catalog.statements import event, image, synset
from imagetree.catalog.writing import now, writing
from imagetree.core.errors import NotFound


def fill(engine: Engine, folder: Path) -> None:
    rows = [
        {
            "image_id": i, "sha256": f"{i:064x}", "format": "JPEG", "mode": "RGB",
            "width_px": 10, "height_px": 10, "shard": "s", "offset": i, "length": 1,
            "thumb_shard": "t", "thumb_offset": i, "thumb_length": 1, "fingerprint": 0,
            "stored_at": now(),
        }
        for i in range(1, 11)
    ]  # fmt: skip
    drawn = [{"image_id": i, "wnid": "n1", "draw": i / 11} for i in range(1, 11)]
    with writing(engine, "test.filled", actor="test", events_folder=folder) as write:
        write.insert(schema.image, rows)
        write.insert(schema.candidate, drawn)


def test_photos_are_paged_by_key(engine: Engine, tmp_path: Path) -> None:
    fill(engine, tmp_path)
    with engine.connect() as connection:
        found = synset.read_photos(connection, "n1", state="candidate", after=3, limit=4)
        assert [one.image_id for one in found] == [4, 5, 6, 7]
        assert event.last_event(connection) == 1


def test_a_sample_goes_round(engine: Engine, tmp_path: Path) -> None:
    fill(engine, tmp_path)
    with engine.connect() as connection:
        found = synset.sample_candidates(connection, "n1", n=4, start=0.8)
    assert [number for number, _ in found] == [9, 10, 1, 2]


def test_an_unknown_image(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(NotFound):
        image.read_image(connection, "0" * 64)
