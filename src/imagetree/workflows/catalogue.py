"""The list of all jobs: what the job runner can do, by name."""

from __future__ import annotations

import threading
from pathlib import Path

from imagetree.core.settings import read_settings
from imagetree.jobs.runner import Workflow, run_jobs
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.workflows.collect import collect
from imagetree.workflows.context import Context
from imagetree.workflows.packing import pack
from imagetree.workflows.training import train
from imagetree.workflows.undo import undo

WORKFLOWS = {"collect": collect, "undo": undo, "pack": pack, "train": train}
# Jobs of one queue take turns; those of different queues run side by side.
QUEUE_OF = {"collect": "store", "undo": "store", "pack": "pack", "train": "train"}


def run(folder: Path, *, idle_s: float | None = None, stop: threading.Event | None = None) -> None:
    """Runs the jobs of the database in `folder`; what `imagetree jobs run` does."""
    settings = read_settings(folder)
    context = Context(settings)

    def bound(name: str) -> Workflow:
        workflow = WORKFLOWS[name]

        def call(steps: Steps, params: Params) -> Json:
            return workflow(steps, context, params)

        return call

    try:
        run_jobs(
            settings.folder,
            {name: bound(name) for name in WORKFLOWS},
            jobs_url=settings.jobs_url,
            progress_folder=settings.progress_folder,
            idle_s=idle_s,
            stop=stop,
        )
    finally:
        context.close()
