"""The numbers of a database at a glance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from imagetree.catalog import schema


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Counts of what a database holds; sizes in bytes."""

    n_images: int
    n_bytes: int
    n_synsets: int
    n_present: int
    n_absent: int
    n_candidates: int
    n_boxes: int
    n_votes: int
    n_collections: int
    n_rejects: int
    n_near_duplicates: int
    n_releases: int
    n_runs: int
    n_events: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        return asdict(self)


def read_stats(engine: Engine) -> Stats:
    """The counts of a catalog, from one consistent look at it."""
    count = schema.synset_count.c
    with engine.connect() as connection:

        def number(table: sa.Table) -> int:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            )

        sums = connection.execute(
            sa.select(
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(count.n_present), 0),
                sa.func.coalesce(sa.func.sum(count.n_absent), 0),
                sa.func.coalesce(sa.func.sum(count.n_candidates), 0),
            ).where((count.n_present + count.n_absent + count.n_candidates) > 0)
        ).one()
        image = schema.image.c
        n_bytes = connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(image.length + image.thumb_length), 0))
        ).scalar_one()
        return Stats(
            n_images=number(schema.image),
            n_bytes=int(n_bytes),
            n_synsets=int(sums[0]),
            n_present=int(sums[1]),
            n_absent=int(sums[2]),
            n_candidates=int(sums[3]),
            n_boxes=number(schema.box),
            n_votes=number(schema.vote),
            n_collections=number(schema.collection),
            n_rejects=number(schema.reject),
            n_near_duplicates=number(schema.near_duplicate),
            n_releases=number(schema.release),
            n_runs=number(schema.run),
            n_events=number(schema.event),
        )
