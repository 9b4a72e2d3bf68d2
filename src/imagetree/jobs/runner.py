"""The one process a database that runs jobs: DBOS under an exclusive lock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagetree.core.errors import Busy, Cancelled, ImagetreeError
from imagetree.core.progress import Progress
from imagetree.core.space import FULL_BELOW_BYTES, disk_full, free_bytes, telling_space
from imagetree.jobs.engine import (
    APPLICATION_NAME,
    APPLICATION_VERSION,
    EXECUTOR_ID,
    QUEUES,
    WORKFLOW_NAME,
    open_jobs_engine,
)
from imagetree.jobs.progress_file import ProgressFile
from imagetree.jobs.reserve import Reserve
from imagetree.jobs.runner_lock import RunnerLock, holder
from imagetree.jobs.steps import Json, Params, Steps

log = logging.getLogger("imagetree.jobs")

# A workflow by its kind: it gets the steps and the job's parameters, and returns JSON.
Workflow = Callable[[Steps, Params], Json]

POLL_S = 0.2
# How long the engine has for writing down how a job ended.
RECORD_TIMEOUT_S = 2.0


class DurableSteps:
    """Steps recorded by DBOS: finished ones are not run again after a crash."""

    def __init__(self, dbos: Any, job_id: str, progress_folder: Path, reserve: Reserve) -> None:
        self._dbos = dbos
        self._job_id = job_id
        self._reserve = reserve
        self._progress = ProgressFile(progress_folder, job_id)
        self._cancelled = False
        self._asked_at = 0.0

    def run(self, name: str, step: Callable[[], Json]) -> Json:
        """Result of the step, from the record where there is one.

        On a full disk the reserve is freed before the engine records the failure.
        """

        def guarded() -> Json:
            with self._reserve.freed_when_full():
                return step()

        # The step may have been done and its record have found no room.
        with self._reserve.freed_when_full():
            return self._dbos.run_step({"name": name}, guarded)

    def report(self, progress: Progress) -> None:
        """Writes the job's progress file."""
        self._progress(progress)

    def should_stop(self) -> bool:
        """Whether the job was cancelled; asks at most twice a second."""
        at = time.monotonic()
        if not self._cancelled and at - self._asked_at > 0.5:
            self._asked_at = at
            status = self._dbos.get_workflow_status(self._job_id)
            self._cancelled = status is not None and status.status == "CANCELLED"
        return self._cancelled


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """What the jobs of one runner share.

    `ended` holds when each job ended whose record was not looked at yet, by its id.
    """

    workflows: Mapping[str, Workflow]
    folder: Path
    progress_folder: Path
    reserve: Reserve
    ended: dict[str, float] = field(default_factory=dict)


def run_jobs(
    folder: Path,
    workflows: Mapping[str, Workflow],
    *,
    jobs_url: str,
    progress_folder: Path,
    idle_s: float | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Runs the jobs of one database until `stop` is set, or nothing was to do for `idle_s`.

    Raises Busy when another runner is at work on it already, OutOfSpace when the disk has no
    room for the records of jobs.
    """
    lock = RunnerLock(folder)
    if not lock.acquire():
        found = holder(folder) or {}
        raise Busy(
            f"A job runner works on {folder.name} already (process {found.get('pid')}).",
            hint="It takes your jobs too.",
        )
    reserve = Reserve(folder)
    desk = _Desk(
        workflows=workflows, folder=folder, progress_folder=progress_folder, reserve=reserve
    )
    try:
        with telling_space(folder):
            reserve.fill()
            dbos = _launch(desk, jobs_url)
            try:
                lock.ready()
                _wait(dbos, desk, idle_s, stop or threading.Event())
            finally:
                dbos.destroy(workflow_completion_timeout_sec=0)
    finally:
        reserve.free()
        lock.release()


def _launch(desk: _Desk, jobs_url: str) -> Any:
    from dbos import DBOS

    DBOS(
        config={
            "name": APPLICATION_NAME,
            "system_database_engine": open_jobs_engine(jobs_url),
            "application_version": APPLICATION_VERSION,
            "executor_id": EXECUTOR_ID,
            "log_level": "WARNING",
            "use_listen_notify": False,
        }
    )

    @DBOS.workflow(name=WORKFLOW_NAME)
    def run_job(kind: str, params: Params) -> Json:
        job_id = str(DBOS.workflow_id)
        try:
            steps = DurableSteps(DBOS, job_id, desk.progress_folder, desk.reserve)
            return _outcome(desk, steps, kind, params)
        finally:
            desk.ended[job_id] = time.monotonic()

    DBOS.launch()
    for queue in QUEUES:
        DBOS.register_queue(
            queue, global_concurrency=1, worker_concurrency=1, polling_interval_sec=POLL_S
        )
    return DBOS


def _outcome(desk: _Desk, steps: Steps, kind: str, params: Params) -> Json:
    """What the job's record says: {"result": ...} or {"error": ...}."""
    if kind not in desk.workflows:
        return {"error": {"code": "not_found", "message": f"No job is called {kind!r}."}}
    try:
        desk.reserve.fill()
        with desk.reserve.freed_when_full():
            return {"result": desk.workflows[kind](steps, params)}
    except Cancelled as error:
        return {"error": error.as_dict()}
    except ImagetreeError as error:
        log.warning("A job (%s) failed: %s", kind, error)
        return {"error": error.as_dict()}


def _wait(dbos: Any, desk: _Desk, idle_s: float | None, stop: threading.Event) -> None:
    """Until stopped, or idle for long enough that nobody seems to need the runner."""
    last_busy = time.monotonic()
    while not stop.wait(POLL_S * 2):
        _look_after_space(dbos, desk)
        if idle_s is None:
            continue
        waiting = dbos.list_workflows(status=["PENDING", "ENQUEUED", "DELAYED"], limit=1)
        if waiting:
            last_busy = time.monotonic()
        elif time.monotonic() - last_busy > idle_s:
            return


def _look_after_space(dbos: Any, desk: _Desk) -> None:
    """Sees to it that no job waits for a record that cannot be written.

    Raises OutOfSpace when the end of a job was not recorded although the reserve was freed:
    the runner ends, and whoever waits hears of it from the next one's start.
    """
    if free_bytes(desk.folder) < FULL_BELOW_BYTES:
        # Something else filled the disk: the engine needs room to take up the next job.
        desk.reserve.free()
    for job_id, ended_at in list(desk.ended.items()):
        if time.monotonic() - ended_at < RECORD_TIMEOUT_S:
            continue
        status = dbos.get_workflow_status(job_id)
        if status is not None and status.status == "PENDING":
            raise disk_full(desk.folder)
        del desk.ended[job_id]
