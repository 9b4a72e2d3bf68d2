"""Releases: freezing what is labelled, opening, verifying and comparing what was frozen."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from imagetree.catalog import schema
from imagetree.catalog.writing import Write, writing
from imagetree.core.errors import Conflict, ImagetreeError, InvalidInput, NotFound
from imagetree.core.progress import Progress, Report, silent
from imagetree.images.shards import ShardReader
from imagetree.release.manifest import manifest_id, read_manifest, write_manifest
from imagetree.release.record import ReleaseImage
from imagetree.release.release import Release
from imagetree.release.splits import check_fractions
from imagetree.taxonomy.taxonomy import Taxonomy
from imagetree.workflows.context import Context
from imagetree.workflows.draft import gather, refuse_nested, with_splits
from imagetree.workflows.stored_images import StoredImages
from imagetree.workflows.stored_images import places as stored_places

MANIFEST = "manifest.jsonl"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_REPORT_EVERY = 100


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What releases need of a database."""

    engine: Engine
    taxonomy: Taxonomy
    releases_folder: Path
    events_folder: Path
    actor: str
    images: ShardReader

    def manifest(self, name: str) -> Path:
        """Where the manifest of a release lies."""
        return self.releases_folder / name / MANIFEST


@dataclass(frozen=True, kw_only=True)
class ReleaseInfo:
    """One release as the catalog knows it; `splits` are the shares it was made by."""

    name: str
    release_id: str
    created_at: str
    seed: int
    splits: dict[str, float]
    n_images: int
    n_classes: int


def pieces_of(context: Context) -> Pieces:
    """The pieces of an open database."""
    return Pieces(
        engine=context.engine,
        taxonomy=context.taxonomy,
        releases_folder=context.settings.releases_folder,
        events_folder=context.settings.events_folder,
        actor=context.settings.actor,
        images=context.images,
    )


# ---- creating ----


def create_release(
    pieces: Pieces,
    name: str,
    *,
    split: Mapping[str, float],
    seed: int = 0,
    wnids: Sequence[str] | None = None,
    min_images: int = 1,
    allow_nested: bool = False,
    report: Report = silent,
) -> ReleaseInfo:
    """The release of all labelled images, frozen under `name`; with `wnids`, of those classes.

    Classes are the synsets that at least `min_images` images show. None may be an ancestor of
    another (as in ILSVRC), or a right answer could count as wrong; `allow_nested` lets it be.
    Candidates wait for votes and do not go in. Exact and near duplicates go to one split.

    The same labels on the same bytes with the same split and seed give the same id, and a name
    that exists with the same id is just opened. Conflict when it has another; InvalidInput when
    nothing is labelled or an argument cannot be used.
    """
    _check(name, split, seed=seed, min_images=min_images)
    report(Progress(what="release", n_done=0, unit="images", note="reading the labels"))
    # Other writers wait until the release is whole, so it is of one moment.
    with writing(
        pieces.engine, "release.created", actor=pieces.actor, events_folder=pieces.events_folder
    ) as write:
        draft = gather(write.connection, wnids=wnids, min_images=min_images)
        if not allow_nested:
            refuse_nested(pieces.taxonomy, draft.classes)
        images = with_splits(draft, split=split, seed=seed)
        header = {
            "seed": seed,
            "splits": {key: float(value) for key, value in split.items()},
            "classes": [
                {"wnid": wnid, "words": list(pieces.taxonomy[wnid].words)} for wnid in draft.classes
            ],
        }
        total = len(images)
        report(Progress(what="release", n_done=0, n_total=total, unit="images", note="freezing"))
        info = _freeze(pieces, write, name, header=header, images=images)
    report(Progress(what="release", n_done=total, n_total=total, unit="images"))
    return info


def _check(name: str, split: Mapping[str, float], *, seed: int, min_images: int) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is no name for a release.",
            hint="Use up to 64 letters, digits, _, - and ., such as v1.",
        )
    check_fractions(split)
    if not 0 <= seed < 2**63:
        raise InvalidInput(f"The seed {seed} is out of range.", hint="Use 0 or a number above.")
    if min_images < 1:
        raise InvalidInput(f"min_images is {min_images}.", hint="Use 1 or a number above.")


def _freeze(
    pieces: Pieces,
    write: Write,
    name: str,
    *,
    header: Mapping[str, Any],
    images: Sequence[ReleaseImage],
) -> ReleaseInfo:
    before = _find(write.connection, name)
    part = pieces.releases_folder / f".{name}.new"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        release_id = write_manifest(
            part / MANIFEST, header, images=(one.as_line() for one in images)
        )
        if before is not None:
            if before.release_id != release_id:
                raise Conflict(
                    f"Release {name} exists already with other content.",
                    hint="A release never changes: give the new one another name.",
                )
            return before
        target = pieces.manifest(name)
        target.parent.mkdir(exist_ok=True)
        (part / MANIFEST).replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    info = ReleaseInfo(
        name=name,
        release_id=release_id,
        created_at=write.at,
        seed=header["seed"],
        splits=dict(header["splits"]),
        n_images=len(images),
        n_classes=len(header["classes"]),
    )
    write.insert(schema.release, [dict(vars(info))])
    for table, rows in _rows(name, images).items():
        write.insert(table, rows)
    write.summary = (
        f"Release {name} was frozen: {info.n_images:,} images of {info.n_classes:,} classes"
    )
    return info


def _rows(name: str, images: Iterable[ReleaseImage]) -> dict[sa.Table, list[dict[str, Any]]]:
    """The catalog's rows of a release, by table; `verify_release` compares with the same."""
    held: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for image in images:
        key = {"release": name, "sha256": image.sha256}
        held.append({**key, "split": image.split})
        for label in image.labels:
            labels.append(
                {
                    **key,
                    "wnid": label.wnid,
                    "state": label.state,
                    "confidence": label.confidence,
                    "method": label.method,
                }
            )
        for number, box in enumerate(image.boxes):
            corners = {"xmin": box.xmin, "ymin": box.ymin, "xmax": box.xmax, "ymax": box.ymax}
            boxes.append(
                {**key, "box_number": number, "wnid": box.wnid, **corners, "state": box.state}
            )
    return {
        schema.release_image: held,
        schema.release_label: labels,
        schema.release_box: boxes,
    }


# ---- reading ----


def _find(connection: Connection, name: str) -> ReleaseInfo | None:
    row = connection.execute(sa.select(schema.release).where(schema.release.c.name == name)).first()
    return ReleaseInfo(**row._mapping) if row else None


def _require(pieces: Pieces, name: str) -> ReleaseInfo:
    with pieces.engine.connect() as connection:
        found = _find(connection, name)
    if found is None:
        known = ", ".join(one.name for one in list_releases(pieces)[-5:])
        raise NotFound(
            f"There is no release {name!r}.",
            hint=f"There are: {known}." if known else "Make one with imagetree release create.",
        )
    return found


def list_releases(pieces: Pieces) -> list[ReleaseInfo]:
    """The releases, oldest first."""
    table = schema.release
    with pieces.engine.connect() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.created_at, table.c.name))
        return [ReleaseInfo(**row._mapping) for row in rows]


def open_release(pieces: Pieces, name: str) -> Release:
    """The release of that name, its manifest checked; NotFound or IntegrityFailure."""
    info = _require(pieces, name)
    return Release.open(
        pieces.manifest(name),
        name=name,
        release_id=info.release_id,
        read_many=StoredImages(pieces.engine, pieces.images, name),
    )


# ---- verifying ----


def verify_release(pieces: Pieces, name: str, *, report: Report = silent) -> list[str]:
    """What is wrong with a release, a line each; empty when it holds to the last byte.

    The manifest must have the hash that is the release's id, the catalog's rows must say what
    the manifest says, and every image's bytes must have their SHA-256.
    """
    info = _require(pieces, name)
    path = pieces.manifest(name)
    images: list[ReleaseImage] = []
    problems: list[str] = []
    try:
        found = manifest_id(path)
        if found != info.release_id:
            problems.append(f"{path.name} has the hash {found}, not {info.release_id}.")
        images = [ReleaseImage.of_line(one) for one in list(read_manifest(path))[1:]]
    except FileNotFoundError:
        problems.append(f"{path.name} is missing.")
    except ImagetreeError as error:
        problems.append(error.message)
    else:
        problems += _differing_rows(pieces, info, images)
    return problems + _wrong_bytes(pieces, info, images, report=report)


def _differing_rows(pieces: Pieces, info: ReleaseInfo, images: Sequence[ReleaseImage]) -> list[str]:
    problems = []
    if len(images) != info.n_images:
        problems.append(f"The catalog counts {info.n_images:,} images, not {len(images):,}.")
    with pieces.engine.connect() as connection:
        for table, rows in _rows(info.name, images).items():
            stored = connection.execute(sa.select(table).where(table.c.release == info.name))
            have = {tuple(row) for row in stored}
            want = {tuple(row[column.key] for column in table.columns) for row in rows}
            for text, differing in (
                ("are not in the manifest", have - want),
                ("of the manifest are missing", want - have),
            ):
                if differing:
                    first = min(row[1] for row in differing)
                    problems.append(
                        f"{len(differing):,} rows of {table.name} {text}, first that of {first}."
                    )
    return problems


def _wrong_bytes(
    pieces: Pieces, info: ReleaseInfo, images: Sequence[ReleaseImage], *, report: Report
) -> list[str]:
    with pieces.engine.connect() as connection:
        places = dict(stored_places(connection, info.name))
    problems = [
        f"Image {one.sha256} is not in the catalog." for one in images if one.sha256 not in places
    ]
    for number, (sha256, place) in enumerate(places.items(), start=1):
        try:
            found = hashlib.sha256(pieces.images.read(place)).hexdigest()
            if found != sha256:
                problems.append(f"Image {sha256}: its bytes in {place.shard} have changed.")
        except (ImagetreeError, OSError) as error:
            problems.append(f"Image {sha256}: {error}")
        if number % _REPORT_EVERY == 0 or number == len(places):
            report(Progress(what="verify", n_done=number, n_total=len(places), unit="images"))
    return problems


# ---- comparing ----


def diff_releases(pieces: Pieces, one: str, other: str) -> dict[str, Any]:
    """What changed from one release to another: lists of SHA-256 and wnids, and counts.

    Keys: same_content, n_unchanged, and the lists images_added, images_removed, images_moved
    (to another split), labels_changed, boxes_changed, classes_added, classes_removed.
    """
    first, second = open_release(pieces, one), open_release(pieces, other)
    old = {image.sha256: image for image in first.images()}
    new = {image.sha256: image for image in second.images()}
    both = sorted(old.keys() & new.keys())
    return {
        "same_content": first.release_id == second.release_id,
        "n_unchanged": sum(old[key] == new[key] for key in both),
        "images_added": sorted(new.keys() - old.keys()),
        "images_removed": sorted(old.keys() - new.keys()),
        "images_moved": [key for key in both if old[key].split != new[key].split],
        "labels_changed": [key for key in both if old[key].labels != new[key].labels],
        "boxes_changed": [key for key in both if old[key].boxes != new[key].boxes],
        "classes_added": sorted(set(second.classes) - set(first.classes)),
        "classes_removed": sorted(set(first.classes) - set(second.classes)),
    }
