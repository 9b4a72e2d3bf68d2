"""Opens the catalog's engine: SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

from imagetree.core.errors import InvalidInput, MissingPart, OutOfSpace
from imagetree.core.space import out_of_space

BUSY_TIMEOUT_S = 60.0


def sqlite_module() -> ModuleType:
    """The newest SQLite at hand.

    Debian 12's Python links 3.40.1, whose WAL mode has a rare corruption bug with several
    writers (fixed in 3.51.3); the wheel of `pysqlite3` brings its own, newer library.
    """
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ImportError:  # no wheel for this machine: Python's own
        return importlib.import_module("sqlite3")


def sqlite_version() -> str:
    """The version of the SQLite library that catalogs are opened with, such as '3.53.4'."""
    return str(sqlite_module().sqlite_version)


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for `sqlite:///path/catalog.sqlite` or `postgresql://...`.

    Every SQLite connection waits up to 60 s for another writer, syncs at each checkpoint,
    enforces foreign keys and overwrites what is deleted (a takedown must leave no bytes).
    """
    made = sa.make_url(url)
    if made.get_backend_name() == "sqlite":
        return _open_sqlite(made, read_only=read_only)
    if made.get_backend_name() == "postgresql":
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingPart(
                "PostgreSQL needs the package psycopg.",
                hint="pip install 'imagetree[postgresql]'",
            ) from error
        engine = sa.create_engine(made.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        _tell_full_disk(engine)
        return engine
    raise InvalidInput(
        f"A catalog cannot be opened at {made.render_as_string()}.",
        hint="Use sqlite:///FILE or postgresql://USER@HOST/NAME.",
    )


def _open_sqlite(url: sa.URL, *, read_only: bool) -> Engine:
    connect_args: dict[str, Any] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = sa.create_engine(url, module=sqlite_module(), connect_args=connect_args)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        # The driver must not start transactions by itself: `begin` below decides how.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "cache_size=-65536",
            "temp_store=MEMORY",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        # A deferred transaction that turns into a writer fails at once when another writes;
        # IMMEDIATE waits its turn instead.
        writing = connection.get_execution_options().get("imagetree_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    _tell_full_disk(engine, folder=Path(url.database).parent if url.database else None)
    return engine


def _tell_full_disk(engine: Engine, *, folder: Path | None = None) -> None:
    @event.listens_for(engine, "handle_error", retval=True)
    def on_error(context: Any) -> OutOfSpace | None:
        # What is returned is raised in place of the driver's error.
        return out_of_space(context.original_exception, folder=folder)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"
