"""A running job's progress: one small file, replaced whole, read by whoever waits."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imagetree.core.progress import Progress

# Five reports a second are as many as anybody can read.
INTERVAL_S = 0.2


class ProgressFile:
    """Writes a job's progress, at most five times a second."""

    def __init__(self, folder: Path, job_id: str) -> None:
        self._path = folder / f"{job_id}.json"
        self._last = 0.0
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, progress: Progress) -> None:
        """Writes one report, unless one was written a moment ago and this is not the last."""
        at = time.monotonic()
        finished = progress.n_total is not None and progress.n_done >= progress.n_total
        if at - self._last < INTERVAL_S and not finished:
            return
        self._last = at
        part = self._path.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            # Nobody's work ends for a report's sake; the step that finds the disk full says so.
            with suppress(OSError):
                part.unlink(missing_ok=True)


def read_progress(folder: Path, job_id: str) -> Progress | None:
    """The last report of a job; None before its first."""
    try:
        table: dict[str, Any] = json.loads((folder / f"{job_id}.json").read_text("utf-8"))
        return Progress(**table)
    except (OSError, ValueError, TypeError):
        return None
