"""What each page shows: one frozen dataclass a page, the same object that `.json` sends.

Counts are integers, times UTC text in ISO 8601, shares 0 to 1, sizes pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imagetree.catalog.statements.collection import CollectionRow, RejectRow
from imagetree.catalog.statements.event import EventRow
from imagetree.catalog.statements.image import BoxRow, ImageRow, OriginRow, Photo
from imagetree.catalog.statements.release import ReleaseRow
from imagetree.catalog.statements.run import RunRow, ScoreRow


@dataclass(frozen=True, kw_only=True)
class Node:
    """A synset in one line: its name, the synsets below, the images at it and below it."""

    wnid: str
    name: str
    n_below: int = 0
    n_photos: int = 0


@dataclass(frozen=True, kw_only=True)
class Card:
    """A synset with images of its own: counts and up to four of them."""

    wnid: str
    name: str
    n_present: int
    n_candidates: int
    photos: list[Photo]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The next useful step: in words, and the command, or the page and its button's word."""

    title: str
    text: str
    command: str = ""
    href: str = ""
    button: str = ""


@dataclass(frozen=True, kw_only=True)
class HomePage:
    """The landing page: the database's numbers, its images on the tree, what came last."""

    n_tree: int
    stats: dict[str, int]
    branches: list[Node]
    cards: list[Card]
    step: Step
    runs: list[RunRow]
    scores: list[ScoreRow]
    events: list[EventRow]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One level of the tree: the children of `parent` (None for the roots), one of them open."""

    parent: Node | None
    nodes: list[Node]
    open: str


@dataclass(frozen=True, kw_only=True)
class TreePage:
    """The tree, level by level, down to one synset; `only` is `images` for synsets with some."""

    n_tree: int
    n_with_images: int
    path: list[Node]
    columns: list[Column]
    here: Node
    words: list[str]
    gloss: str
    photos: list[Photo]
    children: list[Node]
    only: str


@dataclass(frozen=True, kw_only=True)
class SynsetPage:
    """One synset: words, gloss, the path to the root, children and a page of its images.

    `siblings` are the other kinds of its parent where it has no kinds itself; `below` a few
    images of the synsets below where it has none; `releases` images by release and split.
    """

    wnid: str
    name: str
    words: list[str]
    gloss: str
    height: int
    safety: str
    path: list[Node]
    children: list[Node]
    siblings: list[Node]
    releases: dict[str, dict[str, int]]
    n_present: int
    n_absent: int
    n_candidates: int
    n_photos_below: int
    state: str
    photos: list[Photo]
    below: list[Photo]
    after: int
    next_after: int | None


@dataclass(frozen=True, kw_only=True)
class Label:
    """A synset on an image, with its name."""

    wnid: str
    name: str
    state: str
    confidence: float | None
    method: str


@dataclass(frozen=True, kw_only=True)
class ImagePage:
    """One image: what is on it, where it came from, where it went.

    `before` and `after` are the SHA-256 of its neighbours at the same synset, "" at the ends.
    """

    image: ImageRow
    name: str
    gloss: str
    path: list[Node]
    labels: list[Label]
    boxes: list[BoxRow]
    box_names: dict[str, str]
    origins: list[OriginRow]
    near_duplicates: list[Photo]
    releases: list[tuple[str, str]]
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """One synset that a search found, and why."""

    wnid: str
    name: str
    words: list[str]
    gloss: str
    why: str
    n_photos: int


@dataclass(frozen=True, kw_only=True)
class SearchPage:
    """The synsets that fit a query, best first."""

    query: str
    hits: list[Found]


@dataclass(frozen=True, kw_only=True)
class ReleasesPage:
    """The frozen releases, newest first."""

    releases: list[ReleaseRow]


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """A release's class and its images in each split."""

    wnid: str
    name: str
    splits: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ReleasePage:
    """One release: its splits, its classes and the runs that were trained on it."""

    release: ReleaseRow
    splits: dict[str, int]
    classes: list[ClassCount]
    runs: list[RunRow]
    scores: list[ScoreRow]


@dataclass(frozen=True, kw_only=True)
class RunsPage:
    """The runs, newest first, with their scores; `release` is the newest one, "" without any."""

    runs: list[RunRow]
    scores: list[ScoreRow]
    release: str


@dataclass(frozen=True, kw_only=True)
class FigureItem:
    """One test image of the figure: its right synset, and (wnid, name, probability) best first."""

    sha256: str
    wnid: str
    name: str
    top5: list[tuple[str, str, float]]
    width_px: int


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """One run: its newest score of each kind, curves by epoch and the figure of test images."""

    run: RunRow
    scores: list[ScoreRow]
    metrics: list[dict[str, Any]]
    figure: list[FigureItem]


@dataclass(frozen=True, kw_only=True)
class CollectionsPage:
    """The collects, newest first."""

    collections: list[CollectionRow]


@dataclass(frozen=True, kw_only=True)
class CollectionPage:
    """One collect and a page of what it rejected."""

    collection: CollectionRow
    rejects: list[RejectRow]
    next_after: int | None


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """A page of the log, newest first."""

    events: list[EventRow]
    next_before: int | None


@dataclass(frozen=True, kw_only=True)
class JobLine:
    """One job: waiting, running, done, failed or cancelled, and how far it is."""

    job_id: str
    kind: str
    state: str
    at: str
    what: str
    n_done: int
    n_total: int | None
    unit: str
    error: str


@dataclass(frozen=True, kw_only=True)
class JobsPage:
    """The newest jobs."""

    jobs: list[JobLine]


@dataclass(frozen=True, kw_only=True)
class HealthPage:
    """Whether the database answers."""

    status: str
    database: str
    version: str
    n_events: int


@dataclass(frozen=True, kw_only=True)
class ErrorPage:
    """What went wrong and what to do next."""

    code: str
    message: str
    hint: str
    status: int
