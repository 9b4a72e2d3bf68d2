"""Replays the event log into an empty catalog, and compares two catalogs row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from imagetree.catalog import schema
from imagetree.catalog.changes import Change, read_payload
from imagetree.catalog.writing import apply_change
from imagetree.core.errors import IntegrityFailure
from imagetree.core.progress import Progress, Report, silent


def changes_of(row: sa.Row[Any], events_folder: Path) -> Iterator[Change]:
    """The changes of one event, from its row or from its payload file, checked by its hash."""
    if row.payload_sha256 is None:
        return iter(row.changes)
    return read_payload(events_folder, row.payload_sha256, event=row.event_id)


def replay(source: Engine, target: Engine, *, events_folder: Path, report: Report = silent) -> int:
    """Number of events replayed from `source`'s log into the empty catalog `target`.

    The target has the schema and no rows. Its event table is a copy of the source's.
    """
    with source.connect() as reading, target.begin() as writing:
        if writing.execute(sa.select(sa.func.count()).select_from(schema.event)).scalar():
            raise IntegrityFailure("The catalog to replay into is not empty.")
        n_total = reading.execute(sa.select(sa.func.count()).select_from(schema.event)).scalar()
        n_done = 0
        for row in _events(reading):
            for change in changes_of(row, events_folder):
                table = schema.metadata.tables[change["table"]]
                apply_change(writing, change["op"], table, change["rows"])
            writing.execute(sa.insert(schema.event), dict(row._mapping))
            n_done += 1
            if n_done % 100 == 0:
                report(Progress(what="Replaying", n_done=n_done, n_total=n_total, unit="events"))
    return n_done


def _events(connection: Connection) -> Iterator[sa.Row[Any]]:
    yield from connection.execute(sa.select(schema.event).order_by(schema.event.c.event_id))


def differences(one: Engine, other: Engine) -> list[str]:
    """What differs between two catalogs, a line each, at most ten a table; empty when equal."""
    found: list[str] = []
    with one.connect() as a, other.connect() as b:
        for table in schema.metadata.sorted_tables:
            order = list(table.primary_key.columns)
            left = a.execute(sa.select(table).order_by(*order)).fetchall()
            right = b.execute(sa.select(table).order_by(*order)).fetchall()
            if len(left) != len(right):
                found.append(f"{table.name}: {len(left)} rows against {len(right)}")
            unequal = [
                f"{table.name}: {tuple(x)} against {tuple(y)}"
                for x, y in zip(left, right, strict=False)
                if tuple(x) != tuple(y)
            ]
            found.extend(unequal[:10])
    return found
