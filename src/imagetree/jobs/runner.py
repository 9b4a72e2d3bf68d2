"""The one process a database that runs jobs: DBOS under an exclusive lock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imagetree.core.errors import Busy, Cancelled, ImagetreeError
from imagetree.core.progress import Progress
from imagetree.jobs.engine import (
    APPLICATION_NAME,
    APPLICATION_VERSION,
    EXECUTOR_ID,
    QUEUES,
    WORKFLOW_NAME,
    open_jobs_engine,
)
from imagetree.jobs.progress_file import ProgressFile
from imagetree.jobs.runner_lock import RunnerLock, holder
from imagetree.jobs.steps import Json, Params, Steps

log = logging.getLogger("imagetree.jobs")

# A workflow by its kind: it gets the steps and the job's parameters, and returns JSON.
Workflow = Callable[[Steps, Params], Json]

POLL_S = 0.2


class DurableSteps:
    """Steps recorded by DBOS: finished ones are not run again after a crash."""

    def __init__(self, dbos: Any, job_id: str, progress_folder: Path) -> None:
        self._dbos = dbos
        self._job_id = job_id
        self._progress = ProgressFile(progress_folder, job_id)
        self._cancelled = False
        self._asked_at = 0.0

    def run(self, name: str, step: Callable[[], Json]) -> Json:
        """Result of the step, from the record where there is one."""
        return self._dbos.run_step({"name": name}, step)

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

    Raises Busy when another runner is at work on it already.
    """
    lock = RunnerLock(folder)
    if not lock.acquire():
        found = holder(folder) or {}
        raise Busy(
            f"A job runner works on {folder.name} already (process {found.get('pid')}).",
            hint="It takes your jobs too.",
        )
    try:
        dbos = _launch(workflows, jobs_url, progress_folder)
        lock.ready()
        try:
            _wait(dbos, idle_s, stop or threading.Event())
        finally:
            dbos.destroy(workflow_completion_timeout_sec=0)
    finally:
        lock.release()


def _launch(workflows: Mapping[str, Workflow], jobs_url: str, progress_folder: Path) -> Any:
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
        steps = DurableSteps(DBOS, job_id, progress_folder)
        if kind not in workflows:
            return {"error": {"code": "not_found", "message": f"No job is called {kind!r}."}}
        try:
            return {"result": workflows[kind](steps, params)}
        except Cancelled as error:
            return {"error": error.as_dict()}
        except ImagetreeError as error:
            log.warning("Job %s (%s) failed: %s", job_id, kind, error)
            return {"error": error.as_dict()}

    DBOS.launch()
    for queue in QUEUES:
        DBOS.register_queue(
            queue, global_concurrency=1, worker_concurrency=1, polling_interval_sec=POLL_S
        )
    return DBOS


def _wait(dbos: Any, idle_s: float | None, stop: threading.Event) -> None:
    """Until stopped, or idle for long enough that nobody seems to need the runner."""
    last_busy = time.monotonic()
    while not stop.wait(POLL_S * 2):
        if idle_s is None:
            continue
        waiting = dbos.list_workflows(status=["PENDING", "ENQUEUED", "DELAYED"], limit=1)
        if waiting:
            last_busy = time.monotonic()
        elif time.monotonic() - last_busy > idle_s:
            return
