"""Checks a database byte by byte and mends what can be mended.

changed      a member's bytes no longer have its hash          told, never mended silently
missing      a catalogued image is not where the catalog says  found again where it lies
torn_tail    an open shard ends in half a member               cut back to the last whole one
unknown      a whole member that no row names                  read again into the catalog
taken_down   a member that should have been erased             erased
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import DamagedImage, IntegrityFailure
from imagetree.core.progress import Progress, Report, silent
from imagetree.images.fingerprints import prepare
from imagetree.images.shards import Member, Place, ShardReader, scan, verify
from imagetree.workflows.context import Context
from imagetree.workflows.ingest import LOCK_TIMEOUT_S, Found, store
from imagetree.workflows.undo import erase_taken_down


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, and whether it was mended."""

    code: str
    where: str
    reason: str
    repaired: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What a check found; `n_bytes` is what was read and hashed again."""

    n_images: int
    n_bytes: int
    findings: tuple[Finding, ...]

    @property
    def repaired(self) -> int:
        """Number of findings that were mended."""
        return sum(one.repaired for one in self.findings)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(one.repaired for one in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self) | {"repaired": self.repaired, "sound": self.sound}


def check(context: Context, *, repair: bool = False, report: Report = silent) -> CheckReport:
    """What is wrong with the shards against the catalog, after reading every byte."""
    findings: list[Finding] = []
    n_images = n_bytes = 0
    if repair:
        # Opening a writer cuts a torn tail back; the lock keeps everybody else away.
        findings += _cut_tails(context)
    paths = [*context.image_series.paths(), *context.thumb_series.paths()]
    for number, path in enumerate(paths, start=1):
        thumbs = path.parent == context.settings.thumbs_folder
        expected = _catalogued(context, path, thumbs=thumbs)
        n_images += 0 if thumbs else len(expected)
        n_bytes += path.stat().st_size
        # Thumbnails have no hash in the catalog: their place is what must hold.
        for found in verify(path, {} if thumbs else expected):
            where = f"{path.name}:{found.place.offset}" if found.place else path.name
            findings.append(Finding(code=found.code, where=where, reason=found.reason))
        if thumbs:
            findings += _thumbs_missing(path, expected)
        findings += _strangers(context, path, repair=repair, thumbs=thumbs)
        report(Progress(what="Checking", n_done=number, n_total=len(paths), unit="shards"))
    findings += _lost_shards(context, {path.name for path in paths})
    if repair and any(one.code == "taken_down" for one in findings):
        erase_taken_down(context)
    return CheckReport(n_images=n_images, n_bytes=n_bytes, findings=tuple(findings))


def _cut_tails(context: Context) -> list[Finding]:
    found = []
    for series, end in (
        (context.image_series, context.image_end),
        (context.thumb_series, context.thumb_end),
    ):
        sizes = {path: path.stat().st_size for path in series.paths()}
        try:
            series.writer(end, timeout_s=LOCK_TIMEOUT_S).close()
        except IntegrityFailure as error:
            # Catalogued images are missing from the shard: nothing that cutting could mend.
            where = series.folder.name
            found.append(Finding(code="missing", where=where, reason=error.message))
            continue
        for path, size in sizes.items():
            cut = size - path.stat().st_size
            if cut > 0:
                reason = f"{cut} bytes of half a member were cut off"
                found.append(
                    Finding(code="torn_tail", where=path.name, reason=reason, repaired=True)
                )
    return found


def _catalogued(context: Context, path: Path, *, thumbs: bool) -> dict[str, Place]:
    image = schema.image.c
    prefix = "thumb_" if thumbs else ""
    with context.engine.connect() as connection:
        rows = connection.execute(
            sa.select(image.sha256, image[f"{prefix}offset"], image[f"{prefix}length"]).where(
                image[f"{prefix}shard"] == path.name
            )
        ).all()
    return {row[0]: Place(shard=path.name, offset=row[1], length=row[2]) for row in rows}


def _thumbs_missing(path: Path, expected: dict[str, Place]) -> Iterator[Finding]:
    here = {member.place for member in scan(path) if not member.removed}
    for sha256, place in expected.items():
        if place not in here:
            reason = f"the thumbnail of {sha256} is not there"
            yield Finding(code="missing", where=f"{path.name}:{place.offset}", reason=reason)


def _lost_shards(context: Context, here: set[str]) -> Iterator[Finding]:
    image = schema.image.c
    for column in (image.shard, image.thumb_shard):
        with context.engine.connect() as connection:
            rows = connection.execute(sa.select(column, sa.func.count()).group_by(column)).all()
        for name, n_images in rows:
            if name not in here:
                reason = f"the shard is gone, and {n_images} images with it"
                yield Finding(code="missing", where=name, reason=reason)


def _strangers(context: Context, path: Path, *, repair: bool, thumbs: bool) -> Iterator[Finding]:
    """Whole members that no row names: erased, or read again into the catalog."""
    named = {place.offset for place in _catalogued(context, path, thumbs=thumbs).values()}
    members = [
        member
        for member in scan(path)
        if not member.removed and member.sha256 and member.place.offset not in named
    ]
    if not members:
        return
    taken, known = _taken_and_known(context, [str(member.sha256) for member in members])
    for member in members:
        sha256 = str(member.sha256)
        where = f"{path.name}:{member.place.offset}"
        if thumbs:
            reason = "a thumbnail that no image names"
            yield Finding(code="unknown", where=where, reason=reason, repaired=repair)
        elif sha256 in taken:
            reason = f"{sha256} was taken down and must be erased"
            yield Finding(code="taken_down", where=where, reason=reason, repaired=repair)
        elif sha256 in known:
            reason = f"{sha256} lies here a second time"
            yield Finding(code="unknown", where=where, reason=reason)
        else:
            done = repair and _read_again(context, path, member)
            reason = f"{sha256} is in the shard and not in the catalog"
            yield Finding(code="unknown", where=where, reason=reason, repaired=done)


def _taken_and_known(context: Context, sha256s: list[str]) -> tuple[set[str], set[str]]:
    with context.engine.connect() as connection:
        found = [
            set(
                connection.execute(
                    sa.select(table.c.sha256).where(table.c.sha256.in_(sha256s))
                ).scalars()
            )
            for table in (schema.takedown, schema.image)
        ]
    return found[0], found[1]


def _read_again(context: Context, path: Path, member: Member) -> bool:
    """Whether a member without a row was catalogued: the writer adopts the bytes in place."""
    data = ShardReader(path.parent).read(member.place)
    if hashlib.sha256(data).hexdigest() != member.sha256:
        return False
    try:
        prepared = prepare(data)
    except DamagedImage:
        return False
    found = Found(
        location=f"{path.name}!{member.sha256}",
        data=data,
        sha256=prepared.sha256,
        prepared=prepared,
        wnid=None,
        claim=None,
        author="",
        licence="",
        retrieved_at="",
    )
    store(context, _recovery(context), [found])
    return True


def _recovery(context: Context) -> int:
    """The collection that recovered images belong to."""
    table = schema.collection
    with context.engine.connect() as connection:
        number = connection.execute(
            sa.select(table.c.collection_id).where(table.c.kind == "recovered")
        ).scalar()
    if number is not None:
        return int(number)
    with context.writing("collection.started") as write:
        (fresh,) = write.numbers(table, 1)
        write.insert(
            table,
            [
                {
                    "collection_id": fresh,
                    "kind": "recovered",
                    "location": "shards",
                    "options": {},
                    "state": "done",
                    "started_at": write.at,
                    "finished_at": write.at,
                    "n_stored": 0,
                    "n_known": 0,
                    "n_rejected": 0,
                }
            ],
        )
        write.summary = "Images found in shards without catalog rows"
    return fresh
