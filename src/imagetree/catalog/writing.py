"""One way to write: rows and the event that tells of them, in the same transaction.

A `Write` records each change as data (table, operation, rows) while it makes it. At the end the
changes become one event. Replaying is then nothing but making the same changes again, so a log
that replays to the same rows is a property of this file, not of every author's care.

Operations: `insert` (rows), `update` (rows: key columns + new values), `delete` (rows: key
columns), `add` (rows: key columns + amounts; a missing row counts as zero).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from imagetree.catalog import dialect, schema
from imagetree.core.errors import IntegrityFailure

Row = Mapping[str, Any]

# Above this an event's changes go to a file of their own, and the row keeps its hash.
INLINE_BYTES = 16_384


def now() -> str:
    """The time as the catalog writes it: UTC, ISO 8601, milliseconds, 24 characters."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Write:
    """One transaction's changes; made by `writing`, never by hand."""

    def __init__(self, connection: Connection, kind: str, *, actor: str) -> None:
        self.connection = connection
        self.kind = kind
        self.actor = actor
        self.summary = ""
        self.at = now()
        self.changes: list[dict[str, Any]] = []

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

    def _change(self, operation: str, table: sa.Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        kept = [dict(row) for row in rows]
        apply_change(self.connection, operation, table, kept)
        self.changes.append({"op": operation, "table": table.name, "rows": kept})


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
    with engine.connect().execution_options(imagetree_writing=True) as connection:
        with connection.begin():
            dialect.lock_writers(connection)
            write = Write(connection, kind, actor=actor)
            yield write
            if write.changes:
                _append_event(write, events_folder)


def _append_event(write: Write, folder: Path) -> None:
    event_id = 1 + (
        write.connection.execute(sa.select(sa.func.max(schema.event.c.event_id))).scalar() or 0
    )
    text = json.dumps(write.changes, separators=(",", ":"), sort_keys=True, allow_nan=False)
    data = text.encode()
    inline = len(data) <= INLINE_BYTES
    digest = None if inline else hashlib.sha256(data).hexdigest()
    if digest is not None:
        _store_payload(folder, digest, data)
    write.connection.execute(
        sa.insert(schema.event),
        {
            "event_id": event_id,
            "at": write.at,
            "kind": write.kind,
            "actor": write.actor,
            "summary": write.summary,
            "changes": write.changes if inline else None,
            "payload_sha256": digest,
        },
    )


def _store_payload(folder: Path, digest: str, data: bytes) -> None:
    """Writes a payload file whole before the transaction that names it can commit."""
    target = payload_path(folder, digest)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        stream.write(gzip.compress(data, compresslevel=3, mtime=0))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(target)


def payload_path(folder: Path, digest: str) -> Path:
    """Where a bulk event's changes lie: events/ab/abcdef....json.gz."""
    return folder / digest[:2] / f"{digest}.json.gz"
