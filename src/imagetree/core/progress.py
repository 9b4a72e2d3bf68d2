"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report: `n_done` of `n_total` (None while unknown) `unit`s, and a short text."""

    what: str
    n_done: int
    n_total: int | None = None
    unit: str = "items"
    note: str = ""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Listens to nothing; the default of every function that reports."""
