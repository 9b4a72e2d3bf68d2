from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from imagetree.core.errors import Conflict, NotFound
from imagetree.database import Database
from imagetree.images.decode import decode
from imagetree.workflows.public_view import answers, write_public_view
from imagetree.workflows.releases import pieces_of


@pytest.fixture
def db(tiny_database):
    with Database.open(tiny_database) as opened:
        yield opened


def test_the_view_shows_pixels_and_tells_nothing(db, tmp_path):
    pieces, release, folder = pieces_of(db.context), db.release("v1"), tmp_path / "view"
    n_images = write_public_view(pieces, "v1", split="test", folder=folder)
    assert n_images == release.splits["test"]
    hidden = answers(pieces, "v1", split="test")
    assert set(hidden.values()) == {one.sha256 for one in release.images("test")}
    lines = [json.loads(one) for one in (folder / "images.jsonl").read_text().splitlines()]
    assert [one["id"] for one in lines] == sorted(hidden)
    assert {tuple(one) for one in lines} == {("id", "width_px", "height_px")}
    assert [hidden[one["id"]] for one in lines] != sorted(hidden.values())
    for public_id, sha256 in hidden.items():
        with Image.open(folder / "images" / f"{public_id}.png") as image:
            assert image.info == {}
            assert np.array_equal(np.asarray(image), decode(release.image_bytes(sha256)))
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert len(files) == n_images + 2
    told = b"".join(str(one).encode() + one.read_bytes() for one in files)
    assert not [sha256 for sha256 in hidden.values() if sha256.encode() in told]
    assert set(json.loads((folder / "classes.json").read_text())) == set(release.classes)


def test_the_ids_stay_and_a_folder_is_never_mixed(db, tmp_path):
    pieces = pieces_of(db.context)
    write_public_view(pieces, "v1", split="test", folder=tmp_path / "one")
    write_public_view(pieces, "v1", split="test", folder=tmp_path / "two")
    names = [
        sorted(one.name for one in (tmp_path / f / "images").iterdir()) for f in ("one", "two")
    ]
    assert names[0] == names[1]
    key = db.releases_folder / "v1" / "view.key"
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="not empty"):
        write_public_view(pieces, "v1", split="test", folder=tmp_path / "one")
    with pytest.raises(NotFound, match="train, test"):
        write_public_view(pieces, "v1", split="hidden", folder=tmp_path / "three")
    assert not (tmp_path / "three").exists()
