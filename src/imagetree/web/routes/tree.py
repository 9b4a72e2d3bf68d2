"""The tree in columns, and one synset."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from imagetree.catalog.statements import release, synset
from imagetree.catalog.statements.image import Photo
from imagetree.catalog.statements.synset import State, SynsetCount
from imagetree.core.errors import InvalidInput
from imagetree.web.contexts import Column, Node, SynsetPage, TreePage
from imagetree.web.nodes import as_wnid, children_of, path_of, roots, siblings_of
from imagetree.web.page import Page, Params, whole_number

if TYPE_CHECKING:
    from imagetree.database import Database

PAGE_SIZE = 48
N_PEEK = 9
N_BELOW = 24


def tree(database: Database, params: Params) -> TreePage:
    """The levels from the root to a synset's children, and a peek at it."""
    only = params.get("only", "")
    if only not in {"", "images"}:
        raise InvalidInput(f"only={only[:40]} is unknown.", hint="Use images, or leave it out.")
    first = roots(database)
    wnid = params.get("wnid") or first[0].wnid
    one = database.taxonomy[wnid]
    path = path_of(database, one.wnid)
    on_path = {node.wnid for node in path}

    def shown(nodes: list[Node]) -> list[Node]:
        return [one for one in nodes if not only or one.n_photos or one.wnid in on_path]

    columns = [Column(parent=None, nodes=shown(first), open=path[0].wnid)]
    for i, node in enumerate(path):
        children = shown(children_of(database, node.wnid))
        if children:
            inside = path[i + 1].wnid if i + 1 < len(path) else ""
            columns.append(Column(parent=node, nodes=children, open=inside))
    with database.engine.connect() as connection:
        n_with_images = sum(1 for c in synset.read_counts(connection).values() if c.n_photos)
    return TreePage(
        n_tree=len(database.taxonomy),
        n_with_images=n_with_images,
        path=path,
        columns=columns,
        here=path[-1],
        words=list(one.words),
        gloss=one.gloss,
        photos=_peek(database, one.wnid, n_photos=path[-1].n_photos),
        children=shown(children_of(database, one.wnid))[:6],
        only=only,
    )


def _peek(database: Database, wnid: str, *, n_photos: int, limit: int = N_PEEK) -> list[Photo]:
    """A few images at or below a synset: down the branches that have some."""
    found: dict[str, Photo] = {}
    waiting = [wnid] if n_photos else []
    seen: set[str] = set()
    with database.engine.connect() as connection:
        while waiting and len(found) < limit:
            here = waiting.pop(0)
            if here in seen:
                continue
            seen.add(here)
            for state in get_args(State)[::2]:
                for photo in synset.read_photos(
                    connection, here, state=state, limit=3 if here != wnid else limit
                ):
                    found[photo.sha256] = photo
            waiting += [c.wnid for c in children_of(database, here) if c.n_photos]
    return list(found.values())[:limit]


def one_synset(database: Database, params: Params) -> SynsetPage:
    """A synset and a page of its images."""
    one = database.taxonomy[params["wnid"]]
    after = whole_number(params, "after")
    with database.engine.connect() as connection:
        counts = synset.read_counts(connection, [one.wnid])
        count = counts.get(one.wnid, SynsetCount(wnid=one.wnid))
        state = params.get("state") or ("present" if count.n_present else "candidate")
        if state not in get_args(State):
            raise InvalidInput(
                f"There is no state {state[:40]}.", hint="Use present, absent or candidate."
            )
        photos = synset.read_photos(
            connection, one.wnid, state=cast(State, state), after=after, limit=PAGE_SIZE + 1
        )
        safety = synset.read_safety(connection, one.wnid)
        releases = release.count_synset(connection, one.wnid)
    more = len(photos) > PAGE_SIZE
    path = path_of(database, one.wnid)
    children = children_of(database, one.wnid)
    n_below = path[-1].n_photos - count.n_photos
    return SynsetPage(
        wnid=as_wnid(one),
        name=one.name,
        words=list(one.words),
        gloss=one.gloss,
        height=int(one.height),
        safety=safety,
        path=path,
        children=children,
        siblings=[] if children else siblings_of(database, one.wnid),
        releases=releases,
        n_present=count.n_present,
        n_absent=count.n_absent,
        n_candidates=count.n_candidates,
        n_photos_below=n_below,
        state=state,
        photos=photos[:PAGE_SIZE],
        below=[] if photos else _peek(database, one.wnid, n_photos=n_below, limit=N_BELOW),
        after=after,
        next_after=photos[PAGE_SIZE - 1].image_id if more else None,
    )


PAGES = (
    Page(path="/tree", template="tree.html", context=TreePage, build=tree, query=("only",)),
    Page(path="/tree/{wnid}", template="tree.html", context=TreePage, build=tree, query=("only",)),
    Page(
        path="/synset/{wnid}",
        template="synset.html",
        context=SynsetPage,
        build=one_synset,
        query=("state", "after"),
    ),
)
