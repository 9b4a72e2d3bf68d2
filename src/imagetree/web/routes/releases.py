"""Releases, frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.catalog.statements import release, run
from imagetree.web.contexts import ClassCount, ReleasePage, ReleasesPage
from imagetree.web.nodes import name_of
from imagetree.web.page import Page, Params

if TYPE_CHECKING:
    from imagetree.database import Database


def releases(database: Database, params: Params) -> ReleasesPage:
    """All releases."""
    with database.engine.connect() as connection:
        return ReleasesPage(releases=release.read_releases(connection))


def one_release(database: Database, params: Params) -> ReleasePage:
    """One release with its splits and classes."""
    with database.engine.connect() as connection:
        row = release.read_release(connection, params["name"])
        splits = release.count_splits(connection, row.name)
        counts = release.count_classes(connection, row.name)
        runs = [one for one in run.read_runs(connection) if one.release == row.name]
        scores = run.read_scores(connection, [one.name for one in runs])
    classes = [
        ClassCount(wnid=wnid, name=name_of(database, wnid), splits=n) for wnid, n in counts.items()
    ]
    classes.sort(key=lambda one: (one.name.lower(), one.wnid))
    return ReleasePage(release=row, splits=splits, classes=classes, runs=runs, scores=scores)


PAGES = (
    Page(path="/releases", template="releases.html", context=ReleasesPage, build=releases),
    Page(path="/releases/{name}", template="release.html", context=ReleasePage, build=one_release),
)
