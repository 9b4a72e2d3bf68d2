"""The job engine's database: SQLite by default, PostgreSQL where the catalog is there too."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

from imagetree.catalog.engine import BUSY_TIMEOUT_S, sqlite_module

# Pinned: a version that follows the code would strand every job that waits during an upgrade.
APPLICATION_VERSION = "1"
EXECUTOR_ID = "runner"
APPLICATION_NAME = "imagetree"
WORKFLOW_NAME = "imagetree_job"
# Jobs that write shards take turns, so do those that pack and those that train; the three kinds
# run side by side.
QUEUES = ("store", "pack", "train")


def open_jobs_engine(url: str) -> Engine:
    """An engine for the job tables, with the newest SQLite at hand."""
    made = sa.make_url(url)
    if made.get_backend_name() != "sqlite":
        return sa.create_engine(made.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    engine = sa.create_engine(
        made,
        module=sqlite_module(),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        # Writers take their lock when they begin: none can fail half-way for another's sake.
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine
