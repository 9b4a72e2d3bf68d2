"""Takes a collect back: its origins, what follows from them, and the bytes nobody else needs.

What others stand on stays: an image that a release holds, that people voted on or drew boxes
on, or that another collection found too. The bytes of the rest become tombstones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.catalog.writing import Write
from imagetree.core.errors import Conflict
from imagetree.core.progress import Progress
from imagetree.images.shards import Place, remove, scan
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.workflows.claims import add_counts
from imagetree.workflows.collect import find_collection
from imagetree.workflows.context import Context
from imagetree.workflows.ingest import LOCK_TIMEOUT_S

BATCH = 500


def undo(steps: Steps, context: Context, params: Params) -> Json:
    """Counts of an undone collect: images removed, and images kept because others need them.

    Idempotent, and may be stopped at any batch and run again. Raises NotFound for an unknown
    collection and Conflict for one that is still running.
    """
    collection_id = int(params["collection_id"])
    row = find_collection(context, collection_id)
    if row.state == "running" and not params.get("force"):
        raise Conflict(
            f"Collection {collection_id} is not finished.",
            hint="Cancel its job first, or undo it with --force.",
        )
    n_removed = n_kept = 0
    after = 0
    while True:
        batch = steps.run(
            f"undo after {after}", partial(_undo_batch, context, collection_id, after)
        )
        n_removed += batch["n_removed"]
        n_kept += batch["n_kept"]
        steps.report(Progress(what="Undoing", n_done=n_removed + n_kept, unit="images"))
        if batch["last"] is None:
            break
        after = batch["last"]
    steps.run("bytes", lambda: erase_taken_down(context))
    steps.run("close", lambda: _mark_undone(context, collection_id, n_removed, n_kept))
    return {"collection_id": collection_id, "n_removed": n_removed, "n_kept": n_kept}


def _undo_batch(context: Context, collection_id: int, after: int) -> dict[str, Any]:
    """Removes what one batch of origins gave; `last` is where the next batch goes on."""
    origin = schema.origin
    with context.writing("collection.undone") as write:
        rows = write.connection.execute(
            sa.select(origin.c.origin_id, origin.c.image_id)
            .where(origin.c.collection_id == collection_id, origin.c.origin_id > after)
            .order_by(origin.c.origin_id)
            .limit(BATCH)
        ).all()
        if not rows:
            return {"n_removed": 0, "n_kept": 0, "last": None}
        image_ids = sorted({row.image_id for row in rows})
        held = _held(write.connection, image_ids)
        shared = _shared(write.connection, image_ids, collection_id)
        removable = [one for one in image_ids if one not in held and one not in shared]
        # An image that is held keeps its origin: where it came from must stay known.
        write.delete(
            origin,
            [{"origin_id": row.origin_id} for row in rows if row.image_id not in held],
        )
        _drop_claims(write, [one for one in shared if one not in held])
        remove_images(write, removable, reason=f"collection {collection_id} was undone")
        write.summary = f"{len(removable)} images of collection {collection_id} removed"
        return {
            "n_removed": len(removable),
            "n_kept": len(image_ids) - len(removable),
            "last": rows[-1].origin_id,
        }


def _held(connection: Connection, image_ids: Sequence[int]) -> set[int]:
    """Images that a release, a vote or a box stands on."""
    image = schema.image.c
    held = set(
        connection.execute(
            sa.select(image.image_id)
            .join(schema.release_image, schema.release_image.c.sha256 == image.sha256)
            .where(image.image_id.in_(image_ids))
        ).scalars()
    )
    for table in (schema.vote, schema.box):
        held.update(
            connection.execute(
                sa.select(table.c.image_id).where(table.c.image_id.in_(image_ids))
            ).scalars()
        )
    return held


def _shared(connection: Connection, image_ids: Sequence[int], collection_id: int) -> set[int]:
    """Images that another collection found too."""
    origin = schema.origin.c
    return set(
        connection.execute(
            sa.select(origin.image_id).where(
                origin.image_id.in_(image_ids), origin.collection_id != collection_id
            )
        ).scalars()
    )


def _drop_claims(write: Write, image_ids: Sequence[int]) -> None:
    """Removes imported labels and candidates that no remaining origin claims."""
    origin = schema.origin.c
    claims = {
        (row.image_id, row.wnid, row.claim)
        for row in write.connection.execute(
            sa.select(origin.image_id, origin.wnid, origin.claim).where(
                origin.image_id.in_(image_ids), origin.wnid.is_not(None)
            )
        )
    }
    labels = write.connection.execute(
        sa.select(schema.label).where(
            schema.label.c.image_id.in_(image_ids), schema.label.c.method == "imported"
        )
    ).all()
    candidates = write.connection.execute(
        sa.select(schema.candidate).where(schema.candidate.c.image_id.in_(image_ids))
    ).all()
    _delete_claims(
        write,
        [row for row in labels if (row.image_id, row.wnid, "label") not in claims],
        [
            row
            for row in candidates
            if not {(row.image_id, row.wnid, kind) for kind in ("label", "candidate")} & claims
        ],
    )


def _delete_claims(
    write: Write, labels: Sequence[sa.Row[Any]], candidates: Sequence[sa.Row[Any]]
) -> None:
    amounts: dict[str, Counter[str]] = {}
    for row in labels:
        amounts.setdefault(row.wnid, Counter())[f"n_{row.state}"] -= 1
    for row in candidates:
        amounts.setdefault(row.wnid, Counter())["n_candidates"] -= 1
    write.delete(schema.label, [{"image_id": row.image_id, "wnid": row.wnid} for row in labels])
    write.delete(
        schema.candidate, [{"image_id": row.image_id, "wnid": row.wnid} for row in candidates]
    )
    add_counts(write, amounts)


def remove_images(write: Write, image_ids: Sequence[int], *, reason: str) -> None:
    """Deletes images with all that hangs on them, and notes a takedown for each.

    The bytes are erased afterwards by `erase_taken_down`, which finds what to erase by the
    takedown rows, so that a crash in between leaves nothing behind.
    """
    image = schema.image
    rows = write.connection.execute(
        sa.select(image).where(image.c.image_id.in_(image_ids)).order_by(image.c.image_id)
    ).all()
    labels = write.connection.execute(
        sa.select(schema.label).where(schema.label.c.image_id.in_(image_ids))
    ).all()
    candidates = write.connection.execute(
        sa.select(schema.candidate).where(schema.candidate.c.image_id.in_(image_ids))
    ).all()
    _delete_claims(write, labels, candidates)
    near = schema.near_duplicate
    stars = write.connection.execute(
        sa.select(near.c.image_id).where(
            near.c.image_id.in_(image_ids) | near.c.centre_id.in_(image_ids)
        )
    ).scalars()
    write.delete(near, [{"image_id": one} for one in stars])
    numbers = write.numbers(schema.takedown, len(rows)) if rows else ()
    write.insert(
        schema.takedown,
        [
            {"takedown_id": number, "sha256": row.sha256, "reason": reason, "at": write.at}
            for number, row in zip(numbers, rows, strict=True)
        ],
    )
    write.delete(image, [{"image_id": row.image_id} for row in rows])


def erase_taken_down(context: Context) -> int:
    """Number of members erased: those in the shards that no row names but a takedown does."""
    n_erased = 0
    for series, column, reader in (
        (context.image_series, "offset", context.images),
        (context.thumb_series, "thumb_offset", context.thumbs),
    ):
        end = context.image_end if column == "offset" else context.thumb_end
        # The lock keeps writers from adopting a member while it is being erased.
        with series.writer(end, timeout_s=LOCK_TIMEOUT_S):
            for path in series.paths():
                n_erased += _erase_in(context, path, column)
        reader.close()
    return n_erased


def _erase_in(context: Context, path: Path, column: str) -> int:
    prefix = "" if column == "offset" else "thumb_"
    image = schema.image.c
    with context.engine.connect() as connection:
        named = set(
            connection.execute(
                sa.select(image[f"{prefix}offset"]).where(image[f"{prefix}shard"] == path.name)
            ).scalars()
        )
        taken = set(connection.execute(sa.select(schema.takedown.c.sha256)).scalars())
    n_erased = 0
    for member in scan(path):
        place: Place = member.place
        if member.removed or place.offset in named:
            continue
        # Thumbnails are named by their own hash; one without a row belongs to nobody.
        if prefix or member.sha256 in taken:
            remove(path, place)
            n_erased += 1
    return n_erased


def _mark_undone(context: Context, collection_id: int, n_removed: int, n_kept: int) -> None:
    with context.writing("collection.undone") as write:
        write.update(
            schema.collection,
            [{"collection_id": collection_id, "state": "undone", "finished_at": write.at}],
        )
        write.summary = (
            f"Collection {collection_id} was undone: {n_removed} images removed, "
            f"{n_kept} kept because others need them"
        )
