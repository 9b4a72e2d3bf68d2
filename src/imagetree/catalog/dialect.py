"""The one file that knows which engine runs: what SQLite and PostgreSQL say differently."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

# Any constant will do; it names imagetree's write lock inside one PostgreSQL database.
_WRITERS = 0x1A6E_7EE5


def lock_writers(connection: Connection) -> None:
    """Holds other writers back until the transaction ends, so that events have one order.

    SQLite's BEGIN IMMEDIATE does so already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))


def snapshot(engine: Engine) -> Connection:
    """A connection that sees one moment, however many statements it reads.

    SQLite's transactions all do; PostgreSQL's have to be asked.
    """
    connection = engine.connect()
    if engine.dialect.name == "postgresql":
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def add_amounts(
    connection: Connection, table: sa.Table, columns: Iterable[str]
) -> sa.sql.dml.Insert:
    """INSERT that adds to the counting columns where the key exists already."""
    keys = [column.key for column in table.primary_key.columns]
    insert = (
        postgresql.insert(table)
        if connection.dialect.name == "postgresql"
        else sqlite.insert(table)
    )
    amounts = [name for name in columns if name not in keys]
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={name: table.c[name] + insert.excluded[name] for name in amounts},
    )


def contains(connection: Connection, column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """Whether a column holds a text, letters' case ignored, on either engine."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.ilike(f"%{escaped}%", escape="\\")
