"""The job runner: durable, alone on its database, and honest about what became of a job."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetree.core.errors import Busy, Cancelled
from imagetree.jobs.client import JobClient, JobFailed
from imagetree.jobs.runner import run_jobs
from imagetree.jobs.runner_lock import holder

# A job whose steps leave a line each, so that what ran twice can be counted.
RUNNER = """
import sys, time, pathlib
from imagetree.core.errors import InvalidInput
from imagetree.core.progress import Progress
from imagetree.jobs.runner import run_jobs

folder = pathlib.Path(sys.argv[1])

def count(steps, params):
    total = 0
    for i in range(params["n"]):
        def step(i=i):
            time.sleep(params["seconds"])
            with (folder / "done.txt").open("a") as stream:
                stream.write(f"{i}\\n")
            return i
        total += steps.run(f"step {i}", step)
        steps.report(Progress(what="Counting", n_done=i + 1, n_total=params["n"]))
    return total

def fail(steps, params):
    raise InvalidInput("No such thing.", hint="Try another.")

run_jobs(folder, {"count": count, "fail": fail}, jobs_url=f"sqlite:///{folder}/jobs.sqlite",
         progress_folder=folder / "progress", idle_s=30)
"""


class Client(JobClient):
    """A client whose runner is the script above."""

    processes: list[subprocess.Popen[bytes]]

    def _start_runner(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", RUNNER, str(self._folder)])
        self.processes.append(process)
        return process


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(
        tmp_path,
        jobs_url=f"sqlite:///{tmp_path}/jobs.sqlite",
        progress_folder=tmp_path / "progress",
    )
    made.processes = []
    yield made
    made.close()
    for process in made.processes:
        process.kill()
        process.wait()


def test_a_job_survives_kills_of_its_runner(client: Client, tmp_path: Path) -> None:
    job = client.enqueue("count", {"n": 30, "seconds": 0.03}, queue="store")
    generator = random.Random(7)
    for _ in range(3):
        time.sleep(generator.uniform(0.1, 0.4))
        client.processes[-1].kill()
        client.processes[-1].wait()
        client.ensure_runner()
    assert client.wait(job) == sum(range(30))
    lines = (tmp_path / "done.txt").read_text().split()
    assert sorted(set(lines), key=int) == [str(i) for i in range(30)]
    assert len(lines) <= 33, "only a step that was interrupted may run again"


def test_a_second_runner_is_refused(client: Client, tmp_path: Path) -> None:
    client.ensure_runner()
    assert (holder(tmp_path) or {})["pid"] == client.processes[0].pid
    with pytest.raises(Busy, match=str(client.processes[0].pid)):
        run_jobs(tmp_path, {}, jobs_url="sqlite://", progress_folder=tmp_path / "progress")


def test_errors_cancelling_and_resuming(client: Client) -> None:
    failing = client.enqueue("fail", {}, queue="store")
    with pytest.raises(JobFailed, match="No such thing") as failed:
        client.wait(failing)
    assert failed.value.as_dict() == {
        "code": "invalid_input",
        "message": "No such thing.",
        "hint": "Try another.",
    }
    assert failed.value.exit_code == 2
    job = client.enqueue("count", {"n": 40, "seconds": 0.05}, queue="store")
    while client.get(job).progress is None:
        time.sleep(0.02)
    client.cancel(job)
    with pytest.raises(Cancelled):
        client.wait(job)
    client.resume(job)
    assert client.wait(job) == sum(range(40))
    states = {one.job_id: one.state for one in client.newest()}
    assert states == {failing: "failed", job: "done"}
