from __future__ import annotations

import shutil

import pytest
import sqlalchemy as sa
from tests.conftest import draw

from imagetree.catalog import schema
from imagetree.core.errors import Busy, Conflict, IntegrityFailure, InvalidInput, NotFound
from imagetree.database import Database
from imagetree.workflows import freeze, releases

HALVES = {"train": 0.5, "test": 0.5}
BREEDS = ("n02091134", "n02099601", "n02106662")


@pytest.fixture
def db(tiny_database):
    with Database.open(tiny_database) as opened:
        yield opened


@pytest.fixture
def pieces(db):
    return releases.pieces_of(db.context)


def label(db, *rows):
    with db.context.writing("label.imported") as write:
        write.insert(
            schema.label,
            [
                {"image_id": i, "wnid": wnid, "state": state, "confidence": None, "method": "test"}
                for i, wnid, state in rows
            ],
        )


def test_the_release_holds_what_is_labelled(db):
    release = db.release("v1")
    assert release.classes == BREEDS
    assert release.class_names[1] == db.taxonomy[BREEDS[1]].name
    assert release.n_images == 36
    assert sum(release.splits.values()) == 36
    assert release.splits["train"] > release.splits["test"] > 0
    for record in release.images():
        assert [one.state for one in record.labels] == ["present"]
        assert record.length == len(release.image_bytes(record.sha256))
    assert str(release).splitlines()[0].startswith("Release v1 (")
    assert release.as_dict()["splits"] == release.splits


def test_the_same_content_has_one_id_and_opens(db, pieces):
    one = db.release("one", split=HALVES, seed=5)
    n_events = event_count(db)
    assert db.release("one", split=HALVES, seed=5).release_id == one.release_id
    assert event_count(db) == n_events
    assert db.release("two", split=HALVES, seed=5).release_id == one.release_id
    assert db.release("three", split=HALVES, seed=6).release_id != one.release_id
    with pytest.raises(Conflict, match="other content"):
        db.release("one", split=HALVES, seed=6)
    assert [info.name for info in releases.list_releases(pieces)] == ["v1", "one", "two", "three"]
    assert sorted(p.name for p in db.releases_folder.iterdir()) == ["one", "three", "two", "v1"]


def event_count(db):
    with db.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.event)).scalar()


def test_another_database_of_the_same_images_gives_the_same_id(db, tmp_path, photos, wordnet_file):
    # Collected class by class in another order, so that ids and places differ.
    with Database.create(tmp_path / "other.imagetree") as other:
        for wnid in reversed(BREEDS):
            shutil.copytree(photos / wnid, tmp_path / wnid / wnid)
            other.collect(tmp_path / wnid, layout="imagefolder")
        made = other.release("x", split={"train": 0.7, "test": 0.3})
    assert made.release_id == db.release("v1").release_id


@pytest.mark.postgresql
def test_postgresql_gives_the_same_id(db, tmp_path, photos, wordnet_file, postgresql_url):
    with Database.create(tmp_path / "other.imagetree", catalog=postgresql_url) as other:
        other.collect(photos, layout="imagefolder")
        made = other.release("x", split={"train": 0.7, "test": 0.3})
        assert other.verify_release("x") == []
    assert made.release_id == db.release("v1").release_id


def test_images_added_later_leave_a_release_alone(db, pieces, tmp_path):
    before = db.release("v1")
    draw(tmp_path / "more" / BREEDS[0] / "new.jpg", seed=999)
    db.collect(tmp_path / "more", layout="imagefolder")
    after = db.release("v1")
    assert (after.release_id, after.images()) == (before.release_id, before.images())
    assert releases.verify_release(pieces, "v1") == []
    with pytest.raises(Conflict):
        db.release("v1", split={"train": 0.7, "test": 0.3})
    assert db.release("v2", split={"train": 0.7, "test": 0.3}).n_images == 37


def test_labels_absences_and_boxes_go_in(db):
    box = {"wnid": BREEDS[0], "xmin": 1.5, "ymin": 2.0, "xmax": 30.0, "ymax": 40.25}
    label(db, (1, BREEDS[1], "present"), (1, "n02084071", "absent"))
    with db.context.writing("box.drawn") as write:
        rows = zip(write.numbers(schema.box, 2), ("verified", "refused"), strict=True)
        write.insert(
            schema.box,
            [
                {"box_id": n, "image_id": 1, "state": state, "at": write.at, **box}
                for n, state in rows
            ],
        )
    release = db.release("v2", split=HALVES)
    (image,) = [one for one in release.images() if one.boxes]
    assert image.present == BREEDS[:2]
    assert [(one.wnid, one.state) for one in image.labels][-1][0] == BREEDS[1]
    assert ("n02084071", "absent") in [(one.wnid, one.state) for one in image.labels]
    assert [(one.xmin, one.ymax, one.state) for one in image.boxes] == [(1.5, 40.25, "verified")]
    # What is only absent is no class, and does not nest.
    assert release.classes == BREEDS
    assert db.verify_release("v2") == []
    assert db.replay_check() == []


def test_candidates_do_not_go_in(db, tmp_path):
    draw(tmp_path / "more" / BREEDS[0] / "new.jpg", seed=999)
    db.collect(tmp_path / "more", layout="imagefolder", as_candidates=True)
    assert db.release("v2", split=HALVES).n_images == 36


def test_no_class_lies_under_another(db, pieces):
    label(db, (1, "n02084071", "present"))
    with pytest.raises(InvalidInput) as caught:
        db.release("v2", split=HALVES)
    assert "dog (n02084071) is above" in caught.value.message
    assert BREEDS[0] in caught.value.message
    assert not (db.releases_folder / "v2").exists()
    only = db.release("v2", split=HALVES, wnids=BREEDS)
    assert only.classes == BREEDS
    assert all("n02084071" not in one.present for one in only.images())
    nested = db.release("v3", split=HALVES, allow_nested=True)
    assert "n02084071" in nested.classes


def test_near_duplicates_stay_in_one_split(db):
    with db.engine.connect() as connection:
        ids = connection.execute(sa.select(schema.image.c.image_id)).scalars().all()
    stars = [ids[i : i + 4] for i in range(0, len(ids), 4)]
    with db.context.writing("image.compared") as write:
        write.insert(
            schema.near_duplicate,
            [
                {"image_id": one, "centre_id": star[0], "distance": 1}
                for star in stars
                for one in star[1:]
            ],
        )
    splits = set()
    for seed in range(4):
        release = db.release(f"s{seed}", split=HALVES, seed=seed)
        split_of = {one.sha256: one.split for one in release.images()}
        with db.engine.connect() as connection:
            names = dict(
                connection.execute(sa.select(schema.image.c.image_id, schema.image.c.sha256)).all()
            )
        for star in stars:
            assert len({split_of[names[one]] for one in star}) == 1
        splits.add(tuple(sorted(split_of.items())))
    assert len(splits) > 1


def test_fewer_classes(db):
    label(db, (1, "n02121808", "present"))
    assert db.release("all", split=HALVES).classes == (*BREEDS, "n02121808")
    assert db.release("large", split=HALVES, min_images=2).classes == BREEDS
    one = db.release("one", split={"train": 0.25}, wnids=[BREEDS[2]])
    assert (one.classes, one.n_images) == ((BREEDS[2],), 3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("../v2", {}),
        ("", {}),
        (".hidden", {}),
        ("a b", {}),
        ("x" * 65, {}),
        ("v2", {"seed": -1}),
        ("v2", {"min_images": 0}),
        ("v2", {"min_images": 1000}),
        ("v2", {"wnids": ["n00001740"]}),
        ("v2", {"wnids": []}),
        ("v2", {"split": {"train": 1.5}}),
        ("v2", {"split": {"train": 0.001}}),
    ],
)
def test_what_cannot_be_frozen(db, name, options):
    with pytest.raises(InvalidInput) as caught:
        db.release(name, **({"split": HALVES} | options))
    assert caught.value.hint
    assert [one["name"] for one in db.releases()] == ["v1"]
    assert [one.name for one in db.releases_folder.iterdir()] == ["v1"]


def test_an_empty_database_says_what_to_do(tmp_path, wordnet_file):
    with Database.create(tmp_path / "empty.imagetree") as db:
        with pytest.raises(InvalidInput, match="Collect"):
            db.release("v1", split=HALVES)
        with pytest.raises(NotFound, match="release create"):
            db.release("v1")


def test_verify_finds_a_changed_byte(db):
    assert db.verify_release("v1") == []
    sha256 = db.release("v1").images()[5].sha256
    place = db.context.place_of(sha256)
    with (db.settings.shards_folder / place.shard).open("r+b") as stream:
        stream.seek(place.offset + place.length // 2)
        old = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([old[0] ^ 1]))
    seen = []
    (problem,) = db.verify_release("v1", report=seen.append)
    assert sha256 in problem
    assert (seen[-1].n_done, seen[-1].n_total) == (36, 36)


def test_verify_finds_changed_rows(db):
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE release_image SET split = 'val' WHERE split = 'test'"))
        connection.execute(sa.text("DELETE FROM release_label"))
    problems = db.verify_release("v1")
    assert len(problems) == 3
    assert "36 rows of release_label of the manifest are missing" in problems[2]


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_manifest_that_is_not_the_frozen_one(db, damage):
    path = db.releases_folder / "v1" / "manifest.jsonl"
    data = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(data.replace(b'"split":"test"', b'"split":"tset"', 1))
    elif damage == "cut":
        path.write_bytes(data[:-40])
    assert db.verify_release("v1")
    with pytest.raises((IntegrityFailure, NotFound)):
        db.release("v1")


def test_diff_tells_what_changed(db, tmp_path):
    draw(tmp_path / "more" / "n02121808" / "cat.jpg", seed=999)
    db.collect(tmp_path / "more", layout="imagefolder")
    db.release("v2", split={"train": 0.7, "test": 0.3})
    same = db.diff_releases("v1", "v1")
    assert same["same_content"]
    assert same["n_unchanged"] == 36
    found = db.diff_releases("v1", "v2")
    assert not found["same_content"]
    assert len(found["images_added"]) == 1
    assert found["classes_added"] == ["n02121808"]
    assert (found["images_removed"], found["images_moved"], found["labels_changed"]) == ([], [], [])
    back = db.diff_releases("v2", "v1")
    assert back["images_removed"] == found["images_added"]
    with pytest.raises(NotFound, match="v1, v2"):
        db.diff_releases("v1", "v3")


def test_the_loader_reads_the_shards(db):
    release = db.release("v1")
    loader = release.loader("train", batch_size=10, image_size=48)
    batches = list(loader)
    assert loader.training
    assert sum(len(one.labels) for one in batches) == release.splits["train"]
    assert batches[0].images.shape == (10, 48, 48, 3)
    assert not release.loader("test").training
    with pytest.raises(NotFound, match="train, test"):
        release.loader("val")


def while_preparing(monkeypatch, *happenings):
    """Something that another process does after a release's snapshot, at each attempt in turn."""
    waiting = list(happenings)
    splits = freeze.with_splits

    def with_splits(*args, **options):
        if waiting:
            waiting.pop(0)()
        return splits(*args, **options)

    monkeypatch.setattr(freeze, "with_splits", with_splits)


def test_others_write_while_a_release_is_prepared(db, monkeypatch, tmp_path):
    draw(tmp_path / "more" / BREEDS[0] / "new.jpg", seed=999)
    # A writing transaction held meanwhile would keep this one waiting for ever.
    while_preparing(monkeypatch, lambda: db.collect(tmp_path / "more", layout="imagefolder"))
    release = db.release("v2", split=HALVES)
    assert release.n_images == 36, "the release is of the moment of its snapshot"
    assert db.verify_release("v2") == []
    assert db.release("v3", split=HALVES).n_images == 37
    assert db.replay_check() == []


def test_images_undone_while_a_release_is_prepared_are_not_in_it(db, monkeypatch, tmp_path):
    draw(tmp_path / "more" / BREEDS[0] / "new.jpg", seed=999)
    number = db.collect(tmp_path / "more", layout="imagefolder").collection_id
    while_preparing(monkeypatch, lambda: db.undo(number))
    assert db.release("v2", split=HALVES).n_images == 36
    assert db.verify_release("v2") == []
    assert db.replay_check() == []


def test_a_release_that_cannot_be_put_in_leaves_nothing_behind(db, monkeypatch):
    def gone(connection, name):
        raise freeze._ImagesGone

    def files():
        folders = (db.folder / "events", db.releases_folder)
        return {path for folder in folders for path in folder.rglob("*") if path.is_file()}

    before = files()
    monkeypatch.setattr(freeze, "_refuse_missing", gone)
    decide = [lambda: db.decide(BREEDS[0], safety="safe")] * freeze.ATTEMPTS
    while_preparing(monkeypatch, *decide)
    with pytest.raises(Busy, match="removed"):
        db.release("v2", split=HALVES)
    assert [row["name"] for row in db.releases()] == ["v1"]
    assert files() == before


def test_two_make_one_release_at_a_time(db, monkeypatch):
    with Database.open(db.folder) as other:
        while_preparing(monkeypatch, lambda: other.release("v2", split=HALVES, seed=1))
        with pytest.raises(Conflict, match="other content"):
            db.release("v2", split=HALVES, seed=2)
        while_preparing(monkeypatch, lambda: other.release("v3", split=HALVES, seed=3))
        assert db.release("v3", split=HALVES, seed=3).n_images == 36
    assert sorted(path.name for path in db.releases_folder.iterdir()) == ["v1", "v2", "v3"]
    assert db.verify_release("v2") == db.verify_release("v3") == []
