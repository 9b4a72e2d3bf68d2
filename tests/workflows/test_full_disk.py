"""A full disk: the command ends with the reason, nothing stored is lost, and it goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import draw
from tests.workflows.whole import assert_sound, stored

from imagetree.core.errors import OutOfSpace
from imagetree.core.space import free_bytes
from imagetree.database import Database
from imagetree.jobs.runner_lock import holder

N_IMAGES = 600
SIZE_BYTES = 24_000_000


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for i in range(N_IMAGES):
        draw(folder / ("n02091134" if i % 2 else "n02099601") / f"{i:04d}.jpg", seed=i)
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    found = holder(folder / "full.imagetree")
    if found and found["pid"]:
        os.kill(int(found["pid"]), signal.SIGTERM)
    # Detached at once: the runner may need a moment to end.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(disk: Path, n_bytes: int) -> Path:
    """Fills the disk but for so many bytes; deleting the file makes room again."""
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, free_bytes(disk) - n_bytes)))
    return filler


def assert_whole(folder: Path) -> None:
    """Every photo is stored once, every byte holds, and the log replays."""
    with Database.open(folder) as db:
        assert_sound(db, N_IMAGES)
        assert [row["n_stored"] for row in db.collections()] == [N_IMAGES]
    assert not list((folder / "events").glob(".*.part"))


@pytest.mark.parametrize("room_kb", [100, 700, 1100, 1600, 2200])
def test_in_this_process(
    small_disk: Path,
    many_photos: Path,
    wordnet_file: Path,
    room_kb: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Small batches and different rooms: shards, catalog and payload files each are the first to
    # find the disk full.
    monkeypatch.setattr("imagetree.workflows.batches.BATCH_ITEMS", 40)
    folder = small_disk / "full.imagetree"
    with Database.create(folder) as db:
        filler = leave(small_disk, room_kb * 1000)
        with pytest.raises(OutOfSpace, match="safe"):
            db.collect(many_photos, layout="imagefolder")
        kept = stored(db)
        assert len(kept) < N_IMAGES
        assert db.check().findings == ()
        filler.unlink()
        db.collect(many_photos, layout="imagefolder")
        assert kept <= stored(db)
    assert_whole(folder)


def collect(folder: Path, photos: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imagetree", "collect", str(folder), str(photos)]
    return subprocess.run(
        [*command, "--layout", "imagefolder"], capture_output=True, text=True, timeout=60
    )


@pytest.mark.slow
def test_by_the_job_runner(small_disk: Path, many_photos: Path, wordnet_file: Path) -> None:
    folder = small_disk / "full.imagetree"
    Database.create(folder).close()
    filler = leave(small_disk, 5_200_000)  # the runner keeps 4 MB of it for itself
    done = collect(folder, many_photos)
    assert done.returncode == OutOfSpace.exit_code, done.stderr
    assert "is full" in done.stderr
    assert "safe" in done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr + (folder / "cache" / "runner.log").read_text()
    with Database.open(folder) as db:
        assert [job.state for job in db.jobs.newest()] == ["failed"]
        assert db.check().findings == ()
    filler.unlink()
    assert collect(folder, many_photos).returncode == 0
    assert_whole(folder)


@pytest.mark.slow
def test_no_room_for_a_runner(small_disk: Path, many_photos: Path, wordnet_file: Path) -> None:
    folder = small_disk / "full.imagetree"
    Database.create(folder).close()
    filler = leave(small_disk, 1_000_000)
    done = collect(folder, many_photos)
    assert done.returncode == OutOfSpace.exit_code, done.stderr
    assert holder(folder) is None
    filler.unlink()
    assert collect(folder, many_photos).returncode == 0
    assert_whole(folder)


@pytest.mark.slow
def test_another_program_takes_every_byte(
    small_disk: Path, many_photos: Path, wordnet_file: Path
) -> None:
    # Even the reserve is taken: the failure cannot be recorded, and the command ends all the same.
    folder = small_disk / "full.imagetree"
    Database.create(folder).close()
    stop = threading.Event()

    def fill() -> None:
        while not (folder / "jobs.sqlite").exists() and not stop.wait(0.01):
            pass
        with (small_disk / "filler").open("ab", buffering=0) as stream:
            while not stop.is_set():
                try:
                    stream.write(bytes(max(1, min(65536, free_bytes(small_disk)))))
                except OSError:
                    time.sleep(0.001)

    filling = threading.Thread(target=fill)
    filling.start()
    try:
        done = collect(folder, many_photos)
    finally:
        stop.set()
        filling.join()
    assert done.returncode == OutOfSpace.exit_code, done.stdout + done.stderr
    (small_disk / "filler").unlink()
    # The job that could not be recorded as failed may go on by itself: either way, once each.
    assert collect(folder, many_photos).returncode == 0
    with Database.open(folder) as db:
        assert_sound(db, N_IMAGES)
