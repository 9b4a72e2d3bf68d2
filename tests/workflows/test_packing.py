"""Packing for training: a release's copy from real bytes, killed, full, damaged, read again."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import draw

from imagetree.cli.main import run
from imagetree.core.errors import Cancelled, Conflict, InvalidInput, NotFound, OutOfSpace
from imagetree.core.progress import Progress
from imagetree.database import Database
from imagetree.images.decode import read_info
from imagetree.jobs.steps import DirectSteps
from imagetree.release.loader import Loader
from imagetree.release.packed import find_folders
from imagetree.workflows import packing

NAME = "packed-64-q90"


@pytest.fixture
def db(tiny_database: Path) -> Iterator[Database]:
    with Database.open(tiny_database) as made:
        yield made


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def answers(loader: Loader) -> list[tuple[tuple[str, ...], list[int]]]:
    return [(batch.sha256, batch.labels.tolist()) for batch in loader]


def pack(db: Database, **options: object) -> None:
    db.pack("v1", max_side=64, **options)  # type: ignore[arg-type]


# ---- what comes out ----


def test_a_packed_copy_feeds_the_loader(db: Database) -> None:
    manifest = (db.releases_folder / "v1" / "manifest.jsonl").read_bytes()
    copy = db.pack("v1", max_side=64)
    release = db.release("v1")
    n_train = release.splits["train"]
    assert (copy.name, copy.n_images, copy.splits) == (NAME, n_train, {"train": n_train})
    assert [one.name for one in release.packed_copies()] == [NAME]
    loader = release.loader("train", packed=True, batch_size=8, image_size=32)
    assert loader.source == copy.description
    assert release.loader("train", image_size=32).source == "originals"
    assert loader._sizes.max() == 64
    assert answers(loader) == answers(release.loader("train", batch_size=8, image_size=32))
    assert (db.releases_folder / "v1" / "manifest.jsonl").read_bytes() == manifest
    assert db.verify_release("v1") == []
    assert db.check().findings == ()


def test_packed_pixels_are_those_of_the_originals(
    data_folder: Path, tmp_path: Path, wordnet_file: Path
) -> None:
    photos = sorted((data_folder / "imagenet_val" / "images").glob("*.JPEG"))[:12]
    for number, path in enumerate(photos):
        target = tmp_path / "photos" / ("n02091134", "n02099601")[number % 2] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    with Database.create(tmp_path / "photos.imagetree") as db:
        db.collect(tmp_path / "photos", layout="imagefolder")
        release = db.release("v1", split={"train": 1.0})
        copy = db.pack(release)
        assert copy.n_bytes < 0.7 * sum(one.length for one in release.images())

        def centre(packed: bool) -> np.ndarray:
            loader = release.loader("train", packed=packed, training=False, image_size=96)
            return next(loader.epoch(0)).images.astype(float)

        squared = (centre(True) - centre(False)) ** 2
        psnr = 10 * np.log10(255**2 / squared.mean(axis=(1, 2, 3)))
        assert psnr.min() > 28  # 34 to 43 where it was measured: photos, and not noise
        assert psnr.mean() > 33


def test_digits_lose_nothing(tmp_path: Path, wordnet_file: Path) -> None:
    with Database.create(tmp_path / "digits.imagetree") as db:
        db.collect(layout="digits")
        release = db.release("v1", split={"train": 0.7, "test": 0.3})
        db.pack(release)

        def epoch(packed: bool) -> list[bytes]:
            loader = release.loader("train", image_size=32, channels=1, packed=packed)
            return [batch.images.tobytes() for batch in loader.epoch(1)]

        assert epoch(True) == epoch(False)


def test_threads_change_no_byte(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = db.releases_folder / "v1" / NAME
    made = []
    for n_threads in (1, 2, 7):
        monkeypatch.setattr(os, "cpu_count", lambda n=n_threads: n)
        pack(db)
        made.append(bytes_of(folder))
        assert db.remove_packed("v1", max_side=64) > 0
    assert made[0] == made[1] == made[2]


def test_a_test_split_is_packed_only_when_named_and_never_with_answers(db: Database) -> None:
    pack(db, splits=["train", "test"])
    folder = db.releases_folder / "v1" / NAME
    names = {
        path.name: subprocess.check_output(["tar", "tf", path], text=True)
        for path in folder.glob("*.tar")
    }
    assert set(names) == {"train-000000.tar", "test-000000.tar"}
    assert ".cls" in names["train-000000.tar"]
    assert ".cls" not in names["test-000000.tar"]
    assert "answers" not in (folder / "packed.json").read_text()
    loader = db.release("v1").loader("test", packed=NAME, image_size=32)
    assert loader.n_images == db.release("v1").splits["test"]


# ---- what goes wrong ----


def test_one_bad_image_is_noted_and_the_rest_goes_on(db: Database) -> None:
    release = db.release("v1")
    bad = release.images("train")[3].sha256
    place = db.context.place_of(bad)
    assert place is not None
    with (db.settings.shards_folder / place.shard).open("r+b") as stream:
        stream.seek(place.offset + 200)
        stream.write(b"rotten")
    copy = db.pack(release, max_side=64)
    assert [(one[0], one[1]) for one in copy.rejects] == [(bad, "changed")]
    assert copy.n_images == release.splits["train"] - 1
    loader = release.loader("train", packed=True, image_size=32)
    assert loader.n_images == copy.n_images
    assert "1 could not be packed" in loader.source


def test_a_lost_shard_is_noted_too(db: Database) -> None:
    for path in db.settings.shards_folder.glob("*.tar"):
        path.unlink()
    with pytest.raises(Exception, match="No image of release v1 could be packed"):
        pack(db)
    assert db.packed_copies("v1") == []


def test_what_cannot_be_packed_is_refused(db: Database) -> None:
    for options in ({"max_side": 63}, {"quality": 0}, {"quality": 96}):
        with pytest.raises(InvalidInput):
            db.pack("v1", **options)  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="no split"):
        pack(db, splits=["nonsense"])
    with pytest.raises(NotFound, match="no packed copy"):
        db.remove_packed("v1")
    only_test = db.release("v2", split={"test": 1.0})
    with pytest.raises(InvalidInput, match="only splits for testing"):
        db.pack(only_test)
    pack(db)
    with pytest.raises(Conflict, match="holds train"):
        pack(db, splits=["test"])


def test_loaders_ask_for_a_copy_that_is_there(db: Database) -> None:
    release = db.release("v1")
    with pytest.raises(NotFound, match="release pack DATABASE v1"):
        release.loader("train", packed=True)
    pack(db)
    db.pack("v1", max_side=80)
    assert release.loader("train", packed=True, image_size=32).source.startswith("packed-80-q90")
    named = release.loader("train", packed=NAME, image_size=32)
    again = release.loader("train", packed=named.source, image_size=32)
    assert again.source == named.source
    with pytest.raises(NotFound, match="packed-80-q90, packed-64-q90"):
        release.loader("train", packed="packed-1-q1")
    with pytest.raises(NotFound, match="no images of test"):
        release.loader("test", packed=True)
    with pytest.raises(Conflict, match="has changed"):
        release.loader("train", packed=f"{NAME} (0123456789ab)")


# ---- stopped, killed, full ----


def test_a_stopped_packing_goes_on(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_CHUNK", 4)
    params = packing.plan(db.context, "v1", max_side_px=64)
    seen: list[int] = []
    steps = DirectSteps(lambda told: seen.append(told.n_done), lambda: bool(seen) and seen[-1] > 4)
    with pytest.raises(Cancelled, match="kept"):
        packing.pack(steps, db.context, params)
    assert db.packed_copies("v1") == []
    told: list[Progress] = []
    done = packing.pack(DirectSteps(told.append), db.context, params)
    assert done == {"name": NAME, "made": True}
    assert told[0].n_done > 4, "it began from the start"
    assert told[-1].n_done == told[-1].n_total
    once = bytes_of(db.releases_folder / "v1" / NAME)
    db.remove_packed("v1", max_side=64)
    pack(db)
    assert bytes_of(db.releases_folder / "v1" / NAME) == once


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    tmp_path: Path, wordnet_file: Path
) -> None:
    n_images, most_kills = 200, 6
    for i in range(n_images):
        wnid = "n02091134" if i % 2 else "n02099601"
        draw(tmp_path / "photos" / wnid / f"{i}.jpg", seed=i, size_px=(640, 480))
    folder = tmp_path / "killed.imagetree"
    with Database.create(folder) as db:
        db.collect(tmp_path / "photos", layout="imagefolder")
        release = db.release("v1", split={"train": 1.0})
        db.pack(release)
        whole = bytes_of(release.folder / "packed-400-q90")
        db.remove_packed(release)
    code = (
        "import sys, imagetree.workflows.packing as p\n"
        "p._CHUNK, p._COMMIT_EVERY_S = 2, 0.0\n"
        "from imagetree.database import Database\n"
        "with Database.open(sys.argv[1]) as db: db.pack('v1')"
    )
    generator = np.random.default_rng(7)
    journal = release.folder / ".packed-400-q90.part" / "journal.jsonl"
    n_killed = 0
    for _ in range(most_kills):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
        before = journal.stat().st_size if journal.exists() else 0
        # Python needs a second to start: the moment counts from the first commit on.
        while process.poll() is None and (not journal.exists() or journal.stat().st_size == before):
            time.sleep(0.002)
        time.sleep(float(generator.uniform(0, 0.1)))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            n_killed += 1
        process.wait()
    with Database.open(folder) as db:
        assert db.pack("v1").n_images == n_images
    assert n_killed > 1
    assert bytes_of(release.folder / "packed-400-q90") == whole


def test_a_full_disk_is_told_and_packing_goes_on(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [20_000]

    def filling(descriptor: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_written = real(descriptor, data[: left[0]])
        left[0] -= n_written
        return n_written

    real = os.write
    monkeypatch.setattr("imagetree.release.packed_writer.os.write", filling)
    with pytest.raises(OutOfSpace, match="full"):
        pack(db)
    monkeypatch.setattr("imagetree.release.packed_writer.os.write", real)
    assert db.packed_copies("v1") == []
    pack(db)
    assert db.packed_copies("v1")[0].n_images == db.release("v1").splits["train"]
    names = subprocess.check_output(
        ["tar", "tf", db.releases_folder / "v1" / NAME / "train-000000.tar"], text=True
    ).split()
    assert len(names) == len(set(names)) == 2 * db.release("v1").splits["train"]


# ---- commands, jobs, training ----


def test_the_commands(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(db.folder)

    def told(*words: str, code: int = 0) -> str:
        assert run([*words]) == code
        return capsys.readouterr().out

    small = ("release", "pack", folder, "v1", "--max-side", "64")
    made = json.loads(told(*small, "--json"))
    assert (made["name"], made["made"], made["rejects"]) == (NAME, True, [])
    text = told(*small)
    assert "was packed already" in text
    assert f"imagetree train {folder} v1 alexnet --packed" in text
    assert NAME in told("release", "list", folder)
    assert json.loads(told("release", "list", folder, "--json"))[0]["packed"][0]["name"] == NAME
    assert NAME in told("release", "show", folder, "v1")
    assert "are free" in told(*small, "--remove")
    assert find_folders(db.releases_folder / "v1") == []
    assert told(*small, "--remove", code=NotFound.exit_code) == ""


def test_a_run_tells_what_it_read(db: Database) -> None:
    pytest.importorskip("torch")
    copy = db.pack("v1", max_side=64)
    recipe = {"epochs": 1, "batch_size": 8, "image_size": 32}
    run = db.train("v1", "lenet5", name="packed", packed=True, **recipe)
    assert run.recipe["reads"] == copy.description
    card = json.loads((run.folder / "bundle" / "bundle.json").read_text())
    assert card["extra"]["reads"] == copy.description
    evaluation = db.evaluate(run, split="test")
    assert evaluation.reads == "originals"
    assert "read from originals" in str(evaluation)
    assert db.run("packed").scores[0]["protocol"]["reads"] == "originals"
    plain = db.train("v1", "lenet5", name="plain", **recipe)
    assert plain.recipe["reads"] == "originals"
    db.remove_packed("v1", max_side=64)
    with pytest.raises(NotFound, match="release pack"):
        db.train("v1", "lenet5", name="later", packed=True, **recipe)


def test_packed_files_are_what_the_index_says(db: Database) -> None:
    pack(db)
    loader: Loader = db.release("v1").loader("train", packed=True, image_size=32)
    source = loader._source
    for sha256, size in zip(loader._sha256, loader._sizes.tolist(), strict=True):
        (data,) = source.read_many([sha256])
        info = read_info(data)
        assert [info.width_px, info.height_px] == size
