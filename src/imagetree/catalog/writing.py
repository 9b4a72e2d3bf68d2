"""One way to write: rows and the event that tells of them, in the same transaction.

A `Write` records each change as data (table, operation, rows) while it makes it. At the end the
changes become one event. Replaying is then nothing but making the same changes again, so a log
that replays to the same rows is a property of this file, not of every author's care.

Operations: `insert` (rows), `update` (rows: key columns + new values), `delete` (rows: key
columns), `add` (rows: key columns + amounts; a missing row counts as zero).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from imagetree.catalog import dialect, schema
from imagetree.catalog.changes import Changes, Row, in_parts, payload_path
from imagetree.core.errors import ImagetreeError, IntegrityFailure


def now() -> str:
    """The time as the catalog writes it: UTC, ISO 8601, milliseconds, 24 characters."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Write:
    """One transaction's changes; made by `writing`, never by hand."""

    def __init__(self, connection: Connection, kind: str, *, actor: str, changes: Changes) -> None:
        self.connection = connection
        self.kind = kind
        self.actor = actor
        self.summary = ""
        self.at = now()
        self.changes = changes

    def numbers(self, table: sa.Table, n: int) -> range:
        """`n` fresh ids for a table, never given out before, not even to rows since deleted."""
        name = table.name
        # The write lock is held, so reading and then writing cannot race.
        start = self.connection.execute(
            sa.select(schema.counter.c.next_value).where(schema.counter.c.name == name)
        ).scalar()
        if start is None:
            start = 1
            self.insert(schema.counter, [{"name": name, "next_value": start + n}])
        else:
            self.update(schema.counter, [{"name": name, "next_value": start + n}])
        return range(start, start + n)

    def insert(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Adds rows; a row whose key exists already is an error."""
        self._change("insert", table, rows)

    def update(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Sets the other columns of the rows that the key columns name."""
        self._change("update", table, rows)

    def delete(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Removes the rows that the key columns name."""
        self._change("delete", table, rows)

    def add(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Adds amounts to the counting columns of the rows that the key columns name."""
        self._change("add", table, rows)

    def play(self, changes: Changes) -> None:
        """Makes changes that were taken down before: the event's only ones.

        For much work: what needs no lock is done before the transaction begins.
        """
        assert not self.changes, "changes that were prepared come alone"
        self.changes = changes
        for change in changes.sealed():
            table = schema.metadata.tables[change["table"]]
            apply_change(self.connection, change["op"], table, change["rows"])

    def _change(self, operation: str, table: sa.Table, rows: Sequence[Row]) -> None:
        for some in in_parts(rows):
            apply_change(self.connection, operation, table, some)
            self.changes.add(operation, table.name, some)


def apply_change(
    connection: Connection, operation: str, table: sa.Table, rows: list[dict[str, Any]]
) -> None:
    """Makes one recorded change; the write path and the replay share it."""
    keys = [column.key for column in table.primary_key.columns]
    match operation:
        case "insert":
            connection.execute(sa.insert(table), rows)
        case "update":
            columns = [name for name in rows[0] if name not in keys]
            statement = (
                sa.update(table)
                .where(*(table.c[key] == sa.bindparam(f"key_{key}") for key in keys))
                .values({name: sa.bindparam(f"new_{name}") for name in columns})
            )
            connection.execute(
                statement,
                [
                    {f"key_{k}": row[k] for k in keys} | {f"new_{n}": row[n] for n in columns}
                    for row in rows
                ],
            )
        case "delete":
            statement_ = sa.delete(table).where(
                *(table.c[key] == sa.bindparam(f"key_{key}") for key in keys)
            )
            connection.execute(statement_, [{f"key_{k}": row[k] for k in keys} for row in rows])
        case "add":
            connection.execute(dialect.add_amounts(connection, table, rows[0].keys()), rows)
        case _:
            raise IntegrityFailure(f"The log holds an unknown operation {operation!r}.")


@contextmanager
def writing(engine: Engine, kind: str, *, actor: str, events_folder: Path) -> Iterator[Write]:
    """A transaction whose changes become one event.

    Waits for other writers first. When the block raises, nothing is written: neither rows nor
    event. When the block changes nothing, no event is appended.

    Example:
        with writing(engine, "worker.added", actor="ines", events_folder=folder) as write:
            (number,) = write.numbers(schema.worker, 1)
            write.insert(schema.worker, [{"worker_id": number, "name": "ines", ...}])
            write.summary = "Ines joined"
    """
    changes = Changes(events_folder)
    try:
        with engine.connect().execution_options(imagetree_writing=True) as connection:
            with connection.begin():
                dialect.lock_writers(connection)
                write = Write(connection, kind, actor=actor, changes=changes)
                yield write
                if write.changes:
                    _append_event(write)
    except BaseException:
        changes.discard()
        drop_unnamed_payload(engine, changes)
        raise


def _append_event(write: Write) -> None:
    event_id = 1 + (
        write.connection.execute(sa.select(sa.func.max(schema.event.c.event_id))).scalar() or 0
    )
    changes, digest = write.changes.seal()
    write.connection.execute(
        sa.insert(schema.event),
        {
            "event_id": event_id,
            "at": write.at,
            "kind": write.kind,
            "actor": write.actor,
            "summary": write.summary,
            "changes": changes,
            "payload_sha256": digest,
        },
    )


def drop_unnamed_payload(engine: Engine, changes: Changes) -> None:
    """Removes the payload of a transaction that failed, once it is sure that no event names it."""
    digest = changes.digest
    if digest is None:
        return
    # A catalog that does not answer now may have the event: then the file stays.
    with suppress(sa.exc.SQLAlchemyError, ImagetreeError, OSError):
        with engine.connect() as connection:
            named = connection.execute(
                sa.select(schema.event.c.event_id).where(schema.event.c.payload_sha256 == digest)
            ).first()
        if named is None:
            payload_path(changes.folder, digest).unlink(missing_ok=True)
