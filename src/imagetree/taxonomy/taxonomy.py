"""`Taxonomy`: the tree as everybody else sees it, WordNet 3.0 and what was grafted on it."""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from imagetree.catalog.engine import sqlite_module
from imagetree.core.errors import InvalidInput, MissingPart, NotFound
from imagetree.taxonomy import hierarchy, queries, search, store
from imagetree.taxonomy.hierarchy import Csr, Ints
from imagetree.taxonomy.own_tree import OwnTree, check_parents
from imagetree.taxonomy.store import NounSynset

_EXAMPLE = re.compile(r';\s*(?=")')


@dataclass(frozen=True, slots=True)
class Synset:
    """A synset: words that mean the same thing, with its place in the tree.

    `parents` and `children` follow hypernyms; `instance_parents` and `instances` link named
    things ("Thames") to their kind ("river"). `meronyms` are (kind, wnid) of its parts.
    """

    wnid: str
    words: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    height: int
    sense: str
    parents: tuple[str, ...]
    children: tuple[str, ...]
    instance_parents: tuple[str, ...]
    instances: tuple[str, ...]
    meronyms: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search: why it matched, and a score (higher is better)."""

    synset: Synset
    why: str
    score: float


class Taxonomy:
    """The tree, read-only. Threads may share it.

    Example:
        tree = Taxonomy.open(Path("wordnet-3.0.sqlite"))
        tree["n02084071"].words         # ('dog', 'domestic dog', 'Canis familiaris')
        tree.costs(["n02084071", "n02121808"])
    """

    def __init__(self, path: Path | None, own: OwnTree | None) -> None:
        self._path = path
        self._local = threading.local()
        self._own: list[NounSynset] = []
        self._own_numbers: dict[str, int] = {}
        self._own_tree = own
        if path is not None:
            about = dict(self._connection.execute("SELECT name, value FROM about"))
            self._arrays = store.read_arrays(self._connection)
            self._n_stored = int(about["n_synsets"])
            self.signature = about["signature"]
        else:
            self._arrays = {}
            self._n_stored = 0
            self.signature = ""
        if own is not None:
            self._graft(own)

    @classmethod
    def open(cls, path: Path, *, own: OwnTree | None = None) -> Taxonomy:
        """The tree in a prebuilt file, with a tree of one's own grafted on it.

        Raises MissingPart when the file is not there or was built by another version.
        """
        if not path.is_file():
            raise MissingPart(
                f"WordNet was not built yet: there is no {path}.",
                hint="Run: imagetree doctor",
            )
        connection = sqlite_module().connect(f"file:{path}?mode=ro", uri=True)
        try:
            row = connection.execute("SELECT value FROM about WHERE name = 'schema'").fetchone()
        except Exception as error:
            raise MissingPart(f"{path} is not a WordNet file.", hint="Delete it.") from error
        finally:
            connection.close()
        if row is None or row[0] != store.SCHEMA:
            raise MissingPart(
                f"{path} was built by another version.",
                hint="Delete it; it is built again when it is needed.",
            )
        return cls(path, own)

    @classmethod
    def of_tree(cls, own: OwnTree) -> Taxonomy:
        """A tree of one's own alone, without WordNet."""
        return cls(None, own)

    @property
    def _connection(self) -> Any:
        # One connection a thread: SQLite's own rule, and no lock between readers.
        if not hasattr(self._local, "connection"):
            if self._path is None:
                connection = sqlite_module().connect(":memory:")
            else:
                connection = sqlite_module().connect(
                    f"file:{self._path}?mode=ro&immutable=1", uri=True
                )
            self._local.connection = connection
        return self._local.connection

    # ---- grafting ----

    def _graft(self, own: OwnTree) -> None:
        check_parents(own, {wnid for one in own.synsets for wnid in one.parents if wnid in self})
        n = self._n_stored
        numbers = {one.wnid: n + i for i, one in enumerate(own.synsets)}

        def number_of(wnid: str) -> int:
            return numbers[wnid] if wnid in numbers else self.number(wnid)

        self._own = [
            NounSynset(
                wnid=one.wnid,
                words=one.words,
                gloss=one.gloss,
                height=0,
                sense=f"{one.words[0].lower().replace(' ', '_')}.x.01",
                ranks=(1,) * len(one.words),
                parents=tuple(number_of(parent) for parent in one.parents),
                instance_parents=(),
                meronyms="[]",
            )
            for one in own.synsets
        ]
        pairs = [(n + i, p) for i, one in enumerate(self._own) for p in one.parents]
        more = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        total = n + len(self._own)
        grafted: dict[str, Ints] = {}
        for prefix in ("", "tree_"):
            old = self._csr(prefix + "up") if n else Csr(np.zeros(1, np.int64), more[:0, 0])
            rows = np.concatenate([np.repeat(np.arange(n), old.lengths), more[:, 0]])
            values = np.concatenate([old.values, more[:, 1]])
            up = hierarchy.csr(total, rows, values)
            down = hierarchy.csr(total, values, rows)
            above = hierarchy.closure(down, up, known=self._csr(prefix + "above") if n else None)
            for kind, matrix in (("up", up), ("down", down), ("above", above)):
                grafted[f"{prefix}{kind}_starts"] = matrix.starts
                grafted[f"{prefix}{kind}_values"] = matrix.values
            if not prefix:
                grafted["heights"] = hierarchy.heights(down, up)
        self._arrays = grafted
        self._own_numbers = numbers
        self.signature = " + ".join(part for part in (self.signature, own.signature) if part)

    def _csr(self, name: str) -> Csr:
        return Csr(self._arrays[name + "_starts"], self._arrays[name + "_values"])

    # ---- numbers and ids ----

    def __len__(self) -> int:
        return self._n_stored + len(self._own)

    def __iter__(self) -> Iterator[str]:
        return iter(self.wnids)

    @cached_property
    def wnids(self) -> tuple[str, ...]:
        """All ids, in the order of their numbers."""
        rows: list[tuple[str]] = []
        if self._n_stored:
            rows = self._connection.execute("SELECT wnid FROM synset ORDER BY number").fetchall()
        return (*(row[0] for row in rows), *(one.wnid for one in self._own))

    def __contains__(self, wnid: object) -> bool:
        return isinstance(wnid, str) and self._find(wnid) is not None

    def _find(self, wnid: str) -> int | None:
        if (own := self._own_numbers.get(wnid)) is not None:
            return own
        if not self._n_stored or "\0" in wnid:
            return None
        row = self._connection.execute(
            "SELECT number FROM synset WHERE wnid = ?", (wnid,)
        ).fetchone()
        return int(row[0]) if row else None

    def number(self, wnid: str) -> int:
        """The number of a synset; NotFound with similar ids when there is none."""
        found = self._find(wnid)
        if found is not None:
            return found
        near = difflib.get_close_matches(wnid, [one.wnid for one in self._own], n=3)
        words = [one.name + " " + one.wnid for one in self.lookup(wnid)[:3]]
        similar = ", ".join(near + words)
        raise NotFound(
            f"There is no synset {wnid!r}.",
            hint=f"Perhaps: {similar}." if similar else "Try: imagetree search DATABASE WORD",
        )

    def index(self, wnids: Iterable[str]) -> Ints:
        """Numbers of several synsets, shape (n,); NotFound for an unknown one."""
        wanted = list(wnids)
        if len(wanted) > 1000:
            number = self._numbers
            try:
                return np.array([number[wnid] for wnid in wanted], dtype=np.int64)
            except KeyError as error:
                self.number(str(error.args[0]))
        return np.array([self.number(wnid) for wnid in wanted], dtype=np.int64)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {wnid: i for i, wnid in enumerate(self.wnids)}

    def source_of(self, wnid: str) -> str:
        """'wordnet', or 'own' for a grafted synset."""
        return "wordnet" if self.number(wnid) < self._n_stored else "own"

    # ---- synsets ----

    def __getitem__(self, wnid: str) -> Synset:
        return self._synset(self.number(wnid))

    def get(self, wnid: str) -> Synset | None:
        """The synset, or None."""
        found = self._find(wnid)
        return None if found is None else self._synset(found)

    def synsets(self, wnids: Sequence[str]) -> list[Synset]:
        """Several synsets, in the order asked for; NotFound for an unknown one."""
        return [self._synset(int(i)) for i in self.index(wnids)]

    def _names(self, numbers: Iterable[int]) -> tuple[str, ...]:
        wanted = [int(i) for i in numbers]
        if len(wanted) > 500:
            return tuple(self.wnids[i] for i in wanted)
        marks = ",".join("?" * len(wanted))
        rows = dict(
            self._connection.execute(
                f"SELECT number, wnid FROM synset WHERE number IN ({marks})", wanted
            )
            if self._n_stored
            else ()
        )
        return tuple(
            rows[i] if i < self._n_stored else self._own[i - self._n_stored].wnid for i in wanted
        )

    def _synset(self, number: int) -> Synset:
        if number >= self._n_stored:
            one = self._own[number - self._n_stored]
            wnid, words, gloss, sense, meronyms = (
                one.wnid,
                one.words,
                one.gloss,
                one.sense,
                one.meronyms,
            )
        else:
            row = self._connection.execute(
                "SELECT wnid, words, gloss, sense, meronyms FROM synset WHERE number = ?",
                (number,),
            ).fetchone()
            wnid, gloss, sense, meronyms = row[0], row[2], row[3], row[4]
            words = tuple(row[1].split("\n"))
        definition, *examples = _EXAMPLE.split(gloss)
        down, tree_down = self._csr("down").row(number), self._csr("tree_down").row(number)
        up, tree_up = self._csr("up").row(number), self._csr("tree_up").row(number)
        return Synset(
            wnid=wnid,
            words=words,
            gloss=definition.strip(),
            examples=tuple(one.strip().strip('"') for one in examples),
            height=int(self._arrays["heights"][number]),
            sense=sense,
            parents=self._names(up),
            children=self._names(down),
            instance_parents=self._names(np.setdiff1d(tree_up, up)),
            instances=self._names(np.setdiff1d(tree_down, down)),
            meronyms=tuple((kind, part) for kind, part in json.loads(meronyms)),
        )

    # ---- the hierarchy ----

    @property
    def heights(self) -> Ints:
        """Longest path down to a leaf of every synset, shape (len,), over hyponyms alone."""
        return self._arrays["heights"]

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Synsets without any parent: `entity`, and the roots of one's own trees."""
        return self._names(np.flatnonzero(self._csr("tree_up").lengths == 0))

    def ancestors(self, wnid: str) -> list[str]:
        """All synsets above, instance links included, the synset itself left out."""
        number = self.number(wnid)
        above = self._csr("tree_above").row(number)
        return list(self._names(above[above != number]))

    def descendants(self, wnid: str) -> list[str]:
        """All synsets below, instance links included, the synset itself left out."""
        number = self.number(wnid)
        below = self._below.row(number)
        return list(self._names(below[below != number]))

    @cached_property
    def _below(self) -> Csr:
        above = self._csr("tree_above")
        rows = np.repeat(np.arange(len(self)), above.lengths)
        return hierarchy.csr(len(self), above.values, rows)

    @cached_property
    def _n_below(self) -> Ints:
        counts: Ints = np.bincount(self._csr("tree_above").values, minlength=len(self)) - 1
        return counts

    def n_below(self, wnid: str) -> int:
        """Number of different synsets below."""
        return int(self._n_below[self.number(wnid)])

    def under(self, wnid: str, ancestor: str) -> bool:
        """Whether `ancestor` is above `wnid`; a synset is not under itself."""
        a, b = self.number(wnid), self.number(ancestor)
        return a != b and bool(np.any(self._csr("tree_above").row(a) == b))

    def path(self, wnid: str) -> list[Synset]:
        """A way from a root down to the synset, both included: always by the first parent."""
        way = [self[wnid]]
        while True:
            above = way[-1].parents or way[-1].instance_parents
            if not above:
                return way[::-1]
            way.append(self[above[0]])

    def lowest_common_ancestors(self, a: str, b: str) -> list[str]:
        """The common ancestors with the smallest height, a and b themselves included."""
        found = hierarchy.lowest_common(
            self._csr("above"), self.heights, self.number(a), self.number(b)
        )
        return list(self._names(found))

    def costs(self, wnids: Sequence[str]) -> Ints:
        """Misclassification costs, shape (N, N): height of the lowest common ancestor.

        0 on the diagonal, symmetric; ILSVRC2010 development kit.
        """
        return hierarchy.costs(self._csr("above"), self.heights, self.index(wnids))

    def subtree_counts(self, counts: Mapping[str, int]) -> Ints:
        """Sums of per-synset counts over every subtree, shape (len,), in order of `wnids`."""
        amounts = np.zeros(len(self), dtype=np.int64)
        amounts[self.index(counts)] = list(counts.values())
        return hierarchy.subtree_sums(self._csr("tree_above"), amounts)

    def nested(self, wnids: Iterable[str]) -> list[tuple[str, str]]:
        """Pairs (ancestor, descendant) among the given synsets; a task must have none."""
        numbers = self.index(sorted(set(wnids)))
        above = self._csr("tree_above")
        pairs = [
            (int(up), int(one))
            for one in numbers
            for up in np.intersect1d(above.row(int(one)), numbers)
            if up != one
        ]
        names = dict(zip(numbers.tolist(), self._names(numbers), strict=True))
        return [(names[up], names[one]) for up, one in pairs]

    # ---- finding ----

    def lookup(self, text: str) -> list[Synset]:
        """The synsets that a text names: wnid, sense (`dog.n.01`), or word in any form.

        In the order of WordNet's senses, the most frequent first.
        """
        return [self._synset(i) for i in search.lookup(self, text)]

    def search(self, text: str, *, limit: int = 20) -> list[Hit]:
        """The best `limit` synsets for a text: words first, then prefixes, then glosses."""
        return [
            Hit(synset=self._synset(number), why=why, score=score)
            for number, why, score in search.search(self, text, limit=limit)
        ]

    def queries(self, wnid: str, *, multilingual: Path | None = None) -> list[str]:
        """Search-engine queries for a synset, as ImageNet made them (CVPR 2009, section 3.1)."""
        one = self[wnid]
        # Nearest first; "parent" means any hypernym above: whippet's "dog" is six levels up.
        above = sorted(self.synsets(self.ancestors(wnid)), key=lambda each: each.height)
        made = queries.expand(one.words, one.gloss, [each.words for each in above])
        if multilingual is not None:
            if not multilingual.is_dir():
                raise InvalidInput(f"{multilingual} is no folder of Open Multilingual WordNet.")
            made.extend(queries.translations(multilingual, wnid))
        return list(dict.fromkeys(made))
