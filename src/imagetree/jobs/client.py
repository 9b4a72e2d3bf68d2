"""Asks for jobs, waits for them, lists and cancels them; runs none itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from imagetree.core.errors import (
    Busy,
    Cancelled,
    ExternalFailure,
    ImagetreeError,
    NotFound,
    OutOfSpace,
)
from imagetree.core.progress import Progress, Report, silent
from imagetree.core.space import disk_full, telling_space
from imagetree.jobs.engine import (
    APPLICATION_NAME,
    APPLICATION_VERSION,
    WORKFLOW_NAME,
    open_jobs_engine,
)
from imagetree.jobs.progress_file import read_progress
from imagetree.jobs.reserve import require_room
from imagetree.jobs.runner_lock import holder
from imagetree.jobs.steps import Json, Params

START_TIMEOUT_S = 60.0
POLL_S = 0.1

_STATES = {
    "PENDING": "running",
    "ENQUEUED": "waiting",
    "DELAYED": "waiting",
    "SUCCESS": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as seen from outside: waiting, running, done, failed or cancelled."""

    job_id: str
    kind: str
    state: str
    params: Params
    progress: Progress | None
    result: Json
    error: dict[str, str] | None
    created_at_ms: int


class JobFailed(ImagetreeError):
    """A job ended with an error: the one that its workflow raised, told again here."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error.get("message", "The job failed."), hint=error.get("hint", ""))
        kind = _error_class(error.get("code", ""))
        self.code = kind.code  # type: ignore[misc]
        self.exit_code = kind.exit_code  # type: ignore[misc]
        self.http_status = kind.http_status  # type: ignore[misc]


def _error_class(code: str) -> type[ImagetreeError]:
    waiting = list(ImagetreeError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind
        waiting.extend(kind.__subclasses__())
    return ImagetreeError


class JobClient:
    """One database's jobs, seen from the command line, the web server or a script."""

    def __init__(self, folder: Path, *, jobs_url: str, progress_folder: Path) -> None:
        self._folder = folder
        self._jobs_url = jobs_url
        self._progress_folder = progress_folder
        self._client: Any = None

    def exists(self) -> bool:
        """Whether a runner has ever made the job tables here."""
        if self._client is not None:
            return True
        made = sa.make_url(self._jobs_url)
        if made.get_backend_name() == "sqlite":
            return Path(str(made.database)).exists()
        engine = open_jobs_engine(self._jobs_url)
        try:
            return sa.inspect(engine).has_table("workflow_status", schema="dbos")
        finally:
            engine.dispose()

    def _connected(self) -> Any:
        if self._client is None:
            from dbos import DBOSClient

            self._client = DBOSClient(
                system_database_engine=open_jobs_engine(self._jobs_url),
                application_name=APPLICATION_NAME,
            )
        return self._client

    def ensure_runner(self) -> None:
        """Starts the database's job runner unless it is at work, and waits until it is ready."""
        deadline = time.monotonic() + START_TIMEOUT_S
        process: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            found = holder(self._folder)
            if found and found["ready"]:
                return
            if found is None and process is None:
                require_room(self._folder)
                process = self._start_runner()
            if process is not None and process.poll() is not None:
                self._refuse_failure(process.returncode)
                process = None
            time.sleep(0.05)
        raise ExternalFailure(
            f"The job runner was not ready after {START_TIMEOUT_S:.0f} s.",
            hint=f"Its log is {self._folder / 'cache' / 'runner.log'}.",
        )

    def _refuse_failure(self, exit_code: int) -> None:
        """Raises the reason why a runner ended with this code; none when it gave way or ended."""
        if exit_code in (0, Busy.exit_code) or exit_code < 0:
            return
        if exit_code == OutOfSpace.exit_code:
            raise disk_full(self._folder)
        tail = (self._folder / "cache" / "runner.log").read_text("utf-8", "replace")
        raise ExternalFailure(
            f"The job runner did not start: {tail.strip()[-500:]}",
            hint=f"Try it by hand: imagetree jobs run {self._folder}",
        )

    def _start_runner(self) -> subprocess.Popen[bytes]:
        log = self._folder / "cache" / "runner.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "imagetree", "jobs", "run", str(self._folder)]
        # A session of its own: Ctrl-C in the terminal that asked must not stop others' jobs.
        with log.open("ab") as stream:
            return subprocess.Popen(
                [*command, "--idle", "20"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def enqueue(self, kind: str, params: Params, *, queue: str, job_id: str = "") -> str:
        """The new job's id. The same `job_id` twice is the same job."""
        self.ensure_runner()
        options: dict[str, Any] = {
            "queue_name": queue,
            "workflow_name": WORKFLOW_NAME,
            "app_version": APPLICATION_VERSION,
        }
        if job_id:
            options["workflow_id"] = job_id
        with telling_space(self._folder):
            handle = self._connected().enqueue(options, kind, params)
        return str(handle.get_workflow_id())

    def get(self, job_id: str) -> Job:
        """One job; NotFound when there is none of that id."""
        found: list[Job] = self._list(workflow_ids=[job_id]) if self.exists() else []
        if not found:
            raise NotFound(f"No job {job_id}.", hint=f"imagetree jobs list {self._folder}")
        return found[0]

    def newest(self, *, limit: int = 50) -> list[Job]:
        """The newest jobs, newest first."""
        return self._list(limit=limit, sort_desc=True) if self.exists() else []

    def _list(self, **options: Any) -> list[Job]:
        with telling_space(self._folder):
            statuses = self._connected().list_workflows(name=WORKFLOW_NAME, **options)
        return [self._job(status) for status in statuses]

    def _job(self, status: Any) -> Job:
        args: Any = (status.input or {}).get("args", ()) or ("", {})
        output = status.output if isinstance(status.output, dict) else {}
        error = output.get("error")
        state = _STATES.get(status.status, "running")
        if status.error is not None:
            error = {"code": "error", "message": str(status.error)}
        if state == "done" and error is not None:
            state = "cancelled" if error.get("code") == Cancelled.code else "failed"
        return Job(
            job_id=status.workflow_id,
            kind=str(args[0]),
            state=state,
            params=dict(args[1]),
            progress=read_progress(self._progress_folder, status.workflow_id),
            result=output.get("result"),
            error=error,
            created_at_ms=int(status.created_at or 0),
        )

    def cancel(self, job_id: str) -> None:
        """Asks a job to stop at its next step. What it has done is kept."""
        self.get(job_id)
        with telling_space(self._folder):
            self._connected().cancel_workflow(job_id)

    def resume(self, job_id: str) -> None:
        """Lets a cancelled job go on behind its last finished step."""
        self.ensure_runner()
        self.get(job_id)
        with telling_space(self._folder):
            self._connected().resume_workflow(job_id)

    def wait(
        self,
        job_id: str,
        *,
        report: Report = silent,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Json:
        """A job's result, once it has one.

        Starts the runner again should it die. Raises JobFailed with the error of the workflow,
        or Cancelled.
        """
        looked_at = time.monotonic()
        while True:
            job = self.get(job_id)
            if job.progress is not None:
                report(job.progress)
            if job.state == "done":
                return job.result
            if job.state == "failed":
                raise JobFailed(job.error or {})
            if job.state == "cancelled":
                raise Cancelled(
                    f"Job {job_id} was cancelled.",
                    hint=f"Go on with: imagetree jobs resume {self._folder} {job_id}",
                )
            if should_stop():
                raise Cancelled(f"Stopped waiting for job {job_id}; it goes on by itself.")
            if time.monotonic() - looked_at > 1.0:
                looked_at = time.monotonic()
                self.ensure_runner()
            time.sleep(POLL_S)

    def close(self) -> None:
        """Lets go of the job tables."""
        if self._client is not None:
            self._client.destroy()
            self._client = None
