"""Collects images from a source into the catalog and the shards, resumably.

    source -> items -> batches, prepared by threads -> store (shards, rows, event)

Each batch is a step. A killed collect starts its source again, skips the locations that its
collection has rows for, and goes on; nothing reported as stored is lost, nothing stored twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.collect.source import Remote, Source
from imagetree.core.errors import InvalidInput, NotFound, OutOfSpace
from imagetree.core.progress import Progress
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.workflows import classes, duplicates, gate, sources
from imagetree.workflows.batches import Batches
from imagetree.workflows.context import Context
from imagetree.workflows.ingest import locations_done

FETCH_URLS = 500


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
    if isinstance(source, Remote):
        _fetch(steps, context, source, collection_id)
    batches = Batches(context, source, collection_id, params, wnids=wnids, refused=refused)
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
        if isinstance(source, Remote):
            source.close()
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


def _fetch(steps: Steps, context: Context, source: Remote, collection_id: int) -> None:
    """Fetches all that a source names, a step every few hundred URLs.

    Fetching goes on behind the steps, each of which waits for its share: a list sorted by host
    is fetched from all its hosts at once all the same.
    """

    def wait() -> bool:
        return source.fetch_next(
            FETCH_URLS,
            done=lambda locations: locations_done(context, collection_id, locations),
            should_stop=steps.should_stop,
            report=steps.report,
        )

    try:
        number = 1
        while not steps.run(f"fetch {number}", wait):
            number += 1
    except BaseException:
        source.close()
        raise
    source.settle()


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
