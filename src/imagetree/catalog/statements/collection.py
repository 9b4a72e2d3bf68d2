"""What the catalog knows about collects and what they rejected."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.core.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class CollectionRow:
    """One collect and its counts; state 'running', 'done', 'stopped' or 'undone'."""

    collection_id: int
    kind: str
    location: str
    state: str
    started_at: str
    finished_at: str | None
    n_stored: int
    n_known: int
    n_rejected: int


@dataclass(frozen=True, kw_only=True)
class RejectRow:
    """What was not stored, and why."""

    reject_id: int
    location: str
    code: str
    reason: str


_COLUMNS = [schema.collection.c[name] for name in CollectionRow.__dataclass_fields__]


def read_collections(connection: Connection, *, limit: int = 200) -> list[CollectionRow]:
    """The newest collects, newest first."""
    key = schema.collection.c.collection_id
    statement = sa.select(*_COLUMNS).order_by(key.desc()).limit(limit)
    return [CollectionRow(**row._mapping) for row in connection.execute(statement)]


def read_collection(connection: Connection, collection_id: int) -> CollectionRow:
    """One collect; NotFound when there is none of that number."""
    key = schema.collection.c.collection_id
    row = connection.execute(sa.select(*_COLUMNS).where(key == collection_id)).first()
    if row is None:
        raise NotFound(f"No collect has the number {collection_id}.", hint="See /collections.")
    return CollectionRow(**row._mapping)


def read_rejects(
    connection: Connection, collection_id: int, *, after: int = 0, limit: int = 100
) -> list[RejectRow]:
    """The next rejects of a collect whose reject_id is above `after`."""
    reject = schema.reject.c
    columns = [reject[name] for name in RejectRow.__dataclass_fields__]
    statement = (
        sa.select(*columns)
        .where(reject.collection_id == collection_id, reject.reject_id > after)
        .order_by(reject.reject_id)
        .limit(limit)
    )
    return [RejectRow(**row._mapping) for row in connection.execute(statement)]
