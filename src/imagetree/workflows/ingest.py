"""Stores one batch of prepared images: shards first, then rows and event in one transaction.

The order makes a crash harmless. Bytes are in the shard and synced before any row names them;
a crash between the two leaves whole members without rows, which the next writer adopts.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
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
from imagetree.taxonomy.taxonomy import Taxonomy
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


def draw(sha256: str, wnid: str) -> float:
    """A fixed pseudo-random number in [0, 1) for an image on a synset.

    Sampling candidates at random is then a range of an indexed column.
    """
    digest = hashlib.blake2b(f"{sha256} {wnid}".encode(), digest_size=8).digest()
    (number,) = struct.unpack(">Q", digest)
    return float(number >> 11) / float(1 << 53)


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
        try:
            fresh, places = _append(images, thumbs, found, known)
            return _write_rows(context, collection_id, found, refused, known, fresh, places)
        except OutOfSpace:
            images.take_back()
            thumbs.take_back()
            raise


def _append(
    images: ShardWriter, thumbs: ShardWriter, found: Sequence[Found], known: dict[str, int]
) -> tuple[dict[str, Prepared], dict[str, tuple[Place, Place]]]:
    """What was made of each new image, and where it and its thumbnail lie, synced to the disk."""
    fresh: dict[str, Prepared] = {}
    places: dict[str, tuple[Place, Place]] = {}
    for item in found:
        sha256 = item.sha256
        if sha256 in known or sha256 in places:
            continue
        # Catalogued when it was looked up, and taken back since: decoded after all.
        fresh[sha256] = item.prepared or prepare(item.data)
        thumb = fresh[sha256].thumbnail
        thumb_sha256 = hashlib.sha256(thumb).hexdigest()
        places[sha256] = (
            images.append(sha256, item.data),
            thumbs.append(thumb_sha256, thumb),
        )
    images.flush()
    thumbs.flush()
    return fresh, places


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


def add_claims(
    write: Write,
    claims: Sequence[tuple[int, str, str, str]],
    *,
    taxonomy: Taxonomy,
    method: str = "imported",
) -> None:
    """Turns claims (image_id, sha256, wnid, 'label' or 'candidate') into rows and counts.

    A label ends the candidacy of the same image for the same synset; a candidate is not added
    where a label stands.
    """
    # One claim a pair; where a batch both labels and proposes it, the label wins.
    strongest: dict[tuple[int, str], tuple[int, str, str, str]] = {}
    for claim in claims:
        pair = (claim[0], claim[2])
        if pair not in strongest or claim[3] == "label":
            strongest[pair] = claim
    claims = list(strongest.values())
    if not claims:
        return
    add_synsets(write, sorted({wnid for _, _, wnid, _ in claims}), taxonomy=taxonomy)
    image_ids = sorted({image_id for image_id, _, _, _ in claims})
    labelled = _pairs(write.connection, schema.label, image_ids)
    proposed = _pairs(write.connection, schema.candidate, image_ids)
    labels: list[dict[str, Any]] = []
    candidates: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for image_id, sha256, wnid, kind in claims:
        pair = (image_id, wnid)
        if pair in labelled:
            continue
        if kind == "label":
            labels.append(
                {
                    "image_id": image_id,
                    "wnid": wnid,
                    "state": "present",
                    "confidence": None,
                    "method": method,
                }
            )
            if pair in proposed:
                ended.append({"image_id": image_id, "wnid": wnid})
        elif pair not in proposed:
            candidates.append({"image_id": image_id, "wnid": wnid, "draw": draw(sha256, wnid)})
    write.insert(schema.label, labels)
    write.insert(schema.candidate, candidates)
    write.delete(schema.candidate, ended)
    amounts: dict[str, Counter[str]] = {}
    for row in labels:
        amounts.setdefault(row["wnid"], Counter())["n_present"] += 1
    for row in candidates:
        amounts.setdefault(row["wnid"], Counter())["n_candidates"] += 1
    for row in ended:
        amounts.setdefault(row["wnid"], Counter())["n_candidates"] -= 1
    add_counts(write, amounts)


def add_counts(write: Write, amounts: dict[str, Counter[str]]) -> None:
    """Adds to the counts a synset: wnid -> n_present, n_absent, n_candidates."""
    write.add(
        schema.synset_count,
        [
            {
                "wnid": wnid,
                "n_present": counter["n_present"],
                "n_absent": counter["n_absent"],
                "n_candidates": counter["n_candidates"],
            }
            for wnid, counter in sorted(amounts.items())
        ],
    )


def _pairs(
    connection: Connection, table: sa.Table, image_ids: Sequence[int]
) -> set[tuple[int, str]]:
    rows = connection.execute(
        sa.select(table.c.image_id, table.c.wnid).where(table.c.image_id.in_(image_ids))
    )
    return {(row.image_id, row.wnid) for row in rows}


def add_synsets(write: Write, wnids: Sequence[str], *, taxonomy: Taxonomy) -> None:
    """Copies synsets that are used for the first time, with their parents, into the catalog."""
    here = set(
        write.connection.execute(
            sa.select(schema.synset.c.wnid).where(schema.synset.c.wnid.in_(wnids))
        ).scalars()
    )
    fresh = taxonomy.synsets([wnid for wnid in wnids if wnid not in here])
    write.insert(
        schema.synset,
        [
            {
                "wnid": one.wnid,
                "words": list(one.words),
                "gloss": one.gloss,
                "height": one.height,
                "safety": "unreviewed",
                "safety_by": "",
                "imageability": None,
                "source": taxonomy.source_of(one.wnid),
            }
            for one in fresh
        ],
    )
    write.insert(
        schema.hypernym,
        [{"child": one.wnid, "parent": parent} for one in fresh for parent in one.parents],
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
