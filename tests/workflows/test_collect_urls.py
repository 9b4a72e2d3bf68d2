"""A list of URLs from end to end: in steps, politely, with progress, killed and cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.misbehaving import Server, serving

from imagetree.core.errors import Cancelled
from imagetree.core.progress import Progress
from imagetree.database import Database
from imagetree.jobs.runner_lock import holder
from imagetree.jobs.steps import DirectSteps
from imagetree.workflows import batches
from imagetree.workflows import collect as collecting
from imagetree.workflows.catalogue import QUEUE_OF

WNID = "n02091134"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def db(tmp_path: Path, wordnet_file: Path) -> Iterator[Database]:
    with Database.create(tmp_path / "test.imagetree") as made:
        yield made


def write_list(path: Path, server: Server, paths: list[str]) -> Path:
    """Every other URL names the server by its address, the rest by its name: two hosts."""
    hosts = ("127.0.0.1", "localhost")
    lines = [
        f"{WNID}_{number}\thttp://{hosts[number % 2]}:{server.server_port}{one}\n"
        for number, one in enumerate(paths)
    ]
    path.write_text("".join(lines))
    return path


def photo_paths(n: int) -> list[str]:
    return [f"/photo/{number}" for number in range(n)]


def wait_until(holds: Callable[[], object], *, timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until, "it did not come to that in time"
        time.sleep(0.02)


def test_steps_progress_and_polite_pauses(
    db: Database, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "FETCH_URLS", 4)
    urls = write_list(tmp_path / "urls.txt", server, [*photo_paths(9), "/nothing"])
    told: list[Progress] = []
    names: list[str] = []

    class Noted(DirectSteps):
        def run(self, name: str, step: Callable[[], Any]) -> Any:
            names.append(name)
            return super().run(name, step)

    params = db.collect_params(urls, layout="urls", allow_private=True, licence="CC0-1.0")
    done = collecting.collect(Noted(told.append), db.context, params)
    assert (done["n_stored"], done["n_rejected"]) == (9, 1)
    steps = [name for name in names if name.startswith("fetch")]
    assert 2 <= len(steps) <= 3
    fetching = [one for one in told if one.what == "Fetching"]
    assert {one.n_total for one in fetching} == {10}
    counts = [one.n_done for one in fetching]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3, "progress is told while a step runs"
    assert (counts[-1], fetching[-1].note) == (10, "1 failed")
    for host in set(server.hosts):
        at = [t for t, name in zip(server.times, server.hosts, strict=True) if name == host]
        pauses = [b - a for a, b in pairwise(at)]
        assert len(pauses) == 4
        assert min(pauses) > 0.15, "a host gets its pause across steps too"


COLLECT = """
import sys
from imagetree.database import Database
with Database.open(sys.argv[1]) as db:
    db.collect(sys.argv[2], layout="urls", allow_private=True)
"""


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_fetched_twice(
    db: Database, server: Server, tmp_path: Path
) -> None:
    urls = write_list(tmp_path / "urls.txt", server, photo_paths(30))
    command = [sys.executable, "-c", COLLECT, str(db.folder), str(urls)]
    for n_seen in (8, 16):
        process = subprocess.Popen(command)
        wait_until(lambda least=n_seen: sum(server.seen.values()) >= least)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    stats = db.stats()
    assert (stats.n_images, stats.n_present) == (30, 30)
    # Each kill may cost the request under way on each of the two hosts.
    assert sum(server.seen.values()) <= 30 + 2 * 2
    assert [row["state"] for row in db.collections()] == ["done"]
    assert db.replay_check() == []


def test_killed_while_it_stores_what_is_stored_is_not_fetched_again(
    db: Database, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = write_list(tmp_path / "urls.txt", server, photo_paths(12))
    real = batches.store
    n_stored = 0

    def killed(*given: Any, **options: Any) -> dict[str, int]:
        nonlocal n_stored
        if n_stored:
            raise KeyboardInterrupt
        n_stored += 1
        return real(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "BATCH_ITEMS", 4)
        patch.setattr(batches, "GROUP_ITEMS", 1)
        patch.setattr(batches, "store", killed)
        with pytest.raises(KeyboardInterrupt):
            db.collect(urls, layout="urls", allow_private=True)
    assert db.stats().n_images == 4
    done = db.collect(urls, layout="urls", allow_private=True)
    assert (done.n_stored, done.n_rejected) == (12, 0)
    assert all(server.seen[f"/photo/{number}"] == 1 for number in range(4))


@pytest.mark.slow
def test_the_runner_killed_in_the_middle(db: Database, server: Server, tmp_path: Path) -> None:
    urls = write_list(tmp_path / "urls.txt", server, photo_paths(30))
    command = [sys.executable, "-m", "imagetree", "collect", str(db.folder), str(urls)]
    line = subprocess.Popen([*command, "--allow-private", "--json"], stdout=subprocess.PIPE)
    wait_until(lambda: sum(server.seen.values()) >= 10)
    found = holder(db.folder)
    assert found
    os.kill(int(found["pid"]), signal.SIGKILL)
    line.communicate(timeout=120)
    assert line.returncode == 0
    assert db.stats().n_images == 30
    assert sum(server.seen.values()) <= 30 + 2


@pytest.mark.slow
def test_cancelled_at_once_whatever_the_server_does(
    db: Database, server: Server, tmp_path: Path, photos: Path
) -> None:
    # Both would hold a connection for far longer than anybody waits.
    urls = write_list(tmp_path / "urls.txt", server, ["/photo/1", "/drip", "/slow", "/slow"])
    params = db.collect_params(urls, layout="urls", allow_private=True)
    job = db.jobs.enqueue("collect", params, queue=QUEUE_OF["collect"])
    wait_until(lambda: sum(server.seen.values()) >= 2)
    db.jobs.cancel(job)
    began = time.monotonic()
    with pytest.raises(Cancelled):
        db.jobs.wait(job)
    done = db.collect(photos, durable=True)
    assert done.n_stored == 36
    assert time.monotonic() - began < 20
    # What was fetched is kept, and the job goes on where it was.
    server.released.set()
    db.jobs.resume(job)
    again = db.jobs.wait(job)
    assert again["n_stored"] >= 1
    assert server.seen["/photo/1"] == 1
