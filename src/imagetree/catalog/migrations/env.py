"""Alembic's entry point: the connection is handed over by `imagetree.catalog.migrations`."""

from __future__ import annotations

from typing import Any

from alembic import context

from imagetree.catalog import schema


def _ours(obj: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    # A PostgreSQL database may also hold the job engine's tables.
    return kind != "table" or name in schema.metadata.tables


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    include_object=_ours,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
