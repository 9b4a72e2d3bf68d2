"""Long work through the database's job runner: asked for, watched, left running on Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imagetree.cli.answer import Answer

if TYPE_CHECKING:
    from imagetree.database import Database

INTERRUPTED = 130


def run_job(db: Database, answer: Answer, kind: str, params: Any, *, wait: bool = True) -> Any:
    """The result of a job of this kind, done by the database's job runner.

    With `wait=False`, and after Ctrl-C, the command ends and the job goes on.
    """
    from imagetree.workflows.catalogue import QUEUE_OF

    job_id = db.jobs.enqueue(kind, params, queue=QUEUE_OF[kind])
    if not wait:
        watch = f"imagetree jobs watch {shown(db.folder)} {job_id}"
        answer.give(
            {"job_id": job_id, "kind": kind},
            f"Job {job_id} is at work in the background.",
            next_step=watch,
        )
        raise typer.Exit
    return wait_for(db, answer, job_id)


def wait_for(db: Database, answer: Answer, job_id: str) -> Any:
    """The result of a job that runs already; Ctrl-C stops the waiting, not the job."""
    try:
        with answer.progress() as report:
            return db.jobs.wait(job_id, report=report)
    except KeyboardInterrupt:
        folder = shown(db.folder)
        answer.note(f"You stopped watching; job {job_id} goes on in the background.")
        answer.note(f"Watch it:  imagetree jobs watch {folder} {job_id}")
        answer.note(f"Cancel it: imagetree jobs cancel {folder} {job_id}")
        raise typer.Exit(INTERRUPTED) from None


def shown(path: Path) -> str:
    """A path as the user would type it: relative to where they are, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
