"""Alembic migrations of the catalog, run by `upgrade`, never by hand."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from imagetree.catalog import dialect
from imagetree.core.errors import Conflict


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def newest() -> str:
    """The revision that this version of imagetree works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # the folder beside this file ships with the package
    return head


def revision(engine: Engine) -> str | None:
    """The revision of a catalog; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> None:
    """Brings a catalog to the newest revision, in one transaction."""
    config = _config()
    with engine.connect().execution_options(imagetree_writing=True) as connection:
        with connection.begin():
            dialect.lock_writers(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def require_newest(engine: Engine, *, where: str) -> None:
    """Raises Conflict when a catalog's schema is not this version's, saying what to do."""
    found = revision(engine)
    if found == newest():
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is None or found in known:
        raise Conflict(
            f"The catalog of {where} has schema {found or 'none'}, this version needs {newest()}.",
            hint=f"Back the folder up, then run: imagetree upgrade {where}",
        )
    raise Conflict(
        f"The catalog of {where} was written by a newer imagetree (schema {found}).",
        hint="Install that version or a later one.",
    )


def tables(engine: Engine) -> set[str]:
    """Names of the tables that are there."""
    return set(sa.inspect(engine).get_table_names())
