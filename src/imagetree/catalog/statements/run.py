"""What the catalog knows about runs and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.core.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run; state 'running', 'done', 'stopped' or 'failed'."""

    name: str
    release: str
    network: str
    recipe: dict[str, Any]
    state: str
    reason: str
    seed: int
    started_at: str
    finished_at: str | None
    seconds: float | None
    n_parameters: int | None
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One score; value, low and high are shares, 0 to 1, under the protocol."""

    run: str
    split: str
    metric: str
    value: float
    low: float
    high: float
    n_images: int
    protocol: Any
    at: str


_RUN = [schema.run.c[name] for name in RunRow.__dataclass_fields__]
_SCORE = [schema.score.c[name] for name in ScoreRow.__dataclass_fields__]


def read_runs(connection: Connection, *, limit: int | None = 200) -> list[RunRow]:
    """The runs, newest first; with a limit of None all of them."""
    statement = sa.select(*_RUN).order_by(schema.run.c.started_at.desc()).limit(limit)
    return [RunRow(**row._mapping) for row in connection.execute(statement)]


def find_run(connection: Connection, name: str) -> RunRow | None:
    """One run; None when there is none of that name."""
    row = connection.execute(sa.select(*_RUN).where(schema.run.c.name == name)).first()
    return RunRow(**row._mapping) if row else None


def read_run(connection: Connection, name: str) -> RunRow:
    """One run; NotFound when there is none of that name."""
    found = find_run(connection, name)
    if found is None:
        raise NotFound(f"No run is named {name}.", hint="See /runs.")
    return found


def read_scores(connection: Connection, runs: list[str]) -> list[ScoreRow]:
    """The scores of some runs, newest first."""
    statement = (
        sa.select(*_SCORE)
        .where(schema.score.c.run.in_(runs))
        .order_by(schema.score.c.score_id.desc())
    )
    return [ScoreRow(**row._mapping) for row in connection.execute(statement)]
