"""Marks near duplicates in the catalog: stars around one image, never chains."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.images.duplicates import Candidate, find_stars
from imagetree.images.shards import Place
from imagetree.workflows.context import Context

# Below this the fingerprint says too little: only exact duplicates count.
MIN_SIDE_PX = 64


def mark(context: Context) -> int:
    """Number of images that are near duplicates of another one, after looking at all.

    Idempotent: the stars depend on the images alone, and only rows that differ are written.
    """
    image = schema.image.c
    with context.engine.connect() as connection:
        rows = connection.execute(
            sa.select(
                image.image_id,
                image.sha256,
                image.fingerprint,
                image.thumb_shard,
                image.thumb_offset,
                image.thumb_length,
            ).where(image.width_px >= MIN_SIDE_PX, image.height_px >= MIN_SIDE_PX)
        ).all()
        before = {
            row.image_id: (row.centre_id, row.distance)
            for row in connection.execute(sa.select(schema.near_duplicate))
        }
    places = {
        row.sha256: Place(shard=row.thumb_shard, offset=row.thumb_offset, length=row.thumb_length)
        for row in rows
    }
    ids = {row.sha256: row.image_id for row in rows}
    stars = find_stars(
        [Candidate(sha256=row.sha256, fingerprint=row.fingerprint) for row in rows],
        read_thumbnail=lambda sha256: context.thumbs.read(places[sha256]),
    )
    after = {ids[one.sha256]: (ids[one.centre], one.distance) for one in stars}
    _write(context, before, after)
    return len(after)


def _write(context: Context, before: dict[int, Any], after: dict[int, Any]) -> None:
    gone = [key for key in before if before[key] != after.get(key)]
    fresh = [key for key in after if before.get(key) != after[key]]
    if not gone and not fresh:
        return
    with context.writing("image.compared") as write:
        write.delete(schema.near_duplicate, [{"image_id": key} for key in sorted(gone)])
        write.insert(
            schema.near_duplicate,
            [
                {"image_id": key, "centre_id": after[key][0], "distance": after[key][1]}
                for key in sorted(fresh)
            ],
        )
        write.summary = f"{len(after)} images are near duplicates of another"
