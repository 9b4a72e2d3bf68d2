"""What the catalog knows about one image."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.core.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class Photo:
    """An image as a grid shows it; sizes in pixels as shown."""

    image_id: int
    sha256: str
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class ImageRow(Photo):
    """An image's row, without where its bytes lie."""

    format: str
    mode: str
    length: int
    stored_at: str


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """A synset on an image: 'present', 'absent' or 'candidate'; confidence 0 to 1 or None."""

    wnid: str
    state: str
    confidence: float | None
    method: str


@dataclass(frozen=True, kw_only=True)
class OriginRow:
    """Where an image came from."""

    collection_id: int
    location: str
    author: str
    licence: str
    retrieved_at: str


@dataclass(frozen=True, kw_only=True)
class BoxRow:
    """A box, xyxy in pixels of the image as shown; state 'drawn', 'verified' or 'refused'."""

    wnid: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    state: str


def read_image(connection: Connection, sha256: str) -> ImageRow:
    """The row of an image; NotFound when none is stored under that hash."""
    columns = [schema.image.c[name] for name in ImageRow.__dataclass_fields__]
    row = connection.execute(sa.select(*columns).where(schema.image.c.sha256 == sha256)).first()
    if row is None:
        raise NotFound(
            f"No image {sha256[:16]} is stored here.", hint="It may have been undone or taken down."
        )
    return ImageRow(**row._mapping)


def read_labels(connection: Connection, image_id: int) -> list[LabelRow]:
    """An image's labels, then the synsets that are only proposed for it."""
    label, candidate = schema.label.c, schema.candidate.c
    found = [
        LabelRow(**row._mapping)
        for row in connection.execute(
            sa.select(label.wnid, label.state, label.confidence, label.method)
            .where(label.image_id == image_id)
            .order_by(label.state.desc(), label.wnid)
        )
    ]
    known = {one.wnid for one in found}
    proposed = connection.execute(
        sa.select(candidate.wnid).where(candidate.image_id == image_id).order_by(candidate.wnid)
    ).scalars()
    for wnid in proposed:
        if wnid not in known:
            found.append(LabelRow(wnid=wnid, state="candidate", confidence=None, method=""))
    return found


def read_origins(connection: Connection, image_id: int) -> list[OriginRow]:
    """Every place that an image was found at, oldest first."""
    origin = schema.origin.c
    columns = [origin[name] for name in OriginRow.__dataclass_fields__]
    statement = sa.select(*columns).where(origin.image_id == image_id).order_by(origin.origin_id)
    return [OriginRow(**row._mapping) for row in connection.execute(statement)]


def read_boxes(connection: Connection, image_id: int) -> list[BoxRow]:
    """An image's boxes in the order they were drawn."""
    box = schema.box.c
    # The columns are called x_min and so on: PostgreSQL takes the short names for its own.
    columns = [box[name].label(name) for name in BoxRow.__dataclass_fields__]
    statement = sa.select(*columns).where(box.image_id == image_id).order_by(box.box_id)
    return [BoxRow(**row._mapping) for row in connection.execute(statement)]


def read_near_duplicates(connection: Connection, image_id: int, *, limit: int = 24) -> list[Photo]:
    """The other images of the same star, its centre first."""
    near, image = schema.near_duplicate.c, schema.image.c
    centre = connection.execute(sa.select(near.centre_id).where(near.image_id == image_id)).scalar()
    star = centre if centre is not None else image_id
    members = sa.select(near.image_id).where(near.centre_id == star)
    statement = (
        sa.select(image.image_id, image.sha256, image.width_px, image.height_px)
        .where((image.image_id == star) | image.image_id.in_(members), image.image_id != image_id)
        .order_by(image.image_id != star, image.image_id)
        .limit(limit)
    )
    return [Photo(**row._mapping) for row in connection.execute(statement)]


def read_releases(connection: Connection, sha256: str) -> list[tuple[str, str]]:
    """(release, split) of the releases that hold an image."""
    held = schema.release_image.c
    statement = sa.select(held.release, held.split).where(held.sha256 == sha256)
    return [(row[0], row[1]) for row in connection.execute(statement.order_by(held.release))]
