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
    """Nodes by the longest path from a root: level 0 are the roots. Raises CycleError."""
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
    lengths = matrix.lengths[rows]
    starts = np.repeat(matrix.starts[rows] - np.cumsum(lengths) + lengths, lengths)
    taken: Ints = matrix.values[starts + np.arange(len(starts))]
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


def closure(children: Csr, parents: Csr) -> Csr:
    """Ancestors of every node, itself included, each row sorted."""
    n_nodes = len(parents.starts) - 1
    rows: list[Ints] = [np.empty(0, dtype=np.int64)] * n_nodes
    for level in levels(children, parents):
        for node in level.tolist():
            above = [rows[up] for up in parents.row(node).tolist()]
            own = np.array([node], dtype=np.int64)
            rows[node] = np.unique(np.concatenate([*above, own]))
    starts = np.zeros(n_nodes + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    return Csr(starts, np.concatenate(rows) if rows else np.empty(0, dtype=np.int64))


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
