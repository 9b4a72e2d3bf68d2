"""The arithmetic of a hierarchy against its plainest definition, on random graphs."""

from __future__ import annotations

import numpy as np
import pytest

from imagetree.taxonomy import hierarchy
from imagetree.taxonomy.hierarchy import Csr


def random_graph(seed: int) -> tuple[int, list[tuple[int, int]]]:
    """Nodes, and pairs (child, parent) without a cycle, some nodes with several parents."""
    chance = np.random.default_rng(seed)
    n = int(chance.integers(1, 40))
    order = chance.permutation(n)
    pairs = {
        (int(order[i]), int(order[chance.integers(i)]))
        for i in range(1, n)
        for _ in range(chance.integers(0, 4))
    }
    return n, sorted(pairs)


def both_ways(n: int, pairs: list[tuple[int, int]]) -> tuple[Csr, Csr]:
    """(children, parents) of every node."""
    a = np.array([child for child, _ in pairs], dtype=np.int64)
    b = np.array([parent for _, parent in pairs], dtype=np.int64)
    return hierarchy.csr(n, b, a), hierarchy.csr(n, a, b)


def ancestors(node: int, pairs: list[tuple[int, int]]) -> set[int]:
    above = {node}
    for child, parent in pairs:
        if child == node:
            above |= ancestors(parent, pairs)
    return above


@pytest.mark.parametrize("seed", range(30))
def test_the_closure_holds_every_ancestor_once(seed: int) -> None:
    n, pairs = random_graph(seed)
    found = hierarchy.closure(*both_ways(n, pairs))
    assert [found.row(i).tolist() for i in range(n)] == [
        sorted(ancestors(i, pairs)) for i in range(n)
    ]


@pytest.mark.parametrize("seed", range(30))
def test_a_grafted_closure_is_that_of_the_whole(seed: int) -> None:
    n, pairs = random_graph(seed)
    known = hierarchy.closure(*both_ways(n, pairs))
    chance = np.random.default_rng(seed)
    n_more = int(chance.integers(0, 10))
    grafted = [(n + i, int(chance.integers(n + i))) for i in range(n_more)]
    whole = both_ways(n + n_more, pairs + grafted)
    found, wanted = hierarchy.closure(*whole, known=known), hierarchy.closure(*whole)
    assert found.starts.tolist() == wanted.starts.tolist()
    assert found.values.tolist() == wanted.values.tolist()


def test_nothing_has_no_closure() -> None:
    assert len(hierarchy.closure(*both_ways(0, [])).values) == 0
