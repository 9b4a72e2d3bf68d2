"""What holds of a database whatever interrupted the work that filled it."""

from __future__ import annotations

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.database import Database


def stored(db: Database) -> set[str]:
    """The SHA-256 of every catalogued image."""
    with db.engine.connect() as connection:
        return set(connection.execute(sa.select(schema.image.c.sha256)).scalars())


def assert_sound(db: Database, n_images: int) -> None:
    """So many images are catalogued, every byte of theirs holds, and the log replays."""
    assert len(stored(db)) == n_images
    assert db.check().findings == ()
    assert db.replay_check() == []
