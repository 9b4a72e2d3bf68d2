"""The prebuilt file of a tree: SQLite for words and glosses, arrays for the hierarchy.

synset      one row a synset, `number` 0 to N-1 in the order of the wnids
word        every word with its synset and the rank of that sense
exception   irregular forms (mice -> mouse)
words_fts   full text over words and glosses
array       the hierarchy as numpy arrays, read at opening in a few milliseconds
about       schema version, signature, number of synsets
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetree.catalog.engine import sqlite_module
from imagetree.taxonomy import hierarchy

SCHEMA = "3"

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE synset (
    number INTEGER PRIMARY KEY, wnid TEXT NOT NULL UNIQUE, words TEXT NOT NULL,
    gloss TEXT NOT NULL, height INTEGER NOT NULL, sense TEXT NOT NULL,
    parents TEXT NOT NULL, instance_parents TEXT NOT NULL, meronyms TEXT NOT NULL
);
CREATE TABLE word (
    word TEXT NOT NULL, number INTEGER NOT NULL, rank INTEGER NOT NULL,
    PRIMARY KEY (word, number)
) WITHOUT ROWID;
CREATE TABLE exception (form TEXT NOT NULL, base TEXT NOT NULL, PRIMARY KEY (form, base))
    WITHOUT ROWID;
CREATE VIRTUAL TABLE words_fts USING fts5(
    words, gloss, content='', tokenize="porter unicode61", prefix='2 3'
);
CREATE TABLE array (name TEXT PRIMARY KEY, data BLOB NOT NULL);
"""


@dataclass(frozen=True)
class NounSynset:
    """A synset as it goes into the file; parents are numbers of synsets."""

    wnid: str
    words: tuple[str, ...]
    gloss: str
    height: int
    sense: str
    ranks: tuple[int, ...]
    parents: tuple[int, ...]
    instance_parents: tuple[int, ...]
    meronyms: str


def write_store(
    target: Path,
    synsets: Sequence[NounSynset],
    *,
    signature: str,
    exceptions: Iterable[tuple[str, str]] = (),
) -> None:
    """Writes the file whole, then puts it in place; a crash leaves no half-written one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    connection = sqlite_module().connect(part)
    try:
        connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _TABLES)
        connection.execute("BEGIN")
        _insert(connection, synsets, exceptions)
        for name, array in arrays(synsets).items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            connection.execute("INSERT INTO array VALUES (?, ?)", (name, buffer.getvalue()))
        connection.executemany(
            "INSERT INTO about VALUES (?, ?)",
            [("schema", SCHEMA), ("signature", signature), ("n_synsets", str(len(synsets)))],
        )
        connection.commit()
    finally:
        connection.close()
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(target)


def _insert(
    connection: Any, synsets: Sequence[NounSynset], exceptions: Iterable[tuple[str, str]]
) -> None:
    def wnids(numbers: tuple[int, ...]) -> str:
        return " ".join(synsets[i].wnid for i in numbers)

    connection.executemany(
        "INSERT INTO synset VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                i,
                one.wnid,
                "\n".join(one.words),
                one.gloss,
                one.height,
                one.sense,
                wnids(one.parents),
                wnids(one.instance_parents),
                one.meronyms,
            )
            for i, one in enumerate(synsets)
        ),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO word VALUES (?, ?, ?)",
        (
            (word.lower(), i, rank)
            for i, one in enumerate(synsets)
            for word, rank in zip(one.words, one.ranks, strict=True)
        ),
    )
    connection.executemany("INSERT OR IGNORE INTO exception VALUES (?, ?)", exceptions)
    connection.executemany(
        "INSERT INTO words_fts (rowid, words, gloss) VALUES (?, ?, ?)",
        ((i, ", ".join(one.words), one.gloss) for i, one in enumerate(synsets)),
    )


def arrays(synsets: Sequence[NounSynset]) -> dict[str, NDArray[np.int64]]:
    """The hierarchy's arrays: two relations and two closures.

    `up` and `down` follow hypernyms alone (heights, costs); `tree_*` follow instance hypernyms
    too, so that in the tree that people walk every synset is under a root.
    """
    n = len(synsets)
    pairs = [(i, p) for i, one in enumerate(synsets) for p in one.parents]
    more = [(i, p) for i, one in enumerate(synsets) for p in one.instance_parents]
    made: dict[str, NDArray[np.int64]] = {}
    for name, edges in (("", pairs), ("tree_", pairs + more)):
        a = np.array([i for i, _ in edges], dtype=np.int64)
        b = np.array([p for _, p in edges], dtype=np.int64)
        up, down = hierarchy.csr(n, a, b), hierarchy.csr(n, b, a)
        above = hierarchy.closure(down, up)
        for kind, matrix in (("up", up), ("down", down), ("above", above)):
            made[f"{name}{kind}_starts"] = matrix.starts
            made[f"{name}{kind}_values"] = matrix.values
    made["heights"] = np.array([one.height for one in synsets], dtype=np.int64)
    return made


def read_arrays(connection: Any) -> dict[str, NDArray[np.int64]]:
    """The arrays of an opened file."""
    return {
        name: np.load(io.BytesIO(data), allow_pickle=False)
        for name, data in connection.execute("SELECT name, data FROM array")
    }
