"""A collect from folder to rows and back, on SQLite and on PostgreSQL."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image

from imagetree.catalog import schema
from imagetree.core.errors import Conflict, InvalidInput, NotFound
from imagetree.database import Database


@pytest.fixture
def db(catalog_url: str, tmp_path: Path, wordnet_file: Path) -> Iterator[Database]:
    """An empty database whose catalog is on either engine."""
    catalog = "" if catalog_url.startswith("sqlite") else catalog_url
    with Database.create(tmp_path / "test.imagetree", catalog=catalog) as made:
        yield made


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, where classes.csv goes."""
    folder = tmp_path / "inside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_an_image_folder_is_stored_once(db: Database, photos: Path) -> None:
    first = db.collect(photos, layout="imagefolder")
    assert (first.n_stored, first.n_known, first.n_rejected) == (36, 0, 0)
    again = db.collect(photos, layout="imagefolder")
    assert (again.n_stored, again.n_known, again.n_rejected) == (0, 36, 0)
    stats = db.stats()
    assert (stats.n_images, stats.n_present, stats.n_synsets) == (36, 36, 3)
    report = db.check()
    assert report.sound
    assert report.n_images == 36
    assert db.replay_check() == []


def test_the_untouched_bytes_and_a_thumbnail_come_back(db: Database, photos: Path) -> None:
    db.collect(photos)
    with db.engine.connect() as connection:
        rows = connection.execute(
            sa.select(schema.image.c.sha256, schema.origin.c.location).join(
                schema.origin, schema.origin.c.image_id == schema.image.c.image_id
            )
        ).all()
    assert len(rows) == 36
    for row in rows:
        assert db.image_bytes(row.sha256) == Path(row.location).read_bytes()
        assert db.thumbnail_bytes(row.sha256)[:2] == b"\xff\xd8"
    with pytest.raises(NotFound):
        db.image_bytes("0" * 64)


def test_bad_files_are_rows_and_the_rest_is_stored(
    db: Database, photos: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "mixed"))
    breed = folder / "n02091134"
    whole = (breed / "00.jpg").read_bytes()
    (breed / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (breed / "text.jpg").write_text("not a photo at all")
    (breed / "empty.jpg").write_bytes(b"")
    (breed / "same.jpg").write_bytes(whole)
    done = db.collect(folder, layout="imagefolder")
    assert (done.n_stored, done.n_rejected) == (36, 3)
    rejects = {Path(row["location"]).name: row for row in db.rejects(done.collection_id)}
    assert rejects["cut.jpg"]["code"] == "truncated"
    assert rejects["text.jpg"]["code"] == "not_an_image"
    assert set(rejects) == {"cut.jpg", "text.jpg", "empty.jpg"}
    assert all(row["reason"] for row in rejects.values())
    with db.engine.connect() as connection:
        n_origins = connection.execute(
            sa.select(sa.func.count()).select_from(schema.origin)
        ).scalar_one()
    assert n_origins == 37, "an exact duplicate is stored once, with both origins"


def test_near_duplicates_are_a_star(db: Database, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "near" / "n02091134"
    folder.mkdir(parents=True)
    with Image.open(photos / "n02091134" / "00.jpg") as image:
        image.save(folder / "a.jpg", quality=95)
        image.save(folder / "b.jpg", quality=60)
        image.resize((144, 108)).save(folder / "c.jpg", quality=90)
    shutil.copy(photos / "n02091134" / "01.jpg", folder / "other.jpg")
    done = db.collect(folder.parent, layout="imagefolder")
    assert (done.n_stored, done.n_near_duplicates) == (4, 2)


def test_a_word_with_several_meanings_is_asked_about(
    db: Database, photos: Path, tmp_path: Path, inside: Path
) -> None:
    folder = tmp_path / "words"
    shutil.copytree(photos / "n02091134", folder / "crane")
    shutil.copytree(photos / "n02099601", folder / "whippet")
    with pytest.raises(InvalidInput, match="crane: 5 synsets") as asked:
        db.collect(folder, layout="imagefolder")
    assert "--classes" in asked.value.hint
    assert db.stats().n_images == 0
    rows = list(csv.DictReader((inside / "classes.csv").read_text("utf-8").splitlines()))
    assert [row["name"] for row in rows].count("crane") == 5
    bird = next(row for row in rows if "bird" in row["gloss"])
    edited = inside / "mine.csv"
    edited.write_text(f"name,wnid\ncrane,{bird['wnid']}\n", encoding="utf-8")
    done = db.collect(folder, layout="imagefolder", classes=edited)
    assert done.n_stored == 24


def test_people_wait_for_a_curator(db: Database, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    shutil.copytree(photos / "n02091134", folder / "n10787470")  # woman
    shutil.copytree(photos / "n02099601", folder / "n02099601")
    done = db.collect(folder, layout="imagefolder")
    assert (done.n_stored, done.n_rejected) == (12, 12)
    assert {row["code"] for row in db.rejects()} == {"refused_synset"}
    db.decide("n10787470", safety="safe")
    assert db.collect(folder, layout="imagefolder").n_stored == 12
    db.decide("n02084071", safety="unsafe")  # dog: refuses what is under it
    shutil.copytree(photos / "n02106662", tmp_path / "more" / "n02106662")
    assert db.collect(tmp_path / "more", layout="imagefolder").n_rejected == 12
    assert db.replay_check() == []


def test_candidates_wait_for_votes(db: Database, photos: Path) -> None:
    db.collect(photos, layout="imagefolder", as_candidates=True)
    stats = db.stats()
    assert (stats.n_present, stats.n_candidates) == (0, 36)
    db.collect(photos / "n02091134", layout="flat", wnid="n02091134")
    assert db.stats().n_candidates == 36, "a candidate is one once"
    db.collect(photos, layout="imagefolder")
    stats = db.stats()
    assert (stats.n_present, stats.n_candidates) == (36, 0), "a label ends the candidacy"
    assert db.replay_check() == []


def test_undo_takes_back_what_nobody_needs(db: Database, photos: Path) -> None:
    one = db.collect(photos, layout="imagefolder")
    two = db.collect(photos / "n02091134", layout="flat", wnid="n02091134")
    undone = db.undo(one.collection_id)
    assert (undone["n_removed"], undone["n_kept"]) == (24, 12)
    stats = db.stats()
    assert (stats.n_images, stats.n_present, stats.n_candidates) == (12, 0, 0)
    assert db.check().sound
    shards = b"".join(path.read_bytes() for path in db.settings.shards_folder.glob("*.tar"))
    assert (photos / "n02099601" / "00.jpg").read_bytes() not in shards
    db.undo(two.collection_id)
    assert db.stats().n_images == 0
    assert db.replay_check() == []
    assert db.collect(photos, layout="imagefolder").n_stored == 36
    assert db.check().sound
    with pytest.raises(NotFound):
        db.undo(99)


def test_undo_keeps_what_a_release_holds(db: Database, photos: Path) -> None:
    one = db.collect(photos, layout="imagefolder")
    db.release("v1", split={"train": 0.7, "test": 0.3})
    assert db.undo(one.collection_id) == {
        "collection_id": one.collection_id,
        "n_removed": 0,
        "n_kept": 36,
    }
    assert db.release("v1").n_images == 36
    assert not db.verify_release("v1")
    with pytest.raises(Conflict):
        db.release("v1", split={"train": 0.5, "test": 0.5})


def _cut(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"half a member")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[700] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "code", "mended"),
    [(_cut, "torn_tail", True), (_flip, "changed", False), (Path.unlink, "missing", False)],
)
def test_check_finds_damage(
    db: Database, photos: Path, damage: Callable[[Path], None], code: str, mended: bool
) -> None:
    db.collect(photos, layout="imagefolder")
    (shard,) = db.settings.shards_folder.glob("*.tar")
    damage(shard)
    assert code in {one.code for one in db.check().findings}
    repaired = db.check(repair=True)
    assert repaired.sound is mended
    assert db.check().sound is mended


def test_a_shard_without_rows_is_read_again(
    db: Database, photos: Path, tmp_path: Path, wordnet_file: Path
) -> None:
    db.collect(photos, layout="imagefolder")
    with Database.create(tmp_path / "other.imagetree") as other:
        for path in db.settings.shards_folder.glob("*.tar"):
            shutil.copy(path, other.settings.shards_folder)
        assert {one.code for one in other.check().findings} == {"unknown"}
        assert other.check(repair=True).repaired == 36
        assert other.stats().n_images == 36
        assert other.check().sound
