"""Synsets as pages name them, with the images at and below them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from imagetree.catalog.statements import event, synset
from imagetree.core.errors import NotFound
from imagetree.web.contexts import Node

if TYPE_CHECKING:
    from imagetree.database import Database
    from imagetree.taxonomy.taxonomy import Taxonomy


@lru_cache(maxsize=8)
def _sums(database: Database, last_event: int) -> Any:
    """Images at and below every synset, by position; `last_event` makes the old ones forgotten."""
    tree = database.taxonomy
    with database.engine.connect() as connection:
        counts = synset.read_counts(connection)
    return tree.subtree_counts(
        {wnid: one.n_photos for wnid, one in counts.items() if in_tree(tree, wnid)}
    )


def in_tree(tree: Taxonomy, wnid: str) -> bool:
    """Whether the tree has the synset."""
    try:
        tree[wnid]
    except NotFound:
        return False
    return True


def name_of(database: Database, wnid: str) -> str:
    """A synset's first word, or the wnid itself where the tree has lost it."""
    tree = database.taxonomy
    return str(tree[wnid].name) if in_tree(tree, wnid) else wnid


def nodes(database: Database, wnids: list[str]) -> list[Node]:
    """The nodes of some synsets of the tree, in the same order."""
    if not wnids:
        return []
    tree = database.taxonomy
    with database.engine.connect() as connection:
        last = event.last_event(connection)
    sums = _sums(database, last)
    return [
        Node(
            wnid=wnid,
            name=tree[wnid].name,
            n_below=int(tree.n_below(wnid)),
            n_photos=int(sums[position]),
        )
        for wnid, position in zip(wnids, tree.index(wnids), strict=True)
    ]


def path_of(database: Database, wnid: str) -> list[Node]:
    """From the root to the synset; of several paths the tree's own choice."""
    return nodes(database, [as_wnid(one) for one in database.taxonomy.path(wnid)])


def as_wnid(one: Any) -> str:
    """The wnid of a synset, or of what is one already."""
    return one if isinstance(one, str) else str(one.wnid)


def children_of(database: Database, wnid: str) -> list[Node]:
    """Kinds and instances of a synset: those with most images first, then the largest."""
    one = database.taxonomy[wnid]
    found = dict.fromkeys(as_wnid(c) for c in [*one.children, *one.instances])
    return sorted(nodes(database, list(found)), key=_rank)


def siblings_of(database: Database, wnid: str) -> list[Node]:
    """The other kinds of a synset's first parent; none for a root."""
    path = path_of(database, wnid)
    if len(path) < 2:
        return []
    return [one for one in children_of(database, path[-2].wnid) if one.wnid != wnid]


def roots(database: Database) -> list[Node]:
    """Where the tree begins."""
    return sorted(nodes(database, [as_wnid(r) for r in database.taxonomy.roots]), key=_rank)


def _rank(node: Node) -> tuple[bool, int, str]:
    return (not node.n_photos, -node.n_below, node.name.lower())
