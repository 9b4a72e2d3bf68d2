"""A tree of one's own from a CSV or JSON file of (id, words, gloss, parents)."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imagetree.core.errors import InvalidInput
from imagetree.taxonomy import hierarchy

COLUMNS = ("id", "words", "gloss", "parents")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_WNID = re.compile(r"n\d{8}\Z")


@dataclass(frozen=True, kw_only=True)
class OwnSynset:
    """One row: `line` is where it stands, for messages."""

    wnid: str
    words: tuple[str, ...]
    gloss: str
    parents: tuple[str, ...]
    line: int


@dataclass(frozen=True, kw_only=True)
class OwnTree:
    """The synsets of a file, checked: ids once each, no cycle."""

    path: Path
    synsets: tuple[OwnSynset, ...]
    signature: str


def read_tree(path: Path) -> OwnTree:
    """The tree in a CSV (columns id, words, gloss, parents) or JSON (list of such objects).

    Several words or parents are separated by `;` in a CSV. A parent may be a row of the file or
    a WordNet id, under which the row is then grafted. InvalidInput names the line of a duplicate
    id, a row that is its own ancestor, and whatever else cannot be read. Parents that are
    neither are found when the tree meets WordNet: see `check_parents`.

    Example of a file:
        id,words,gloss,parents
        x-redkite,red kite;Milvus milvus,a rusty kite,n01612275
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
    rows = _json_rows(path, text) if path.suffix.lower() == ".json" else _csv_rows(path, text)
    synsets = tuple(_synset(path, line, row) for line, row in rows)
    if not synsets:
        raise InvalidInput(f"{path} has no synset.", hint=f"A row is: {','.join(COLUMNS)}")
    _refuse_duplicates(path, synsets)
    _refuse_cycles(path, synsets)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return OwnTree(path=path, synsets=synsets, signature=f"{path.name} {digest[:16]}")


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in ("id", "words") if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput(
            f"{path}: line 1 has no column {' and '.join(missing)}.",
            hint=f"The first line must be: {','.join(COLUMNS)}",
        )
    for row in reader:
        yield reader.line_num, row


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path}: line {error.lineno}: {error.msg}.") from error
    if not isinstance(loaded, list):
        raise InvalidInput(f"{path} must be a list of objects with {', '.join(COLUMNS)}.")
    for number, row in enumerate(loaded, start=1):
        if not isinstance(row, dict):
            raise InvalidInput(f"{path}: entry {number} is not an object.")
        yield number, row


def _synset(path: Path, line: int, row: Mapping[str, Any]) -> OwnSynset:
    wnid = str(row.get("id") or "").strip()
    if not _ID.match(wnid):
        raise InvalidInput(
            f"{path}: line {line}: {wnid!r} is no id.",
            hint="Use up to 64 letters, digits, dots, dashes and underscores.",
        )
    if _WNID.match(wnid):
        raise InvalidInput(
            f"{path}: line {line}: {wnid} looks like a WordNet id.",
            hint="Give synsets of your own other ids, such as x-redkite.",
        )
    words = _words(row.get("words"))
    if not words:
        raise InvalidInput(f"{path}: line {line}: {wnid} has no words.")
    return OwnSynset(
        wnid=wnid,
        words=words,
        gloss=str(row.get("gloss") or "").strip(),
        parents=tuple(_several(row.get("parents"))),
        line=line,
    )


def _several(value: Any) -> list[str]:
    """The parts of a list, or of a text separated by `;`, that hold anything."""
    parts = value if isinstance(value, list) else str(value or "").split(";")
    return [part for part in (str(one).strip() for one in parts) if part]


def _words(value: Any) -> tuple[str, ...]:
    """Words are written with single spaces, ids as they are."""
    return tuple(" ".join(one.replace("_", " ").split()) for one in _several(value))


def _refuse_duplicates(path: Path, synsets: tuple[OwnSynset, ...]) -> None:
    first: dict[str, int] = {}
    for one in synsets:
        if one.wnid in first:
            raise InvalidInput(
                f"{path}: lines {first[one.wnid]} and {one.line} both define {one.wnid}.",
                hint="An id may stand once; list several parents in one row, separated by ;",
            )
        first[one.wnid] = one.line


def _refuse_cycles(path: Path, synsets: tuple[OwnSynset, ...]) -> None:
    number = {one.wnid: i for i, one in enumerate(synsets)}
    pairs = [
        (i, number[parent])
        for i, one in enumerate(synsets)
        for parent in one.parents
        if parent in number
    ]
    a = np.array([i for i, _ in pairs], dtype=np.int64)
    b = np.array([p for _, p in pairs], dtype=np.int64)
    n = len(synsets)
    try:
        hierarchy.levels(hierarchy.csr(n, b, a), hierarchy.csr(n, a, b))
    except hierarchy.CycleError as error:
        names = [f"{synsets[i].wnid} (line {synsets[i].line})" for i in error.nodes]
        raise InvalidInput(
            f"{path}: a synset is its own ancestor: {' under '.join([*names, names[0]])}.",
            hint="Remove one of these parents.",
        ) from error


def check_parents(tree: OwnTree, known: set[str]) -> None:
    """Raises InvalidInput for a parent that is neither a row of the file nor in `known`."""
    own = {one.wnid for one in tree.synsets}
    for one in tree.synsets:
        for parent in one.parents:
            if parent not in own and parent not in known:
                raise InvalidInput(
                    f"{tree.path}: line {one.line}: the parent {parent!r} of {one.wnid} is "
                    "neither in the file nor in WordNet.",
                    hint="Add a row for it, or name a WordNet id.",
                )
