"""What was done and what is being done: collects, the log, jobs, health."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imagetree import __version__
from imagetree.catalog.statements import collection, event
from imagetree.web.contexts import (
    CollectionPage,
    CollectionsPage,
    HealthPage,
    JobLine,
    JobsPage,
    LogPage,
)
from imagetree.web.page import Page, Params, whole_number

if TYPE_CHECKING:
    from imagetree.database import Database

N_REJECTS = 100
N_EVENTS = 50


def collections(database: Database, params: Params) -> CollectionsPage:
    """All collects."""
    with database.engine.connect() as connection:
        return CollectionsPage(collections=collection.read_collections(connection))


def one_collection(database: Database, params: Params) -> CollectionPage:
    """One collect with what it rejected."""
    number, after = whole_number(params, "id"), whole_number(params, "after")
    with database.engine.connect() as connection:
        row = collection.read_collection(connection, number)
        found = collection.read_rejects(connection, number, after=after, limit=N_REJECTS + 1)
    more = len(found) > N_REJECTS
    return CollectionPage(
        collection=row,
        rejects=found[:N_REJECTS],
        next_after=found[N_REJECTS - 1].reject_id if more else None,
    )


def log(database: Database, params: Params) -> LogPage:
    """The log, newest first."""
    before = whole_number(params, "before") or None
    with database.engine.connect() as connection:
        found = event.read_events(connection, before=before, limit=N_EVENTS + 1)
    more = len(found) > N_EVENTS
    return LogPage(
        events=found[:N_EVENTS], next_before=found[N_EVENTS - 1].event_id if more else None
    )


def jobs(database: Database, params: Params) -> JobsPage:
    """The newest jobs; none where no runner was ever started."""
    client = database.jobs
    lines = []
    for job in client.newest(limit=50) if client.exists() else []:
        progress = job.progress
        lines.append(
            JobLine(
                job_id=job.job_id,
                kind=job.kind,
                state=job.state,
                at=_utc(job.created_at_ms),
                what=progress.what if progress else "",
                n_done=progress.n_done if progress else 0,
                n_total=progress.n_total if progress else None,
                unit=progress.unit if progress else "",
                error=(job.error or {}).get("message", ""),
            )
        )
    return JobsPage(jobs=lines)


def _utc(milliseconds: int) -> str:
    """A time as the catalog writes it."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def health(database: Database, params: Params) -> HealthPage:
    """That the catalog answers."""
    with database.engine.connect() as connection:
        n_events = event.last_event(connection)
    return HealthPage(status="ok", database=database.name, version=__version__, n_events=n_events)


PAGES = (
    Page(
        path="/collections", template="collections.html", context=CollectionsPage, build=collections
    ),
    Page(
        path="/collections/{id}",
        template="collection.html",
        context=CollectionPage,
        build=one_collection,
        query=("after",),
    ),
    Page(path="/log", template="log.html", context=LogPage, build=log, query=("before",)),
    Page(path="/jobs", template="jobs.html", context=JobsPage, build=jobs),
    Page(path="/health", template="health.html", context=HealthPage, build=health),
)
