"""jobs run, list, watch, cancel, resume: long work in the background."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from imagetree.cli.answer import Answer, table
from imagetree.cli.options import DatabaseArgument, JsonOption
from imagetree.cli.working import shown, wait_for

app = typer.Typer(no_args_is_help=True, help="Lists, watches, cancels and resumes jobs.")

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's id; see imagetree jobs list.")
]


@app.command(epilog="Example: imagetree jobs run birds.imagetree")
def run(
    database: DatabaseArgument,
    idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="End when nothing was to do for so long."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Runs the database's jobs until it is stopped.

    Other commands start it when they need it; by hand it is of use under a service manager.
    """
    from imagetree.core.settings import read_settings
    from imagetree.workflows import catalogue

    answer = Answer(as_json=as_json)
    folder = read_settings(database).folder
    answer.note(f"Running the jobs of {shown(folder)}; Ctrl-C ends it, jobs go on next time.")
    catalogue.run(folder, idle_s=idle)
    answer.give({"stopped": True}, next_step=f"imagetree jobs list {shown(folder)}")


@app.command("list", epilog="Example: imagetree jobs list birds.imagetree")
def list_(
    database: DatabaseArgument,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Lists the newest jobs and how far they are."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = db.jobs.newest(limit=last)
        folder = shown(db.folder)
    rows = table("job", "kind", "state", "progress", "error")
    for job in found:
        at = job.progress
        total = f" of {at.n_total:,}" if at and at.n_total is not None else ""
        far = f"{at.n_done:,}{total} {at.unit}" if at else ""
        rows.add_row(
            job.job_id, job.kind, job.state, far, Text((job.error or {}).get("message", ""))
        )
    answer = Answer(as_json=as_json)
    if found:
        answer.give(found, rows, next_step=f"imagetree jobs watch {folder} {found[0].job_id}")
    else:
        answer.give(found, "No jobs yet.", next_step=f"imagetree collect {folder} photos/")


@app.command(epilog="Example: imagetree jobs watch birds.imagetree JOB")
def watch(database: DatabaseArgument, job: JobArgument, as_json: JsonOption = False) -> None:
    """Waits for a job and shows how far it is."""
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        result = wait_for(db, answer, job)
        answer.give(
            {"job_id": job, "result": result},
            f"Job {job} is done.",
            next_step=f"imagetree stats {shown(db.folder)}",
        )


@app.command(epilog="Example: imagetree jobs cancel birds.imagetree JOB")
def cancel(database: DatabaseArgument, job: JobArgument, as_json: JsonOption = False) -> None:
    """Asks a job to stop at its next step; what it did is kept."""
    from imagetree.database import Database

    with Database.open(database) as db:
        db.jobs.cancel(job)
        folder = shown(db.folder)
    Answer(as_json=as_json).give(
        {"job_id": job, "state": "cancelled"},
        f"Job {job} stops at its next step.",
        next_step=f"imagetree jobs resume {folder} {job}",
    )


@app.command(epilog="Example: imagetree jobs resume birds.imagetree JOB")
def resume(database: DatabaseArgument, job: JobArgument, as_json: JsonOption = False) -> None:
    """Lets a cancelled job go on behind its last finished step."""
    from imagetree.database import Database

    with Database.open(database) as db:
        db.jobs.resume(job)
        folder = shown(db.folder)
    Answer(as_json=as_json).give(
        {"job_id": job, "state": "running"},
        f"Job {job} goes on.",
        next_step=f"imagetree jobs watch {folder} {job}",
    )
