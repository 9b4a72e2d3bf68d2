"""Runs: scores, curves and the figure of eight test images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetree.catalog.statements import image, release, run
from imagetree.catalog.statements.run import ScoreRow
from imagetree.core.errors import NotFound
from imagetree.web.contexts import FigureItem, RunPage, RunsPage
from imagetree.web.nodes import name_of
from imagetree.web.page import Page, Params

if TYPE_CHECKING:
    from imagetree.database import Database


def runs(database: Database, params: Params) -> RunsPage:
    """All runs."""
    with database.engine.connect() as connection:
        rows = run.read_runs(connection)
        releases = release.read_releases(connection, limit=1)
        return RunsPage(
            runs=rows,
            scores=run.read_scores(connection, [one.name for one in rows]),
            release=releases[0].name if releases else "",
        )


def one_run(database: Database, params: Params) -> RunPage:
    """One run; files that are not there yet are left out."""
    with database.engine.connect() as connection:
        row = run.read_run(connection, params["name"])
        scores = run.read_scores(connection, [row.name])
    folder = database.runs_folder / row.name
    return RunPage(
        run=row,
        scores=_newest(scores),
        metrics=_metrics(folder / "metrics.jsonl"),
        figure=_figure(database, folder / "figure.json"),
    )


def _newest(scores: list[ScoreRow]) -> list[ScoreRow]:
    """The newest score of each split and metric, top-1 before top-5."""
    found: dict[tuple[str, str], ScoreRow] = {}
    for one in scores:  # newest first
        found.setdefault((one.split, one.metric), one)
    return [found[key] for key in sorted(found)]


def _metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl; the last line of a run at work may be only half written."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _figure(database: Database, path: Path) -> list[FigureItem]:
    if not path.is_file():
        return []
    items = []
    with database.engine.connect() as connection:
        for item in json.loads(path.read_text(encoding="utf-8")):
            try:
                width_px = image.read_image(connection, item["sha256"]).width_px
            except NotFound:  # undone or taken down since
                continue
            items.append(
                FigureItem(
                    sha256=item["sha256"],
                    wnid=item["wnid"],
                    name=name_of(database, item["wnid"]),
                    top5=[(one[0], one[1], float(one[2])) for one in item["top5"]],
                    width_px=width_px,
                )
            )
    return items


PAGES = (
    Page(path="/runs", template="runs.html", context=RunsPage, build=runs),
    Page(path="/runs/{name}", template="run.html", context=RunPage, build=one_run),
)
