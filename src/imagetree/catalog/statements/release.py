"""What the catalog knows about releases; their manifests are the truth."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.core.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class ReleaseRow:
    """One release; `release_id` is the SHA-256 of its manifest."""

    name: str
    release_id: str
    created_at: str
    seed: int
    n_images: int
    n_classes: int


_COLUMNS = [schema.release.c[name] for name in ReleaseRow.__dataclass_fields__]


def read_releases(connection: Connection, *, limit: int = 200) -> list[ReleaseRow]:
    """The releases, newest first."""
    statement = sa.select(*_COLUMNS).order_by(schema.release.c.created_at.desc()).limit(limit)
    return [ReleaseRow(**row._mapping) for row in connection.execute(statement)]


def read_release(connection: Connection, name: str) -> ReleaseRow:
    """One release; NotFound when there is none of that name."""
    row = connection.execute(sa.select(*_COLUMNS).where(schema.release.c.name == name)).first()
    if row is None:
        raise NotFound(f"No release is named {name}.", hint="See /releases.")
    return ReleaseRow(**row._mapping)


def count_splits(connection: Connection, name: str) -> dict[str, int]:
    """Images of each split."""
    held = schema.release_image.c
    statement = (
        sa.select(held.split, sa.func.count()).where(held.release == name).group_by(held.split)
    )
    return {row[0]: row[1] for row in connection.execute(statement.order_by(held.split.desc()))}


def count_synset(connection: Connection, wnid: str) -> dict[str, dict[str, int]]:
    """Images that show one synset, by release, newest first, and split."""
    held, label, release = schema.release_image.c, schema.release_label.c, schema.release.c
    statement = (
        sa.select(label.release, held.split, sa.func.count())
        .where(label.wnid == wnid, label.state == "present")
        .where(held.release == label.release, held.sha256 == label.sha256)
        .where(release.name == label.release)
        .group_by(label.release, held.split, release.created_at)
        .order_by(release.created_at.desc(), held.split.desc())
    )
    found: dict[str, dict[str, int]] = {}
    for name, split, n in connection.execute(statement):
        found.setdefault(name, {})[split] = n
    return found


def count_classes(connection: Connection, name: str) -> dict[str, dict[str, int]]:
    """Images that show each class, by wnid and split."""
    held, label = schema.release_image.c, schema.release_label.c
    statement = (
        sa.select(label.wnid, held.split, sa.func.count())
        .where(label.release == name, label.state == "present")
        .where(held.release == label.release, held.sha256 == label.sha256)
        .group_by(label.wnid, held.split)
    )
    found: dict[str, dict[str, int]] = {}
    for wnid, split, n in connection.execute(statement):
        found.setdefault(wnid, {})[split] = n
    return found
