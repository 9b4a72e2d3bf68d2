"""Text from outside: what is left as it is, and what becomes an escape."""

from __future__ import annotations

import os

import pytest

from imagetree.core.text import storable


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain/a b.jpg", "plain/a b.jpg"),
        ("Blåhaj 🦈 東京.jpg", "Blåhaj 🦈 東京.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"),
        ("lone \ud83d half", r"lone \ud83d half"),
        ("a\nb\tc\x00d", r"a\nb\tc\x00d"),
        ("\x1b[31mred\x9b", r"\x1b[31mred\x9b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("", ""),
    ],
)
def test_storable(text: str, wanted: str) -> None:
    assert storable(text) == wanted
    assert storable(wanted) == wanted
    storable(text).encode("utf-8")
