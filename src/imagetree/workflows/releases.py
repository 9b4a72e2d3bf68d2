"""Releases: opening, verifying and comparing what was frozen; `freeze` makes them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from imagetree.catalog import schema
from imagetree.core.errors import ImagetreeError, NotFound
from imagetree.core.progress import Progress, Report, silent
from imagetree.images.shards import Place, ShardReader
from imagetree.release.manifest import manifest_id, read_manifest
from imagetree.release.record import ReleaseImage
from imagetree.release.release import Release
from imagetree.taxonomy.taxonomy import Taxonomy
from imagetree.workflows.context import Context

MANIFEST = "manifest.jsonl"
_REPORT_EVERY = 100
# Up to here all places are read at once at the first image; beyond, one at a time.
_MAX_PLACES = 1_000_000


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


# ---- rows ----

Rows = Iterator[dict[str, Any]]


def _image_rows(name: str, images: Iterable[ReleaseImage]) -> Rows:
    for image in images:
        yield {"release": name, "sha256": image.sha256, "split": image.split}


def _label_rows(name: str, images: Iterable[ReleaseImage]) -> Rows:
    for image in images:
        for label in image.labels:
            yield {
                "release": name,
                "sha256": image.sha256,
                "wnid": label.wnid,
                "state": label.state,
                "confidence": label.confidence,
                "method": label.method,
            }


def _box_rows(name: str, images: Iterable[ReleaseImage]) -> Rows:
    for image in images:
        for number, box in enumerate(image.boxes):
            yield {
                "release": name,
                "sha256": image.sha256,
                "box_number": number,
                "wnid": box.wnid,
                "xmin": box.xmin,
                "ymin": box.ymin,
                "xmax": box.xmax,
                "ymax": box.ymax,
                "state": box.state,
            }


# The catalog's rows of a release, by table: `create_release` inserts them and `verify_release`
# compares with the same.
ROWS_OF: dict[sa.Table, Callable[[str, Iterable[ReleaseImage]], Rows]] = {
    schema.release_image: _image_rows,
    schema.release_label: _label_rows,
    schema.release_box: _box_rows,
}


# ---- reading ----


def find_release(connection: Connection, name: str) -> ReleaseInfo | None:
    """The release of that name, where there is one."""
    row = connection.execute(sa.select(schema.release).where(schema.release.c.name == name)).first()
    return ReleaseInfo(**row._mapping) if row else None


def _require(pieces: Pieces, name: str) -> ReleaseInfo:
    with pieces.engine.connect() as connection:
        found = find_release(connection, name)
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
        read=_reader(pieces, info),
    )


def _places(connection: Connection, name: str) -> Iterator[tuple[str, Place]]:
    """Where each image of a release lies, in the order of the disk."""
    image, held = schema.image.c, schema.release_image.c
    statement = (
        sa.select(image.sha256, image.shard, image.offset, image.length)
        .join(schema.release_image, held.sha256 == image.sha256)
        .where(held.release == name)
        .order_by(image.shard, image.offset)
    )
    for row in connection.execute(statement):
        yield row.sha256, Place(shard=row.shard, offset=row.offset, length=row.length)


def _reader(pieces: Pieces, info: ReleaseInfo) -> Callable[[str], bytes]:
    """Reads an image of a release by its SHA-256, from any number of threads."""
    places: dict[str, Place] = {}
    lock = threading.Lock()
    few = info.n_images <= _MAX_PLACES

    def read(sha256: str) -> bytes:
        with lock:
            if few and not places:
                with pieces.engine.connect() as connection:
                    places.update(_places(connection, info.name))
        place = places.get(sha256) or _place(pieces, sha256)
        return pieces.images.read(place)

    return read


def _place(pieces: Pieces, sha256: str) -> Place:
    image = schema.image.c
    statement = sa.select(image.shard, image.offset, image.length).where(image.sha256 == sha256)
    with pieces.engine.connect() as connection:
        row = connection.execute(statement).first()
    if row is None:
        raise NotFound(f"No image {sha256} is stored here.", hint="Run imagetree release verify.")
    return Place(shard=row.shard, offset=row.offset, length=row.length)


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
        for table, rows_of in ROWS_OF.items():
            stored = connection.execute(sa.select(table).where(table.c.release == info.name))
            have = {tuple(row) for row in stored}
            want = {
                tuple(row[column.key] for column in table.columns)
                for row in rows_of(info.name, images)
            }
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
        places = dict(_places(connection, info.name))
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
