"""Rows and their event, on SQLite and on PostgreSQL."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from imagetree.catalog import migrations, replay, schema
from imagetree.catalog.changes import Changes, payload_path
from imagetree.catalog.engine import open_engine, sqlite_url
from imagetree.catalog.writing import Write, writing
from imagetree.core.errors import IntegrityFailure


def add_worker(engine: Engine, folder: Path, name: str) -> int:
    with writing(engine, "worker.added", actor="test", events_folder=folder) as write:
        (number,) = write.numbers(schema.worker, 1)
        write.insert(
            schema.worker,
            [
                {
                    "worker_id": number,
                    "name": name,
                    "role": "annotator",
                    "created_at": write.at,
                }
            ],
        )
        write.summary = f"{name} joined"
    return number


def count(engine: Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def add_counts(write: Write, wnid: str, n: int) -> None:
    row = {"wnid": wnid, "n_present": n, "n_absent": 0, "n_candidates": 1}
    write.add(schema.synset_count, [row])


def test_every_write_is_an_event_and_replays(engine: Engine, tmp_path: Path) -> None:
    assert add_worker(engine, tmp_path, "ines") == 1
    assert add_worker(engine, tmp_path, "otto") == 2
    with writing(engine, "test.counted", actor="test", events_folder=tmp_path) as write:
        add_counts(write, "n02084071", 5)
        add_counts(write, "n02084071", -2)
    with writing(engine, "worker.left", actor="test", events_folder=tmp_path) as write:
        write.update(schema.worker, [{"worker_id": 1, "role": "expert"}])
        write.delete(schema.worker, [{"worker_id": 2}])
    assert add_worker(engine, tmp_path, "rosa") == 3, "a number is never used twice"
    with engine.connect() as connection:
        row = connection.execute(sa.select(schema.synset_count)).one()
    assert tuple(row) == ("n02084071", 3, 0, 2)
    target = open_engine(sqlite_url(tmp_path / "replayed.sqlite"))
    migrations.upgrade(target)
    assert replay.replay(engine, target, events_folder=tmp_path) == 5
    assert replay.differences(engine, target) == []
    with target.begin() as connection:
        connection.execute(sa.update(schema.worker).values(role="curator"))
    assert replay.differences(engine, target) != []
    target.dispose()


def test_a_failed_write_leaves_neither_row_nor_event(engine: Engine, tmp_path: Path) -> None:
    def fail() -> None:
        with writing(engine, "worker.added", actor="test", events_folder=tmp_path) as write:
            write.numbers(schema.worker, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert count(engine, schema.event) == 0
    assert count(engine, schema.counter) == 0


def test_bulk_goes_to_a_payload_file_whose_change_is_noticed(
    engine: Engine, tmp_path: Path
) -> None:
    rows = [
        {"wnid": f"n{i:08d}", "n_present": 1, "n_absent": 0, "n_candidates": 0} for i in range(2000)
    ]
    with writing(engine, "test.bulk", actor="test", events_folder=tmp_path) as write:
        write.add(schema.synset_count, rows)
    with engine.connect() as connection:
        event = connection.execute(sa.select(schema.event)).one()
    assert event.changes is None
    payload = payload_path(tmp_path, event.payload_sha256)
    changes = list(replay.changes_of(event, tmp_path))
    assert sum(len(change["rows"]) for change in changes) == 2000
    payload.write_bytes(payload.read_bytes()[:-20])
    with pytest.raises(IntegrityFailure):
        list(replay.changes_of(event, tmp_path))


def test_many_writers_take_turns(engine: Engine, tmp_path: Path) -> None:
    errors: list[Exception] = []

    def work(name: str) -> None:
        try:
            for i in range(10):
                add_worker(engine, tmp_path, f"{name}-{i}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert count(engine, schema.worker) == count(engine, schema.event) == 40


def test_the_migrations_make_the_schema(engine: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
    assert migrations.revision(engine) == migrations.newest()


@pytest.mark.parametrize("n_rows", [3, 5000])
def test_changes_prepared_before_are_made_in_one_event(
    engine: Engine, tmp_path: Path, n_rows: int
) -> None:
    rows = [
        {"wnid": f"n{i:08d}", "n_present": i, "n_absent": 0, "n_candidates": 0}
        for i in range(n_rows)
    ]
    for fails in (True, False):
        changes = Changes(tmp_path / "events")
        changes.add("add", "synset_count", iter(rows))
        changes.seal()
        try:
            with writing(
                engine, "test.bulk", actor="test", events_folder=tmp_path / "events"
            ) as write:
                write.play(changes)
                if fails:
                    raise RuntimeError
        except RuntimeError:
            assert count(engine, schema.synset_count) == count(engine, schema.event) == 0
    assert count(engine, schema.synset_count) == n_rows
    assert count(engine, schema.event) == 1
    target = open_engine(sqlite_url(tmp_path / "replayed.sqlite"))
    migrations.upgrade(target)
    replay.replay(engine, target, events_folder=tmp_path / "events")
    assert replay.differences(engine, target) == []
    target.dispose()


def test_a_failed_write_leaves_no_payload(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    rows = [{"wnid": f"n{i:08d}", "n_present": 1} for i in range(5000)]

    def fail(kind: str) -> None:
        with writing(engine, kind, actor="test", events_folder=folder) as write:
            write.add(schema.synset_count, rows)
            if kind == "test.bulk":
                raise RuntimeError

    with pytest.raises(RuntimeError):
        fail("test.bulk")
    # This one fails after the payload was stored: an event needs a kind.
    with pytest.raises(sa.exc.IntegrityError):
        fail(None)  # type: ignore[arg-type]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_payload_of_the_first_version_replays(engine: Engine, tmp_path: Path) -> None:
    row = {"wnid": "n02084071", "n_present": 5, "n_absent": 0, "n_candidates": 1}
    changes = [{"op": "add", "table": "synset_count", "rows": [row]}] * 2
    data = json.dumps(changes, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    path = payload_path(tmp_path, digest)
    path.parent.mkdir()
    path.write_bytes(gzip.compress(data))
    with engine.begin() as connection:
        connection.execute(
            sa.insert(schema.event),
            {
                "event_id": 1,
                "at": "",
                "kind": "test",
                "actor": "",
                "summary": "",
                "payload_sha256": digest,
            },
        )
    with engine.connect() as connection:
        event = connection.execute(sa.select(schema.event)).one()
    assert list(replay.changes_of(event, tmp_path)) == changes
