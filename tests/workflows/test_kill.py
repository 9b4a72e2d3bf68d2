"""Killed at random moments, a collect loses nothing and stores nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.conftest import draw
from tests.workflows.visitor import Visitor
from tests.workflows.whole import assert_sound, stored

from imagetree.catalog import schema
from imagetree.database import Database

N_KILLS = 20
N_IMAGES = 600
PAGES = [
    page + suffix
    for page in ("/jobs", "/tree", "/synset/n02091134", "/tree/n02083346", "/collections", "/log")
    for suffix in ("", ".json")
] + ["/", "/releases.json", "/health.json", "/search?q=dog"]

COLLECT = """
import sys
from imagetree.database import Database
with Database.open(sys.argv[1]) as db:
    db.collect(sys.argv[2], layout="imagefolder")
"""


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for i in range(N_IMAGES):
        draw(folder / ("n02091134" if i % 2 else "n02099601") / f"{i:04d}.jpg", seed=i)
    return folder


def assert_whole(db: Database, n_images: int) -> None:
    """Every image once, in rows, origins and shards; the log replays."""
    assert_sound(db, n_images)
    with db.engine.connect() as connection:
        n_origins = connection.execute(
            sa.select(sa.func.count()).select_from(schema.origin)
        ).scalar_one()
    assert n_origins == n_images
    members = b"".join(
        subprocess.check_output(["tar", "tf", str(path)], stderr=subprocess.DEVNULL)
        for path in sorted(db.settings.shards_folder.glob("*.tar"))
    ).split()
    assert len(members) == len(set(members)) == n_images


@pytest.mark.slow
def test_a_collect_killed_twenty_times(
    many_photos: Path, tmp_path: Path, wordnet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small batches, so that kills fall between, in and behind many of them.
    code = (
        "import imagetree.workflows.batches as c; c.BATCH_ITEMS = 8; c.GROUP_ITEMS = 4\n" + COLLECT
    )
    folder = tmp_path / "killed.imagetree"
    Database.create(folder).close()
    generator = random.Random(20)
    command = [sys.executable, "-c", code, str(folder), str(many_photos)]
    seen: set[str] = set()
    for _ in range(N_KILLS):
        process = subprocess.Popen(command)
        with Database.open(folder) as db:
            before = db.stats().n_events
            # Python needs a second to start: the moment counts from the first event on.
            while process.poll() is None and db.stats().n_events == before:
                time.sleep(0.005)
            time.sleep(generator.uniform(0.0, 0.08))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            now = stored(db)
            assert seen <= now, "an image that was reported as stored is gone"
            seen = now
    subprocess.run(command, check=True)
    with Database.open(folder) as db:
        assert_whole(db, N_IMAGES)
        assert [row["state"] for row in db.collections()] == ["done"]


@pytest.mark.slow
def test_two_command_lines_and_a_web_server_while_the_runner_is_killed_twenty_times(
    many_photos: Path, tmp_path: Path, wordnet_file: Path
) -> None:
    folder = tmp_path / "busy.imagetree"
    Database.create(folder).close()
    with Visitor(folder, PAGES, logs=tmp_path) as visitor:
        collect_between_kills(folder, sorted(many_photos.iterdir()))
    with Database.open(folder) as db:
        assert_sound(db, N_IMAGES)
    assert visitor.broken == []
    assert visitor.stderr == ""
    wrong = [visit for visit in visitor.visits if visit.status != 200]
    # Nothing but a clear "try again" may stand in for a page.
    assert [visit for visit in wrong if visit.status != 503 or "hint" not in visit.body] == []
    assert len(wrong) <= len(visitor.visits) / 20
    assert len(visitor.visits) > 5 * len(PAGES)
    assert not [visit.path for visit in visitor.visits if "Traceback" in visit.body]


def collect_between_kills(folder: Path, halves: list[Path]) -> None:
    """Two command lines collect half of the photos each; their runner dies twenty times."""
    command = [sys.executable, "-m", "imagetree", "collect", str(folder)]
    lines = [
        subprocess.Popen([*command, str(half), "--layout", "flat", "--wnid", half.name])
        for half in halves
    ]
    generator = random.Random(21)
    n_killed = 0
    deadline = time.monotonic() + 240
    while n_killed < N_KILLS and time.monotonic() < deadline:
        time.sleep(generator.uniform(0.05, 0.5))
        n_killed += kill_runner(folder)
        if all(line.poll() is not None for line in lines):
            # Both are done before the twentieth kill: a third look at the same photos.
            lines.append(
                subprocess.Popen(
                    [*command, str(halves[0]), "--layout", "flat", "--wnid", halves[0].name]
                )
            )
    assert n_killed == N_KILLS
    assert [line.wait(timeout=120) for line in lines] == [0] * len(lines)
    kill_runner(folder)


def kill_runner(folder: Path) -> int:
    """1 when a job runner was there to be killed, else 0."""
    from imagetree.jobs.runner_lock import holder

    found = holder(folder)
    if not found or not found["pid"]:
        return 0
    try:
        os.kill(int(found["pid"]), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1
