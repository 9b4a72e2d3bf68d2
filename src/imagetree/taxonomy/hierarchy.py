"""Arithmetic of a hierarchy with several parents a node: arrays in, arrays out.

A `Hierarchy` numbers its nodes 0 to N-1. Its relation is acyclic, so the nodes can be put in an
order in which parents come before children; everything below is one pass in that order.

    closure     ancestors of every node, itself included, as one CSR matrix (N + 1,), (P,)
    heights     longest path down to a leaf, in edges; a leaf has 0
    costs       d(x, y) = min height over the common ancestors of x and y; 0 on the diagonal
                (ILSVRC2010 development kit, readme.txt, section 3.2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class CycleError(ValueError):
    """The relation has a cycle; `nodes` are the numbers of the nodes on it."""

    def __init__(self, nodes: Sequence[int]) -> None:
        super().__init__(f"a cycle over {len(nodes)} nodes")
        self.nodes = list(nodes)


@dataclass(frozen=True)
class Csr:
    """Rows of numbers of different lengths: row i is `values[starts[i]:starts[i + 1]]`."""

    starts: Ints
    values: Ints

    def row(self, i: int) -> Ints:
        """The i-th row, a view."""
        return self.values[self.starts[i] : self.starts[i + 1]]

    @property
    def lengths(self) -> Ints:
        """Length of every row, shape (N,)."""
        return np.diff(self.starts)


def csr(n_rows: int, rows: Ints, values: Ints) -> Csr:
    """The pairs (row, value) as a `Csr`; within a row values keep the order of the pairs.

    Example:
        >>> csr(3, np.array([0, 2, 0]), np.array([5, 6, 7])).row(0).tolist()
        [5, 7]
    """
    order = np.argsort(rows, kind="stable")
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=starts[1:])
    return Csr(starts, np.asarray(values, dtype=np.int64)[order])


def levels(children: Csr, parents: Csr) -> list[Ints]:
    """Nodes by the longest path from a root, each level sorted; level 0 are the roots.

    Raises CycleError.
    """
    n_nodes = len(parents.starts) - 1
    waiting = parents.lengths.copy()
    found: list[Ints] = []
    frontier = np.flatnonzero(waiting == 0)
    n_seen = 0
    while len(frontier):
        found.append(frontier)
        n_seen += len(frontier)
        below = _rows(children, frontier)
        waiting -= np.bincount(below, minlength=n_nodes)
        frontier = np.unique(below[waiting[below] == 0])
    if n_seen != n_nodes:
        raise CycleError(_one_cycle(parents, waiting))
    return found


def _rows(matrix: Csr, rows: Ints) -> Ints:
    """The values of several rows, one after the other."""
    return _taken(matrix.values, matrix.starts[rows], matrix.lengths[rows])


def _taken(values: Ints, begins: Ints, lengths: Ints) -> Ints:
    """Several runs of `values`, one after the other."""
    at = np.repeat(begins - np.cumsum(lengths) + lengths, lengths)
    taken: Ints = values[at + np.arange(len(at))]
    return taken


def _one_cycle(parents: Csr, waiting: Ints) -> list[int]:
    """A cycle among the nodes that never became free: walk up until a node comes again."""
    node = int(np.flatnonzero(waiting > 0)[0])
    walk: list[int] = []
    while node not in walk:
        walk.append(node)
        stuck = [int(up) for up in parents.row(node) if waiting[up] > 0]
        node = stuck[0]
    return walk[walk.index(node) :]


def heights(children: Csr, parents: Csr) -> Ints:
    """Longest path from each node down to a leaf, shape (N,), in edges."""
    height = np.zeros(len(parents.starts) - 1, dtype=np.int64)
    for level in reversed(levels(children, parents)):
        up = _rows(parents, level)
        np.maximum.at(height, up, np.repeat(height[level] + 1, parents.lengths[level]))
    return height


def closure(children: Csr, parents: Csr, *, known: Csr | None = None) -> Csr:
    """Ancestors of every node, itself included, each row sorted.

    `known` are the rows of the first nodes, where they are known already: what is grafted below
    a tree changes no ancestors above.
    """
    n_nodes = len(parents.starts) - 1
    n_known = 0 if known is None else len(known.starts) - 1
    begins, lengths = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64)
    values, n_values = np.empty(0, np.int64), 0
    if known is not None:
        begins[:n_known], lengths[:n_known] = known.starts[:-1], known.lengths
        values, n_values = known.values, len(known.values)
    # Rows lie in the order they are made; each level is one step over all of its nodes.
    for level in levels(children, parents):
        nodes = level[level >= n_known]
        if not len(nodes):
            continue
        up = _rows(parents, nodes)
        below = np.repeat(nodes, parents.lengths[nodes])
        above = _taken(values, begins[up], lengths[up])
        # A pair as one number: sorted by node, then by ancestor, each pair once.
        pairs = np.concatenate(
            [np.repeat(below, lengths[up]) * n_nodes + above, nodes * (n_nodes + 1)]
        )
        pairs.sort()
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
        lengths[nodes] = np.bincount(pairs // n_nodes, minlength=n_nodes)[nodes]
        # A level is in the order of its numbers, and so are the pairs.
        begins[nodes] = n_values + np.cumsum(lengths[nodes]) - lengths[nodes]
        if n_values + len(pairs) > len(values):
            more = np.empty(n_values + len(pairs) + len(values) // 2, np.int64)
            more[:n_values] = values[:n_values]
            values = more
        values[n_values : n_values + len(pairs)] = pairs % n_nodes
        n_values += len(pairs)
    starts = np.zeros(n_nodes + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    return Csr(starts, _taken(values, begins, lengths))


def costs(ancestors: Csr, height: Ints, nodes: Ints) -> Ints:
    """Misclassification costs between `nodes`, shape (n, n): symmetric, 0 on the diagonal.

    d(x, y) is the smallest height over all common ancestors, x and y themselves included. Pairs
    without a common ancestor cost one more than the largest height.
    """
    n = len(nodes)
    none = int(height.max(initial=0)) + 1
    cost = np.full((n, n), none, dtype=np.int64)
    members = csr(
        len(height),
        _rows(ancestors, nodes),
        np.repeat(np.arange(n), ancestors.lengths[nodes]),
    )
    shared = np.flatnonzero(members.lengths > 1)
    # From high to low: the last ancestor that writes a pair is the lowest one.
    for ancestor in shared[np.argsort(-height[shared], kind="stable")].tolist():
        below = members.row(ancestor)
        cost[np.ix_(below, below)] = height[ancestor]
    np.fill_diagonal(cost, 0)
    # The same node asked for twice costs nothing against itself.
    cost[nodes[:, None] == nodes[None, :]] = 0
    return cost


def subtree_sums(ancestors: Csr, counts: Ints) -> Ints:
    """Sums of `counts` (N,) over each node's subtree, itself included; each node counts once."""
    marked = np.flatnonzero(counts)
    amounts = np.repeat(counts[marked], ancestors.lengths[marked]).astype(np.float64)
    sums = np.bincount(_rows(ancestors, marked), weights=amounts, minlength=len(counts))
    # Exact: float64 holds whole numbers up to 2**53.
    return sums.astype(np.int64)


def lowest_common(ancestors: Csr, height: Ints, a: int, b: int) -> Ints:
    """The common ancestors of a and b with the smallest height; several may share it."""
    both = np.intersect1d(ancestors.row(a), ancestors.row(b), assume_unique=True)
    if not len(both):
        return both
    lowest: Ints = both[height[both] == height[both].min()]
    return lowest
