"""What a release would hold if it were frozen now, read from the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.core.errors import InvalidInput
from imagetree.release.record import Box, Label, ReleaseImage
from imagetree.release.splits import assign
from imagetree.taxonomy.taxonomy import Taxonomy


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a release would hold, images in the order of SHA-256, splits still empty."""

    classes: tuple[str, ...]
    images: list[ReleaseImage]
    centres: dict[str, str]


def gather(connection: Connection, *, wnids: Sequence[str] | None, min_images: int) -> Draft:
    """What is labelled now: with `wnids` those classes, else all with `min_images` images.

    InvalidInput when that is nothing.
    """
    label, image = schema.label.c, schema.image.c
    present = sa.select(label.wnid, sa.func.count()).where(label.state == "present")
    counts = {row[0]: row[1] for row in connection.execute(present.group_by(label.wnid))}
    _refuse_empty(counts, wnids)
    asked = counts.keys() if wnids is None else set(wnids)
    kept = {wnid for wnid in asked if counts[wnid] >= min_images}
    if not kept:
        raise InvalidInput(
            f"No class has {min_images} images.", hint="Ask for fewer with min_images."
        )
    # Verified absences of synsets that nothing shows stay, unless classes were named.
    left_out = counts.keys() - kept
    only = None if wnids is None else kept
    labels = _labels(connection, left_out=left_out, only=only)
    boxes = _boxes(connection, left_out=left_out, only=only)
    statement = sa.select(
        image.image_id, image.sha256, image.width_px, image.height_px, image.length
    )
    images = [
        ReleaseImage(
            sha256=row.sha256,
            split="",
            width_px=row.width_px,
            height_px=row.height_px,
            length=row.length,
            labels=tuple(sorted(labels.pop(row.image_id), key=lambda one: one.wnid)),
            boxes=tuple(sorted(boxes.pop(row.image_id, ()), key=_box_order)),
        )
        for row in _stream(connection, statement)
        if row.image_id in labels
    ]
    images.sort(key=lambda one: one.sha256)
    centres = {one.sha256: one.sha256 for one in images}
    for sha256, centre in _stars(connection):
        if sha256 in centres:
            centres[sha256] = centre
    return Draft(classes=tuple(sorted(kept)), images=images, centres=centres)


def _stream(connection: Connection, statement: sa.Select[Any]) -> Iterable[Any]:
    """The rows as they come, some thousands in memory at a time."""
    return connection.execute(statement.execution_options(yield_per=5_000))


def _stars(connection: Connection) -> Iterator[tuple[str, str]]:
    """SHA-256 of each near duplicate and of its star's centre."""
    near, image, centre = schema.near_duplicate, schema.image, schema.image.alias("centre")
    statement = sa.select(image.c.sha256, centre.c.sha256).select_from(
        near.join(image, image.c.image_id == near.c.image_id).join(
            centre, centre.c.image_id == near.c.centre_id
        )
    )
    yield from _stream(connection, statement)


def _wanted(wnid: str, left_out: Set[str], only: Set[str] | None) -> bool:
    return wnid not in left_out and (only is None or wnid in only)


def _labels(
    connection: Connection, *, left_out: Set[str], only: Set[str] | None
) -> dict[int, list[Label]]:
    found: dict[int, list[Label]] = {}
    # Many images carry the same label: one object serves them all.
    same: dict[Label, Label] = {}
    for row in _stream(connection, sa.select(schema.label)):
        if _wanted(row.wnid, left_out, only):
            one = Label(row.wnid, row.state, row.confidence, row.method)
            found.setdefault(row.image_id, []).append(same.setdefault(one, one))
    return found


def _boxes(
    connection: Connection, *, left_out: Set[str], only: Set[str] | None
) -> dict[int, list[Box]]:
    box = schema.box.c
    corners = (box.xmin, box.ymin, box.xmax, box.ymax)
    statement = sa.select(box.image_id, box.wnid, *corners, box.state)
    found: dict[int, list[Box]] = {}
    for image_id, *fields in connection.execute(statement.where(box.state != "refused")):
        one = Box(*fields)
        if _wanted(one.wnid, left_out, only):
            found.setdefault(image_id, []).append(one)
    return found


def _box_order(box: Box) -> tuple[Any, ...]:
    return (box.wnid, box.xmin, box.ymin, box.xmax, box.ymax, box.state)


def _refuse_empty(counts: Mapping[str, int], wnids: Sequence[str] | None) -> None:
    if not counts:
        raise InvalidInput(
            "There are no labelled images to release.",
            hint="Collect a labelled source, such as an image folder, or confirm candidates.",
        )
    unknown = sorted(set(wnids or ()) - counts.keys())
    if unknown or (wnids is not None and not wnids):
        raise InvalidInput(
            f"No image is labelled with {', '.join(unknown[:5]) or 'nothing'}.",
            hint="Name synsets that have labelled images; see imagetree tree.",
        )


def refuse_nested(taxonomy: Taxonomy, classes: Sequence[str]) -> None:
    """Returns nothing; InvalidInput, naming the pairs, when a class is above another."""
    pairs = taxonomy.nested(classes)
    if pairs:
        shown = "; ".join(
            f"{taxonomy[above].name} ({above}) is above {taxonomy[below].name} ({below})"
            for above, below in pairs[:5]
        )
        more = f"; and {len(pairs) - 5:,} more pairs" if len(pairs) > 5 else ""
        raise InvalidInput(
            f"Classes must not lie under one another: {shown}{more}.",
            hint="Name the classes that you want with wnids, or pass allow_nested.",
        )


def with_splits(draft: Draft, *, split: Mapping[str, float], seed: int) -> list[ReleaseImage]:
    """The draft's images with their splits, without those that the shares leave over."""
    found = assign(
        draft.centres,
        {one.sha256: one.present for one in draft.images},
        splits=split,
        seed=seed,
    )
    images = [one.in_split(found[one.sha256]) for one in draft.images if one.sha256 in found]
    if not images:
        raise InvalidInput(
            "The shares of the splits are too small for a single image.", hint="Give larger ones."
        )
    return images
