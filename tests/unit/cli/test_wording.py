from __future__ import annotations

import pytest

from imagetree.cli import wording
from imagetree.cli.wording import count, duration, shorten, size


@pytest.mark.parametrize(
    ("n", "nouns", "text"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (1234567, ("image",), "1,234,567 images"),
        (2, ("class", "classes"), "2 classes"),
        (7000, (), "7,000"),
    ],
)
def test_count(n: int, nouns: tuple[str, ...], text: str) -> None:
    assert count(n, *nouns) == text


def test_size_changes_its_unit_at_each_thousand() -> None:
    sizes = [size(n) for n in (0, 999, 1000, 999_949, 1_500_000, 2e9, 3e12)]
    assert sizes == ["0 bytes", "999 bytes", "1.0 kB", "999.9 kB", "1.5 MB", "2.0 GB", "3.0 TB"]


def test_duration() -> None:
    told = [duration(s) for s in (0.04, 59.94, 60, 754, 3600, 7300)]
    assert told == ["0.04 s", "59.9 s", "1 min 0 s", "12 min 34 s", "1 h 0 min", "2 h 1 min"]


def test_share() -> None:
    assert wording.share(0.0384) == "3.8%"


def test_shorten_cuts_at_a_word_and_never_exceeds() -> None:
    gloss = "a member of the genus Canis that has been domesticated by man"
    assert shorten(gloss, 200) == gloss
    assert shorten(gloss, 30) == "a member of the genus Canis…"
    assert all(len(shorten(gloss, n)) <= n for n in range(2, 70))
