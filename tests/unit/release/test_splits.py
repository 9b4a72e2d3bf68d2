from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.core.errors import InvalidInput
from imagetree.release.splits import assign

SHAS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(200)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.integers(0, 99), st.randoms())
def test_stars_stay_together_whatever_the_order(stars, seed, random):
    centres = {SHAS[i]: SHAS[star] for i, star in enumerate(stars)}
    classes = {sha: [f"n{int(sha[0], 16) % 3}"] for sha in centres}
    splits = {"train": 0.7, "test": 0.3}
    found = assign(centres, classes, splits=splits, seed=seed)
    assert found.keys() == centres.keys()
    for star in set(centres.values()):
        assert len({found[sha] for sha in centres if centres[sha] == star}) == 1
    shuffled = list(centres.items())
    random.shuffle(shuffled)
    assert assign(dict(shuffled), classes, splits=splits, seed=seed) == found


def test_classes_are_balanced_and_seeds_differ():
    alone = {sha: sha for sha in SHAS}
    classes = {sha: ["n1" if i < 150 else "n2"] for i, sha in enumerate(SHAS)}
    found = assign(alone, classes, splits={"train": 0.7, "test": 0.2}, seed=0)
    counts = Counter((classes[sha][0], split) for sha, split in found.items())
    expected = {("n1", "train"): 105, ("n1", "test"): 30, ("n2", "train"): 35, ("n2", "test"): 10}
    assert all(abs(counts[key] - n) <= 1 for key, n in expected.items())
    assert found != assign(alone, classes, splits={"train": 0.7, "test": 0.2}, seed=1)


@pytest.mark.parametrize("splits", [{}, {"train": 0.8, "test": 0.3}, {"a/b": 1.0}, {"a": 0.0}])
def test_bad_fractions_are_refused(splits):
    with pytest.raises(InvalidInput):
        assign({"a": "a"}, {}, splits=splits, seed=0)
