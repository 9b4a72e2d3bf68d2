"""What the catalog knows about synsets: counts, safety, pages of images, random candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.catalog.statements.image import Photo

State = Literal["present", "absent", "candidate"]

# A statement takes at most this many parameters: PostgreSQL's limit is 65,535.
MANY = 10_000


@dataclass(frozen=True, kw_only=True)
class SynsetCount:
    """How many images a synset itself has, those of the synsets below not counted."""

    wnid: str
    n_present: int = 0
    n_absent: int = 0
    n_candidates: int = 0

    @property
    def n_photos(self) -> int:
        """Images that show the synset or may show it."""
        return self.n_present + self.n_candidates


def read_counts(
    connection: Connection, wnids: Sequence[str] | None = None
) -> dict[str, SynsetCount]:
    """Counts by wnid, of all synsets with images or of those asked for; zeros are left out."""
    count = schema.synset_count.c
    statement = sa.select(count.wnid, count.n_present, count.n_absent, count.n_candidates)
    parts: list[sa.Select[tuple[str, int, int, int]]] = [statement]
    if wnids is not None:
        parts = [
            statement.where(count.wnid.in_(wnids[start : start + MANY]))
            for start in range(0, len(wnids), MANY)
        ]
    return {
        row.wnid: SynsetCount(
            wnid=row.wnid,
            n_present=row.n_present,
            n_absent=row.n_absent,
            n_candidates=row.n_candidates,
        )
        for part in parts
        for row in connection.execute(part)
    }


def read_safety(connection: Connection, wnid: str) -> str:
    """'safe', 'unsafe' or 'unreviewed'; a synset without a row is not reviewed."""
    synset = schema.synset.c
    found = connection.execute(sa.select(synset.safety).where(synset.wnid == wnid)).scalar()
    return found or "unreviewed"


def read_photos(
    connection: Connection,
    wnid: str,
    *,
    state: State = "present",
    after: int = 0,
    limit: int = 48,
) -> list[Photo]:
    """The next `limit` images of a synset whose image_id is above `after`, by image_id."""
    of, statement = _photos_of(wnid, state=state)
    statement = statement.where(of.c.image_id > after).order_by(of.c.image_id).limit(limit)
    return [Photo(**row._mapping) for row in connection.execute(statement)]


def read_photo_before(
    connection: Connection, wnid: str, *, before: int, state: State = "present"
) -> Photo | None:
    """The last image of a synset whose image_id is below `before`, if there is one."""
    of, statement = _photos_of(wnid, state=state)
    statement = statement.where(of.c.image_id < before).order_by(of.c.image_id.desc()).limit(1)
    row = connection.execute(statement).first()
    return Photo(**row._mapping) if row else None


def _photos_of(wnid: str, *, state: State) -> tuple[sa.Table, sa.Select[tuple[int, str, int, int]]]:
    """The table that puts images of this state on a synset, and the choice of them all."""
    image = schema.image.c
    if state == "candidate":
        of = schema.candidate
        where = schema.candidate.c.wnid == wnid
    else:
        of = schema.label
        where = (schema.label.c.wnid == wnid) & (schema.label.c.state == state)
    statement = (
        sa.select(image.image_id, image.sha256, image.width_px, image.height_px)
        .select_from(of.join(schema.image, image.image_id == of.c.image_id))
        .where(where)
    )
    return of, statement


def sample_candidates(
    connection: Connection, wnid: str | None = None, *, n: int = 100, start: float = 0.0
) -> list[tuple[int, str]]:
    """Up to `n` (image_id, wnid) drawn at random, the draw fixed by `start` in [0, 1).

    Every candidate carries a fixed random number; a sample is the range of them from `start`
    on, going round at 1. A range of an index: its time does not grow with the table.
    """
    candidate = schema.candidate.c
    statement = sa.select(candidate.image_id, candidate.wnid).order_by(candidate.draw)
    if wnid is not None:
        statement = statement.where(candidate.wnid == wnid)
    found = connection.execute(statement.where(candidate.draw >= start).limit(n)).all()
    if len(found) < n:
        rest = statement.where(candidate.draw < start).limit(n - len(found))
        found = [*found, *connection.execute(rest).all()]
    return [(row[0], row[1]) for row in found]
