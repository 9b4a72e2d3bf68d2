"""How a workflow does its work in steps, the same code durable or not.

A workflow is a plain function `(steps, context, params) -> result`. What has an effect happens
in steps, each idempotent. Run by `DirectSteps` in the caller's process it is a loop; run by the
job runner each finished step is recorded, and after a crash the function starts again, gets the
recorded results back and goes on behind the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from imagetree.core.errors import Cancelled
from imagetree.core.progress import Progress, Report, silent
from imagetree.core.space import telling_space

# What steps return and jobs take and give: what JSON can say.
Json = Any
Params = dict[str, Json]


class Steps(Protocol):
    """What a workflow sees of the engine that runs it."""

    def run(self, name: str, step: Callable[[], Json]) -> Json:
        """Result of the step; not run again when it is recorded already."""

    def report(self, progress: Progress) -> None:
        """Tells whoever waits how far the work is."""

    def should_stop(self) -> bool:
        """Whether somebody asked for the work to stop."""


class DirectSteps:
    """Runs steps at once in the caller's process: the library's way for small work."""

    def __init__(
        self, report: Report = silent, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self._report = report
        self._should_stop = should_stop

    def run(self, name: str, step: Callable[[], Json]) -> Json:
        """Result of the step, unless a stop was asked for before it began."""
        if self._should_stop():
            raise Cancelled(f"Stopped before '{name}'.", hint="What was done is kept.")
        with telling_space():
            return step()

    def report(self, progress: Progress) -> None:
        """Hands the progress on."""
        self._report(progress)

    def should_stop(self) -> bool:
        """Whether the caller asked for a stop."""
        return self._should_stop()
