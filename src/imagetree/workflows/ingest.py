"""Stores one batch of prepared images: shards first, then rows and event in one transaction.

The order makes a crash harmless. Bytes are in the shard and synced before any row names them;
a crash between the two leaves whole members without rows, which the next writer adopts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.catalog.writing import Write
from imagetree.core.errors import OutOfSpace
from imagetree.images.fingerprints import Prepared, prepare
from imagetree.images.shards import Place, ShardWriter
from imagetree.workflows.claims import add_claims
from imagetree.workflows.context import Context

# How long a batch waits for another process that is writing shards.
LOCK_TIMEOUT_S = 600.0
# Asked for in one statement; SQLite takes 32,766 values, PostgreSQL's driver 65,535.
MAX_LOCATIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Found:
    """One image that a source gave: its bytes, what was made of them, and what is claimed.

    `prepared` is None for an image that was catalogued when it was looked up.
    """

    location: str
    data: bytes
    sha256: str
    prepared: Prepared | None
    wnid: str | None
    claim: str | None
    author: str
    licence: str
    retrieved_at: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """One item that was not stored, with a stable code and a reason for people."""

    location: str
    code: str
    reason: str


def store(
    context: Context,
    collection_id: int,
    found: Sequence[Found],
    *,
    refused: Sequence[Refused] = (),
) -> dict[str, int]:
    """Counts of what became of one batch: n_stored, n_known, n_rejected.

    Idempotent: an image whose hash is catalogued is not stored again, an origin or reject that
    the collection has already is not added again.
    """
    with (
        context.image_series.writer(context.image_end, timeout_s=LOCK_TIMEOUT_S) as images,
        context.thumb_series.writer(context.thumb_end, timeout_s=LOCK_TIMEOUT_S) as thumbs,
    ):
        # Under the writer's lock nobody else can add these images in between.
        with context.engine.connect() as connection:
            known = known_images(connection, [item.sha256 for item in found])
        fresh = _fresh(found, known)
        try:
            places = _append(images, thumbs, found, fresh)
            return _write_rows(context, collection_id, found, refused, known, fresh, places)
        except OutOfSpace:
            images.take_back()
            thumbs.take_back()
            raise


def _fresh(found: Sequence[Found], known: dict[str, int]) -> dict[str, Prepared]:
    """What was made of each image that is not catalogued, by SHA-256."""
    fresh: dict[str, Prepared] = {}
    for item in found:
        if item.sha256 not in known and item.sha256 not in fresh:
            # Catalogued when it was looked up, and taken back since: decoded after all.
            fresh[item.sha256] = item.prepared or prepare(item.data)
    return fresh


def _append(
    images: ShardWriter, thumbs: ShardWriter, found: Sequence[Found], fresh: dict[str, Prepared]
) -> dict[str, tuple[Place, Place]]:
    """Where the bytes and the thumbnail of each new image lie, on the disk and synced."""
    places: dict[str, tuple[Place, Place]] = {}
    for item in found:
        if item.sha256 not in fresh or item.sha256 in places:
            continue
        thumb = fresh[item.sha256].thumbnail
        thumb_sha256 = hashlib.sha256(thumb).hexdigest()
        places[item.sha256] = (
            images.append(item.sha256, item.data),
            thumbs.append(thumb_sha256, thumb),
        )
    images.flush()
    thumbs.flush()
    return places


def known_images(connection: Connection, sha256s: Iterable[str]) -> dict[str, int]:
    """image_id by SHA-256, of those that are catalogued."""
    image = schema.image.c
    rows = connection.execute(
        sa.select(image.sha256, image.image_id).where(image.sha256.in_(sorted(set(sha256s))))
    )
    return {row.sha256: row.image_id for row in rows}


def _write_rows(
    context: Context,
    collection_id: int,
    found: Sequence[Found],
    refused: Sequence[Refused],
    known: dict[str, int],
    fresh: dict[str, Prepared],
    places: dict[str, tuple[Place, Place]],
) -> dict[str, int]:
    with context.writing("collection.stored") as write:
        done = _locations_done(
            write.connection,
            collection_id,
            [item.location for item in found] + [item.location for item in refused],
        )
        found = [item for item in found if item.location not in done]
        refused = [item for item in refused if item.location not in done]
        stored = _insert_images(write, found, fresh, places)
        ids = known | stored
        _insert_origins(write, collection_id, found, ids)
        _insert_rejects(write, collection_id, refused)
        claims = [
            (ids[item.sha256], item.sha256, item.wnid, item.claim)
            for item in found
            if item.wnid and item.claim
        ]
        add_claims(write, claims, taxonomy=context.taxonomy)
        counts = {
            "n_stored": len(stored),
            "n_known": len(found) - len(stored),
            "n_rejected": len(refused),
        }
        if found or refused:
            _count(write, collection_id, counts)
        write.summary = (
            f"{counts['n_stored']} images stored, {counts['n_known']} known already, "
            f"{counts['n_rejected']} rejected"
        )
    return counts


def _locations_done(
    connection: Connection, collection_id: int, locations: Sequence[str]
) -> set[str]:
    """The locations that this collection has handled already, stored or rejected."""
    done: set[str] = set()
    for table in (schema.origin, schema.reject):
        done.update(
            connection.execute(
                sa.select(table.c.location).where(
                    table.c.collection_id == collection_id, table.c.location.in_(locations)
                )
            ).scalars()
        )
    return done


def locations_done(context: Context, collection_id: int, locations: Sequence[str]) -> set[str]:
    """The locations that this collection has handled already; what a resumed collect skips."""
    done: set[str] = set()
    with context.engine.connect() as connection:
        for start in range(0, len(locations), MAX_LOCATIONS):
            some = locations[start : start + MAX_LOCATIONS]
            done |= _locations_done(connection, collection_id, some)
    return done


def _insert_images(
    write: Write,
    found: Sequence[Found],
    fresh: dict[str, Prepared],
    places: dict[str, tuple[Place, Place]],
) -> dict[str, int]:
    """image_id by SHA-256 of the images that were not catalogued and are in `found`."""
    wanted = list(dict.fromkeys(item.sha256 for item in found if item.sha256 in fresh))
    ids = dict(zip(wanted, write.numbers(schema.image, len(wanted)) if wanted else (), strict=True))
    rows: list[dict[str, Any]] = []
    for sha256, number in ids.items():
        prepared = fresh[sha256]
        info = prepared.info
        place, thumb = places[sha256]
        rows.append(
            {
                "image_id": number,
                "sha256": sha256,
                "format": info.format,
                "mode": info.mode,
                "width_px": info.width_px,
                "height_px": info.height_px,
                "orientation": info.orientation,
                "shard": place.shard,
                "offset": place.offset,
                "length": place.length,
                "thumb_shard": thumb.shard,
                "thumb_offset": thumb.offset,
                "thumb_length": thumb.length,
                "fingerprint": prepared.fingerprint,
                "stored_at": write.at,
            }
        )
    write.insert(schema.image, rows)
    return ids


def _insert_origins(
    write: Write, collection_id: int, found: Sequence[Found], ids: dict[str, int]
) -> None:
    numbers = write.numbers(schema.origin, len(found)) if found else ()
    write.insert(
        schema.origin,
        [
            {
                "origin_id": number,
                "image_id": ids[item.sha256],
                "collection_id": collection_id,
                "location": item.location,
                "wnid": item.wnid,
                "claim": item.claim if item.wnid else None,
                "author": item.author,
                "licence": item.licence,
                "retrieved_at": item.retrieved_at,
            }
            for number, item in zip(numbers, found, strict=True)
        ],
    )


def _insert_rejects(write: Write, collection_id: int, refused: Sequence[Refused]) -> None:
    numbers = write.numbers(schema.reject, len(refused)) if refused else ()
    write.insert(
        schema.reject,
        [
            {
                "reject_id": number,
                "collection_id": collection_id,
                "location": item.location,
                "code": item.code,
                "reason": item.reason,
                "at": write.at,
            }
            for number, item in zip(numbers, refused, strict=True)
        ],
    )


def _count(write: Write, collection_id: int, counts: dict[str, int]) -> None:
    row = write.connection.execute(
        sa.select(schema.collection).where(schema.collection.c.collection_id == collection_id)
    ).one()
    write.update(
        schema.collection,
        [
            {
                "collection_id": collection_id,
                **{name: getattr(row, name) + counts[name] for name in counts},
            }
        ],
    )
