from __future__ import annotations

import json

import numpy as np
import pytest
import sqlalchemy as sa
from tests.conftest import draw

from imagetree.catalog import schema
from imagetree.core.errors import Busy, Conflict, InvalidInput, NotFound, TrainingFailure
from imagetree.database import Database
from imagetree.jobs.steps import DirectSteps
from imagetree.release.release import Release
from imagetree.workflows import planning, training

QUICK = {"epochs": 2, "batch_size": 8, "image_size": 32, "width": 0.25, "bf16": False}
BREEDS = ("n02091134", "n02099601", "n02106662")


@pytest.fixture
def db(tiny_database):
    with Database.open(tiny_database) as opened:
        yield opened


def rows_of(run):
    text = (run.folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def looked_at(monkeypatch, forbidden):
    """The SHA-256 of every image that is read; one of `forbidden` fails the test at once."""
    seen = set()
    original = Release.loader

    def loader(self, split, **options):
        made = original(self, split, **options)
        inner = made._read

        def noted(sha256):
            assert sha256 not in forbidden, "training looked at the test split"
            seen.add(sha256)
            return inner(sha256)

        made._read = noted
        return made

    monkeypatch.setattr(Release, "loader", loader)
    return seen


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_training_never_looks_at_the_test_split(db, monkeypatch, schedule):
    release = db.release("v1")
    test = {one.sha256 for one in release.images("test")}
    seen = looked_at(monkeypatch, test)
    run = db.train("v1", "alexnet", name="a", validation=0.2, schedule=schedule, **QUICK)
    assert seen == {one.sha256 for one in release.images("train")}
    held_out = set(json.loads((run.folder / "held-out.json").read_text("utf-8"))["sha256"])
    assert held_out < seen
    last = rows_of(run)[-1]
    assert (last["watched"], last["n_watched"]) == ("held out of train", len(held_out))
    assert run.recipe["watched"] == "held out of train"
    by_class = [one.present[0] for one in release.images("train") if one.sha256 in held_out]
    assert sorted(set(by_class)) == list(BREEDS)


def test_what_is_held_out_is_not_trained_on_and_follows_from_the_seed(db, monkeypatch):
    given = []
    original = Release.loader

    def loader(self, split, **options):
        made = original(self, split, **options)
        given.append((options["training"], frozenset(made._sha256)))
        return made

    first = db.train("v1", "alexnet", name="a", validation=0.2, **QUICK)
    monkeypatch.setattr(Release, "loader", loader)
    again = db.train("v1", "alexnet", name="b", validation=0.2, **QUICK)
    other = db.train("v1", "alexnet", name="c", validation=0.2, seed=1, **QUICK)
    apart = [(run.folder / "held-out.json").read_bytes() for run in (first, again, other)]
    assert apart[0] == apart[1] != apart[2]
    # planning makes a loader of the whole split, only to look at its classes
    (_, _), (_, trained), (_, watched), *_ = given
    assert not trained & watched
    assert trained | watched == {one.sha256 for one in db.release("v1").images("train")}


def test_near_duplicates_are_held_out_together(db):
    images = db.release("v1").images("train")
    pairs = [[one.sha256 for one in images if one.present == (breed,)][:8] for breed in BREEDS]
    with db.context.writing("duplicates.marked") as write:
        rows = write.connection.execute(sa.select(schema.image.c.sha256, schema.image.c.image_id))
        ids = {row.sha256: row.image_id for row in rows}
        write.insert(
            schema.near_duplicate,
            [
                {"image_id": ids[one], "centre_id": ids[group[0]], "distance": 1}
                for group in pairs
                for one in group[1:4]
            ],
        )
    run = db.train("v1", "alexnet", name="a", validation=0.4, **QUICK)
    apart = set(json.loads((run.folder / "held-out.json").read_text("utf-8"))["sha256"])
    assert apart
    assert all(len(apart & set(group[:4])) in (0, 4) for group in pairs)


def test_a_split_named_val_is_watched_and_nothing_held_out(db, monkeypatch):
    release = db.release("v2", split={"train": 0.5, "val": 0.2, "test": 0.3})
    seen = looked_at(monkeypatch, {one.sha256 for one in release.images("test")})
    run = db.train("v2", "alexnet", name="a", **QUICK)
    assert len(seen) == release.splits["train"] + release.splits["val"]
    assert rows_of(run)[-1]["watched"] == "val"
    assert rows_of(run)[-1]["n_watched"] == release.splits["val"]
    assert not (run.folder / "held-out.json").exists()


def test_without_validation_nothing_is_watched(db):
    run = db.train("v1", "alexnet", name="a", validation=0, **QUICK)
    assert run.recipe["watched"] == ""
    assert "top1_error" not in rows_of(run)[-1]
    with pytest.raises(InvalidInput, match="plateau"):
        db.train("v1", "alexnet", name="b", validation=0, schedule="plateau", **QUICK)
    # eight photos a class are too few to hold out 5%
    few = db.train("v1", "alexnet", name="c", validation=0.05, **QUICK)
    assert few.recipe["watched"] == ""


def test_the_test_split_is_never_asked_for_nor_trained_on(db):
    with pytest.raises(InvalidInput, match="follows from the release"):
        db.train("v1", "alexnet", name="a", watched="test", **QUICK)
    db.release("only", split={"test": 1.0})
    with pytest.raises(NotFound, match="no split to train on"):
        db.train("only", "alexnet", name="a", **QUICK)
    assert db.runs() == []


def test_wrong_settings_are_told_before_any_work(db):
    wrong = {
        "epochs": ("many", "epochs must be a whole number"),
        "batch_size": (2.5, "batch_size must be a whole number"),
        "learning_rate": ("fast", "learning_rate must be a number"),
        "flip": ("perhaps", "flip must be true or false"),
        "crop_scale": (0.5, "crop_scale must be 2 numbers"),
        "image_size": (16, "too small for alexnet"),
        "channels": ("two", "channels must be a whole number"),
        "resize_px": (20, "cannot be cut"),
        "width": ("wide", "alexnet's width must be a number"),
        "small": ("perhaps", "alexnet's small must be true or false"),
        "mean": (0.5, "mean and std need"),
        "epoch": (3, "A recipe has no epoch"),
    }
    for key, (value, message) in wrong.items():
        with pytest.raises(InvalidInput, match=message):
            db.train("v1", "alexnet", **(QUICK | {key: value}))
    with pytest.raises(InvalidInput, match="32 x 32"):
        db.train("v1", "lenet5", image_size=64)
    with pytest.raises(NotFound, match="no release"):
        db.train("v9", "alexnet")
    assert db.runs() == []


def test_grey_photos_get_grey_means(db):
    run = db.train("v1", "alexnet", name="a", channels=1, **(QUICK | {"epochs": 1}))
    assert len(run.recipe["mean"]) == 1
    assert db.evaluate("a", split="test").n_images


def test_a_class_without_training_images_is_named(db, tmp_path):
    # One photo of a fourth breed: all of it goes to the split that lacks it most.
    draw(tmp_path / "more" / "n02110341" / "one.jpg", seed=7)
    db.collect(tmp_path / "more", layout="imagefolder")
    db.release("v2", split={"train": 0.3, "test": 0.7}, min_images=1)
    with pytest.raises(TrainingFailure, match=r"no training images of dalmatian.*n02110341"):
        db.train("v2", "alexnet", **QUICK)


def test_a_run_of_the_same_name_says_what_differs(db):
    run = db.train("v1", "alexnet", name="a", **QUICK)
    with pytest.raises(Conflict, match="trained already"):
        db.train("v1", "alexnet", name="a", **QUICK)
    with db.context.writing("run.finished") as write:
        write.update(schema.run, [{"name": run.name, "state": "stopped"}])
    with pytest.raises(Conflict, match="epochs 2, not 3"):
        db.train("v1", "alexnet", name="a", **(QUICK | {"epochs": 3}))
    assert db.train("v1", "alexnet", name="a", **QUICK).state == "done"


def test_a_loss_that_is_no_number_fails_the_run_and_says_what_to_do(db):
    with pytest.raises(TrainingFailure, match="loss is") as told:
        db.train("v1", "alexnet", name="a", **(QUICK | {"learning_rate": 1e30, "clip_norm": 0.0}))
    assert "learning rate" in told.value.hint
    run = db.run("a")
    assert (run.state, "loss is" in run.reason) == ("failed", True)


def test_an_interrupted_run_goes_on_with_the_images_held_out_first(db, monkeypatch):
    from imagetree.train import loop

    stop = {"after": 3}
    original = loop._step

    def step(*arguments):
        stop["after"] -= 1
        if stop["after"] < 0:
            raise KeyboardInterrupt
        return original(*arguments)

    settings = QUICK | {"validation": 0.2, "checkpoint_every_batches": 1}
    whole = db.train("v1", "alexnet", name="whole", **settings)
    monkeypatch.setattr(loop, "_step", step)
    with pytest.raises(KeyboardInterrupt):
        db.train("v1", "alexnet", name="cut", **settings)
    assert db.run("cut").state == "stopped"
    monkeypatch.setattr(loop, "_step", original)
    cut = db.train("v1", "alexnet", name="cut", **settings)
    weights = [(run.folder / "bundle/weights.safetensors").read_bytes() for run in (whole, cut)]
    assert weights[0] == weights[1]
    assert rows_of(whole) == rows_of(cut)
    again = planning.plan(
        db.context, "v1", "alexnet", name="again", seed=0, recipe=dict(settings)
    ) | {"name": "cut"}
    assert training.train(DirectSteps(), db.context, again)["seconds"] >= cut.seconds


def test_two_processes_do_not_train_one_run(db):
    params = planning.plan(db.context, "v1", "alexnet", name="a", seed=0, recipe=dict(QUICK))
    folder = db.runs_folder / params["name"]
    with training._alone(folder), pytest.raises(Busy, match="another process"):
        db.train("v1", "alexnet", name="a", **QUICK)
    assert db.train("v1", "alexnet", name="a", **QUICK).state == "done"


def test_ten_and_two_views_are_scored_by_their_own_protocol(db):
    settings = QUICK | {"image_size": 32, "resize_px": 40}
    db.train("v1", "alexnet", name="a", **settings)
    told = {views: db.evaluate("a", split="test", views=views) for views in (1, 2, 10)}
    assert told[1].protocol == "resize 40, centre crop 32, 1 view"
    assert told[2].protocol == "resize 40, centre crop 32, 2 views (with its flip)"
    assert told[10].protocol == ("resize 40, 10 views of 32 (corners and centre, with their flips)")
    assert len({str(one.probabilities.tolist()) for one in told.values()}) == 3
    scores = db.run("a").scores
    assert [one["protocol"]["views"] for one in scores[::2]] == [t.protocol for t in told.values()]
    with pytest.raises(InvalidInput, match="3 views"):
        db.evaluate("a", split="test", views=3)


def test_ten_views_are_the_mean_of_the_crops_of_the_same_photos(db):
    """The ten views by hand, from Pillow's pixels, give the same probabilities."""
    import io

    import torch
    from PIL import Image

    from imagetree.networks import bundle

    settings = QUICK | {"resize_px": 40}
    run = db.train("v1", "alexnet", name="a", **settings)
    told = db.evaluate("a", split="test", views=10)
    network, described = bundle.load(run.folder / "bundle")
    mean, std = (np.array(one, np.float32) for one in (run.recipe["mean"], run.recipe["std"]))
    release = db.release("v1")
    for number, sha256 in enumerate(told.sha256[:3]):
        photo = Image.open(io.BytesIO(release.image_bytes(sha256))).convert("RGB")
        scale = 40 / min(photo.size)
        photo = photo.resize(
            tuple(round(side * scale) for side in photo.size), Image.Resampling.BILINEAR
        )
        left, top = ((side - 40) // 2 for side in photo.size)
        square = np.asarray(photo.crop((left, top, left + 40, top + 40)), np.float32) / 255
        cuts = [square[y : y + 32, x : x + 32] for y, x in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4))]
        views = np.stack([*cuts, *(cut[:, ::-1] for cut in cuts)])
        x = torch.from_numpy(((views - mean) / std).transpose(0, 3, 1, 2).copy())
        with torch.inference_mode():
            wanted = network(x).softmax(1).mean(0).numpy()
        assert np.abs(told.probabilities[number] - wanted).max() < 1e-5
    assert described.wnids == release.classes


def test_ten_views_without_room_say_what_to_do(db):
    db.train("v1", "alexnet", name="a", **(QUICK | {"resize_px": 32}))
    with pytest.raises(InvalidInput, match="10 views") as told:
        db.evaluate("a", split="test", views=10)
    assert "resize_px" in told.value.hint


def test_evaluation_names_the_splits_there_are(db):
    db.train("v1", "alexnet", name="a", **QUICK)
    with pytest.raises(NotFound, match="no split 'val'") as told:
        db.evaluate("a", split="val")
    assert "train" in told.value.hint


def test_the_figure_shows_each_class_before_any_twice(db):
    from imagetree.workflows.runs import _eight

    labels = np.array([0] * 50 + [1, 2, 3, 4, 5])
    probabilities = np.eye(6)[labels]
    chosen = labels[list(_eight(labels, probabilities, seed=0))]
    assert set(chosen.tolist()) == {0, 1, 2, 3, 4, 5}
    assert len(chosen) == 8


def test_progress_tells_the_watched_errors(db):
    notes = []
    db.train("v1", "alexnet", report=lambda p: notes.append(p.note), **QUICK, validation=0.2)
    assert "watched" not in notes[0]
    assert notes[-2].startswith("epoch 2/2, loss ") and "watched error top-1 " in notes[-2]
