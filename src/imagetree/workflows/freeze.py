"""Freezing a release: prepared in peace from one moment's view, then put in at one stroke.

    snapshot -> draft -> splits -> manifest (a file), changes (a payload file)     others may write
    writing  -> is the name still free, is every image still there -> rows, event  others wait

The second half takes what the database needs to insert the rows, no more. Labels that change
meanwhile do not go in: the release is of the snapshot's moment. Images that are undone meanwhile
must not be in it, so then all is prepared again.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import dialect, schema
from imagetree.catalog.changes import Changes
from imagetree.catalog.statements.event import last_event
from imagetree.catalog.writing import Write, drop_unnamed_payload, now, writing
from imagetree.core.errors import Busy, Conflict, InvalidInput
from imagetree.core.progress import Progress, Report, silent
from imagetree.core.space import telling_space
from imagetree.release.manifest import write_manifest
from imagetree.release.record import ReleaseImage
from imagetree.release.splits import check_fractions
from imagetree.workflows.draft import Draft, gather, refuse_nested, with_splits
from imagetree.workflows.releases import (
    MANIFEST,
    ROWS_OF,
    Pieces,
    ReleaseInfo,
    find_release,
)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
# How often a release is prepared again because images went away meanwhile.
ATTEMPTS = 3


class _ImagesGone(Exception):
    """Images of the release were removed while it was prepared."""


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A release that is ready to be put in; `last_event` is the log's end at its moment."""

    info: ReleaseInfo
    manifest: Path
    changes: Changes
    last_event: int


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
    shares = {key: float(value) for key, value in split.items()}
    report(Progress(what="release", n_done=0, unit="images", note="reading the labels"))
    with telling_space(pieces.releases_folder):
        for _ in range(ATTEMPTS):
            created_at = now()
            with dialect.snapshot(pieces.engine) as connection:
                at = last_event(connection)
                draft = gather(connection, wnids=wnids, min_images=min_images)
            if not allow_nested:
                refuse_nested(pieces.taxonomy, draft.classes)
            images = with_splits(draft, split=shares, seed=seed)
            header = {"seed": seed, "splits": shares, "classes": _classes(pieces, draft)}
            total = len(images)
            report(Progress(what="release", n_done=0, n_total=total, unit="images", note="writing"))
            try:
                with _prepare(
                    pieces, name, header=header, images=images, created_at=created_at, at=at
                ) as prepared:
                    info = _put_in(pieces, prepared)
            except _ImagesGone:
                continue
            report(Progress(what="release", n_done=total, n_total=total, unit="images"))
            return info
    raise Busy(
        "Images were removed again and again while the release was prepared.",
        hint="Wait until the undo is done, then give the command again.",
    )


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


def _classes(pieces: Pieces, draft: Draft) -> list[dict[str, Any]]:
    return [{"wnid": wnid, "words": list(pieces.taxonomy[wnid].words)} for wnid in draft.classes]


@contextmanager
def _prepare(
    pieces: Pieces,
    name: str,
    *,
    header: Mapping[str, Any],
    images: Sequence[ReleaseImage],
    created_at: str,
    at: int,
) -> Iterator[_Prepared]:
    """Manifest and changes of a release, as files; gone afterwards if nobody put them in."""
    pieces.releases_folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".new", dir=pieces.releases_folder))
    changes = Changes(pieces.events_folder)
    try:
        release_id = write_manifest(
            part / MANIFEST, header, images=(one.as_line() for one in images)
        )
        info = ReleaseInfo(
            name=name,
            release_id=release_id,
            created_at=created_at,
            seed=header["seed"],
            splits=dict(header["splits"]),
            n_images=len(images),
            n_classes=len(header["classes"]),
        )
        for table, rows in _rows(info, images):
            changes.add("insert", table.name, rows)
        changes.seal()
        yield _Prepared(info=info, manifest=part / MANIFEST, changes=changes, last_event=at)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        changes.discard()
        drop_unnamed_payload(pieces.engine, changes)


def _rows(
    info: ReleaseInfo, images: Sequence[ReleaseImage]
) -> Iterator[tuple[sa.Table, Iterable[Mapping[str, Any]]]]:
    yield schema.release, [vars(info)]
    for table, rows in ROWS_OF.items():
        yield table, rows(info.name, images)


def _put_in(pieces: Pieces, prepared: _Prepared) -> ReleaseInfo:
    """The release in the catalog; the one that is there already when it is the same."""
    info = prepared.info
    with writing(
        pieces.engine, "release.created", actor=pieces.actor, events_folder=pieces.events_folder
    ) as write:
        before = find_release(write.connection, info.name)
        if before is not None:
            if before.release_id != info.release_id:
                raise Conflict(
                    f"Release {info.name} exists already with other content.",
                    hint="A release never changes: give the new one another name.",
                )
            return before
        moved = last_event(write.connection) != prepared.last_event
        write.play(prepared.changes)
        if moved:
            _refuse_missing(write.connection, info.name)
        _place(pieces, prepared, write)
    return info


def _place(pieces: Pieces, prepared: _Prepared, write: Write) -> None:
    info = prepared.info
    target = pieces.manifest(info.name)
    target.parent.mkdir(exist_ok=True)
    prepared.manifest.replace(target)
    write.summary = (
        f"Release {info.name} was frozen: {info.n_images:,} images of {info.n_classes:,} classes"
    )


def _refuse_missing(connection: Connection, name: str) -> None:
    held, image = schema.release_image.c, schema.image.c
    gone = (
        sa.select(held.sha256)
        .where(held.release == name)
        .where(~sa.exists().where(image.sha256 == held.sha256))
        .limit(1)
    )
    if connection.execute(gone).first() is not None:
        raise _ImagesGone
