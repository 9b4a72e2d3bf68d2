"""The landing page and the search."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from imagetree.catalog.statements import event, release, run, synset
from imagetree.catalog.statements.synset import SynsetCount
from imagetree.catalog.totals import Stats, read_stats
from imagetree.web.contexts import Card, Found, HomePage, Node, SearchPage, Step
from imagetree.web.nodes import in_tree, name_of, nodes, path_of
from imagetree.web.page import Page, Params
from imagetree.web.wording import typed

if TYPE_CHECKING:
    from imagetree.database import Database

N_CARDS = 15
N_HITS = 50


def home(database: Database, params: Params) -> HomePage:
    """The landing page."""
    stats = read_stats(database.engine)
    with database.engine.connect() as connection:
        counts = synset.read_counts(connection)
        largest = sorted(counts.values(), key=lambda one: (-one.n_photos, one.wnid))[:N_CARDS]
        cards = [_card(database, connection, one) for one in largest if one.n_photos]
        runs = run.read_runs(connection, limit=4)
        scores = run.read_scores(connection, [one.name for one in runs])
        events = event.read_events(connection, limit=6)
        releases = release.read_releases(connection, limit=1)
    return HomePage(
        n_tree=len(database.taxonomy),
        stats=stats.as_dict(),
        branches=_branches(database, [card.wnid for card in cards]),
        cards=cards,
        step=_next_step(
            typed(database.folder), stats, release=releases[0].name if releases else ""
        ),
        runs=runs,
        scores=scores,
        events=events,
    )


def _card(database: Database, connection: Connection, count: SynsetCount) -> Card:
    photos = synset.read_photos(connection, count.wnid, limit=4)
    if len(photos) < 4:
        photos += synset.read_photos(
            connection, count.wnid, state="candidate", limit=4 - len(photos)
        )
    return Card(
        wnid=count.wnid,
        name=name_of(database, count.wnid),
        n_present=count.n_present,
        n_candidates=count.n_candidates,
        photos=photos,
    )


def _branches(database: Database, wnids: list[str]) -> list[Node]:
    """A few synsets above the images: the parents of those that have some."""
    above: dict[str, None] = {}
    for wnid in wnids:
        if in_tree(database.taxonomy, wnid):
            path = path_of(database, wnid)
            if len(path) > 1:
                above[path[-2].wnid] = None
    return sorted(nodes(database, list(above)), key=lambda one: -one.n_photos)[:4]


def _next_step(folder: str, stats: Stats, *, release: str) -> Step:
    if not stats.n_images:
        return Step(
            title="Collect a folder of photos",
            text="One sub-folder a class, named by a word or a wnid. Nothing is copied twice.",
            command=f"imagetree collect {folder} photos/",
        )
    if not stats.n_present:
        return Step(
            title=f"{stats.n_candidates:,} photos wait to be looked at",
            text="They are proposed for their synsets; nobody has said yet what they show.",
            href="/tree?only=images",
            button="Look at them",
        )
    if not release:
        return Step(
            title="Cut a release",
            text=f"{stats.n_present:,} labels are ready. A release freezes them for training.",
            command=f"imagetree release create {folder} v1 --split train=0.7,test=0.3",
        )
    if not stats.n_runs:
        return Step(
            title="Train a network",
            text=f"Release {release} is frozen. A run on it gives a score with its interval.",
            command=f"imagetree train {folder} {quote(release)} alexnet",
        )
    return Step(
        title="Look at what the network saw",
        text="The newest run, its curves, and the test photos that it got right and wrong.",
        href="/runs",
        button="Open the runs",
    )


def search(database: Database, params: Params) -> SearchPage:
    """Synsets by word, id, sense or what their definition says."""
    query = params.get("q", "").strip()[:200]
    hits = list(database.taxonomy.search(query, limit=N_HITS)) if query else []
    found = nodes(database, [hit.synset.wnid for hit in hits])
    return SearchPage(
        query=query,
        hits=[
            Found(
                wnid=node.wnid,
                name=node.name,
                words=list(hit.synset.words),
                gloss=hit.synset.gloss,
                why=hit.why,
                n_photos=node.n_photos,
            )
            for hit, node in zip(hits, found, strict=True)
        ],
    )


PAGES = (
    Page(path="/", template="home.html", context=HomePage, build=home),
    Page(path="/search", template="search.html", context=SearchPage, build=search, query=("q",)),
)
