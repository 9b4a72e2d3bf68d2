"""Collects images from a source into the catalog and the shards, resumably.

    source -> items -> prepare (threads) -> batches -> store (shards, rows, event)

Each batch is a step. A killed collect starts its source again, skips the locations that its
collection has rows for, and goes on; nothing reported as stored is lost, nothing stored twice.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.catalog.writing import now
from imagetree.collect.source import Item, Rejected, Source
from imagetree.core.errors import DamagedImage, ImagetreeError, InvalidInput, NotFound, OutOfSpace
from imagetree.core.progress import Progress
from imagetree.images.fingerprints import prepare
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.workflows import classes, duplicates, gate, sources
from imagetree.workflows.context import Context
from imagetree.workflows.ingest import Found, Refused, locations_done, store

BATCH_ITEMS = 256
BATCH_BYTES = 64_000_000
# Items handed to the threads ahead of the batch that is being stored.
AHEAD_ITEMS = 96


@dataclass(frozen=True, kw_only=True)
class CollectResult:
    """What a collect did: counts of images stored now, known before, and rejected."""

    collection_id: int
    location: str
    n_stored: int
    n_known: int
    n_rejected: int
    n_near_duplicates: int
    refused_synsets: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.n_stored:,} images stored, {self.n_known:,} known already, "
            f"{self.n_rejected:,} rejected (collection {self.collection_id})"
        ]
        if self.n_near_duplicates:
            lines.append(f"{self.n_near_duplicates:,} images are near duplicates of another")
        lines.extend(f"refused: {reason}" for reason in self.refused_synsets.values())
        return "\n".join(lines)


def collect(steps: Steps, context: Context, params: Params) -> Json:
    """A collect from beginning to end, as the dictionary of a `CollectResult`.

    `params`: kind, location, options (see `sources.make`), classes (path of a classes file),
    as_candidates, wnid.
    """
    source = sources.make(context, params)
    wnids = _class_wnids(context, source, params)
    refused = gate.refused(context, {*wnids.values(), *_given(params, source)})
    collection_id = steps.run("open", lambda: _open_collection(context, source, params))
    batches = _Batches(context, source, collection_id, params, wnids=wnids, refused=refused)
    totals = {"n_stored": 0, "n_known": 0, "n_rejected": 0}
    try:
        number = 0
        while True:
            number += 1
            counts = steps.run(f"batch {number}", batches.store_next)
            for name in totals:
                totals[name] += counts[name]
            steps.report(
                Progress(
                    what="Collecting",
                    n_done=sum(totals.values()) + batches.n_skipped,
                    n_total=source.n_total,
                    unit="images",
                    note=f"{totals['n_rejected']} rejected" if totals["n_rejected"] else "",
                )
            )
            if counts["done"]:
                break
    except OutOfSpace as error:
        n_safe = totals["n_stored"] + totals["n_known"]
        raise OutOfSpace(
            f"{error.message} {n_safe:,} of this command's are among them.", hint=error.hint
        ) from error
    finally:
        batches.close()
    near = steps.run("near duplicates", lambda: duplicates.mark(context))
    final = steps.run("close", lambda: _close_collection(context, collection_id))
    result = CollectResult(
        collection_id=collection_id,
        location=source.location,
        n_near_duplicates=near,
        refused_synsets=refused,
        **final,
    )
    return result.as_dict()


def plan(context: Context, params: Params) -> Params:
    """The parameters with the layout guessed and the synset settled, ready for a job.

    Raises what a collect would raise before its first image: open names, missing files. The
    command line calls it before it asks the job runner, so that questions come at once.
    """
    layout = params.get("layout") or sources.guess_layout(params.get("location") or "")
    settled: Params = {**params, "layout": layout}
    if given := params.get("wnid"):
        found = context.taxonomy.lookup(given)
        if len(found) != 1:
            raise InvalidInput(
                f"{given!r} names {len(found)} synsets: "
                + "; ".join(f"{one.wnid} {one.name}: {one.gloss}" for one in found[:8]),
                hint="Give the wnid." if found else "Look for it with: imagetree search",
            )
        settled["wnid"] = found[0].wnid
    _class_wnids(context, sources.make(context, settled), settled)
    return settled


def _class_wnids(context: Context, source: Source, params: Params) -> dict[str, str]:
    """wnid of every class name of the source; open names are written to classes.csv."""
    names = source.labels()
    if not names:
        return {}
    chosen = {}
    if params.get("classes"):
        chosen = classes.read_classes(Path(params["classes"]), context.taxonomy)
    found = classes.resolve(names, context.taxonomy, chosen=chosen)
    classes.refuse_open(found, Path(params.get("classes_file") or "classes.csv"), context.taxonomy)
    return found.settled


def _given(params: Params, source: Source) -> set[str]:
    wnids = {params["wnid"]} if params.get("wnid") else set()
    return wnids | {wnid for wnid in source.wnids() if wnid}


def _open_collection(context: Context, source: Source, params: Params) -> int:
    """The id of this collection: an unfinished one of the same source goes on."""
    options = {key: value for key, value in params.items() if key not in ("classes_file",)}
    with context.writing("collection.started") as write:
        table = schema.collection
        rows = write.connection.execute(
            sa.select(table)
            .where(table.c.state == "running", table.c.location == source.location)
            .order_by(table.c.collection_id)
        ).all()
        for row in rows:
            if row.kind == source.kind and row.options == options:
                return int(row.collection_id)
        (number,) = write.numbers(table, 1)
        write.insert(
            table,
            [
                {
                    "collection_id": number,
                    "kind": source.kind,
                    "location": source.location,
                    "options": options,
                    "state": "running",
                    "started_at": write.at,
                    "finished_at": None,
                    "n_stored": 0,
                    "n_known": 0,
                    "n_rejected": 0,
                }
            ],
        )
        write.summary = f"Collecting {source.location}"
    return number


def _close_collection(context: Context, collection_id: int) -> dict[str, int]:
    table = schema.collection
    with context.writing("collection.finished") as write:
        row = write.connection.execute(
            sa.select(table).where(table.c.collection_id == collection_id)
        ).one()
        counts = {name: int(getattr(row, name)) for name in ("n_stored", "n_known", "n_rejected")}
        if row.state == "running":
            write.update(
                table,
                [{"collection_id": collection_id, "state": "done", "finished_at": write.at}],
            )
            write.summary = (
                f"{counts['n_stored']} images collected from {row.location}, "
                f"{counts['n_rejected']} rejected"
            )
    return counts


class _Batches:
    """The source's items, prepared by threads a little ahead, stored batch by batch."""

    def __init__(
        self,
        context: Context,
        source: Source,
        collection_id: int,
        params: Params,
        *,
        wnids: dict[str, str],
        refused: dict[str, str],
    ) -> None:
        self._context = context
        self._collection_id = collection_id
        self._wnids = wnids
        self._refused = refused
        self._wnid = params.get("wnid")
        self._claim = "candidate" if params.get("as_candidates") else "label"
        self._source = source
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self._ahead: deque[Future[Found | Refused]] = deque()
        self._items = self._fresh()
        self.n_skipped = 0

    def close(self) -> None:
        """Ends the threads; work that has not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fresh(self) -> Iterator[Item | Rejected]:
        """Items that this collection has no rows for yet."""
        items = iter(self._source.items())
        while group := list(islice(items, AHEAD_ITEMS)):
            done = locations_done(
                self._context, self._collection_id, [item.location for item in group]
            )
            self.n_skipped += len(done)
            yield from (item for item in group if item.location not in done)

    def store_next(self) -> dict[str, Any]:
        """Stores the next batch; counts of what became of it, and whether it was the last."""
        found: list[Found] = []
        refused: list[Refused] = []
        n_bytes = 0
        while len(found) + len(refused) < BATCH_ITEMS and n_bytes < BATCH_BYTES:
            self._fill()
            if not self._ahead:
                break
            outcome = self._ahead.popleft().result()
            if isinstance(outcome, Refused):
                refused.append(outcome)
            else:
                found.append(outcome)
                n_bytes += len(outcome.data)
        # The threads go on with these while the batch is written.
        self._fill()
        counts = store(self._context, self._collection_id, found, refused=refused)
        return counts | {"done": not self._ahead}

    def _fill(self) -> None:
        for item in islice(self._items, max(0, AHEAD_ITEMS - len(self._ahead))):
            self._ahead.append(self._pool.submit(self._prepare, item))

    def _prepare(self, item: Item | Rejected) -> Found | Refused:
        if isinstance(item, Rejected):
            return Refused(location=item.location, code=item.code, reason=item.reason)
        wnid, claim = self._claim_of(item)
        if wnid and wnid in self._refused:
            return Refused(
                location=item.location, code="refused_synset", reason=self._refused[wnid]
            )
        try:
            data = item.data() if callable(item.data) else item.data
            prepared = prepare(data)
        except DamagedImage as error:
            return Refused(location=item.location, code=error.reason_code, reason=error.message)
        except OutOfSpace:
            raise
        except ImagetreeError as error:
            return Refused(location=item.location, code=error.code, reason=error.message)
        except OSError as error:
            return Refused(
                location=item.location, code="unreadable", reason=f"could not be read: {error}"
            )
        return Found(
            location=item.location,
            data=data,
            prepared=prepared,
            wnid=wnid,
            claim=claim,
            author=item.author or "",
            licence=item.licence or "",
            retrieved_at=item.retrieved_at or now(),
        )

    def _claim_of(self, item: Item) -> tuple[str | None, str | None]:
        """The synset that the item is said to show, and with what weight."""
        wnid = item.wnid or self._wnids.get(item.label_text or "")
        if wnid:
            return wnid, item.claim or self._claim
        # A source without labels: what was asked for is a proposal, not a label.
        return self._wnid, "candidate" if self._wnid else None


def find_collection(context: Context, collection_id: int) -> sa.Row[Any]:
    """The row of a collection; NotFound when there is none."""
    with context.engine.connect() as connection:
        row = connection.execute(
            sa.select(schema.collection).where(schema.collection.c.collection_id == collection_id)
        ).first()
    if row is None:
        raise NotFound(
            f"There is no collection {collection_id}.",
            hint=f"List them with: imagetree collections {context.settings.folder}",
        )
    return row
