"""The log, as people read it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One event in one line."""

    event_id: int
    at: str
    kind: str
    actor: str
    summary: str


def read_events(
    connection: Connection, *, before: int | None = None, limit: int = 50
) -> list[EventRow]:
    """The newest events below `before`, newest first."""
    event = schema.event.c
    statement = sa.select(*(event[name] for name in EventRow.__dataclass_fields__))
    if before is not None:
        statement = statement.where(event.event_id < before)
    statement = statement.order_by(event.event_id.desc()).limit(limit)
    return [EventRow(**row._mapping) for row in connection.execute(statement)]


def last_event(connection: Connection) -> int:
    """The newest event's number, 0 for an empty log: it changes with every write."""
    return int(connection.execute(sa.select(sa.func.max(schema.event.c.event_id))).scalar() or 0)
