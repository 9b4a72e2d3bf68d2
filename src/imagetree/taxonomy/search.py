"""Finding synsets: by id, sense, word in any form, prefix, and full text over glosses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetree.taxonomy.taxonomy import Taxonomy

MAX_TEXT = 200
# WordNet's rules of detachment for nouns, morphy(7WN), in its order.
_ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)
_SENSE = re.compile(r"(.+)\.n\.(\d{1,2})\Z")
_WORD = re.compile(r"\w+")


def clean(text: str) -> str:
    """The text as words are stored: lower case, single spaces, no underscores, of sane length."""
    return " ".join(text.replace("\0", " ").replace("_", " ").split())[:MAX_TEXT].lower()


def base_forms(connection: Any, word: str) -> list[str]:
    """The word itself, then its base forms: irregular ones, then regular ones."""
    forms = [word]
    forms += [
        row[0] for row in connection.execute("SELECT base FROM exception WHERE form = ?", (word,))
    ]
    forms += [
        word[: len(word) - len(ending)] + new
        for ending, new in _ENDINGS
        if word.endswith(ending) and len(word) > len(ending) + 1
    ]
    return list(dict.fromkeys(forms))


def lookup(tree: Taxonomy, text: str) -> list[int]:
    """Numbers of the synsets that the text names, most frequent sense first."""
    exact = tree._find(text.strip())
    if exact is not None:
        return [exact]
    word = clean(text)
    if not word:
        return []
    own = [
        tree._n_stored + i
        for i, one in enumerate(tree._own)
        if word in (each.lower() for each in one.words)
    ]
    if not tree._n_stored:
        return own
    connection = tree._connection
    sense = _SENSE.match(word)
    if sense:
        rows = connection.execute(
            "SELECT number FROM word WHERE word = ? AND rank = ?",
            (sense[1], int(sense[2])),
        ).fetchall()
        if rows:
            return [row[0] for row in rows]
    found = own
    for form in base_forms(connection, word):
        # "men" is a word of its own (work force) and the plural of man: both are meant.
        rows = connection.execute(
            "SELECT number FROM word WHERE word = ? ORDER BY rank, number", (form,)
        )
        found = found + [row[0] for row in rows]
    return list(dict.fromkeys(found))


def search(tree: Taxonomy, text: str, *, limit: int) -> list[tuple[int, str, float]]:
    """(number, why, score) of the best matches; never an error, whatever the text."""
    found: dict[int, tuple[str, float]] = {}

    def add(number: int, why: str, score: float) -> None:
        if number not in found:
            found[number] = (why, score)

    for rank, number in enumerate(lookup(tree, text)):
        add(number, "word", 100.0 - rank)
    word = clean(text)
    if len(word) >= 2 and len(found) < limit:
        for i, one in enumerate(tree._own):
            if any(word in each.lower() for each in (*one.words, one.gloss)):
                add(tree._n_stored + i, "own tree", 60.0)
        if tree._n_stored:
            _add_prefixes(tree._connection, word, limit, add)
            _add_full_text(tree._connection, word, limit, add)
    ranked = sorted(found.items(), key=lambda item: -item[1][1])
    return [(number, why, score) for number, (why, score) in ranked[:limit]]


def _add_prefixes(connection: Any, word: str, limit: int, add: Any) -> None:
    # The largest character ends the range of all words that begin so.
    rows = connection.execute(
        "SELECT number, word, rank FROM word WHERE word >= ? AND word < ? "
        "ORDER BY length(word), rank LIMIT ?",
        (word, word + "\U0010ffff", limit),
    )
    for place, (number, _, _) in enumerate(rows):
        add(number, "begins so", 50.0 - place * 0.1)


def _add_full_text(connection: Any, word: str, limit: int, add: Any) -> None:
    terms = _WORD.findall(word)[:8]
    if not terms:
        return
    # Every term is quoted, so nothing that a user types is an operator of full text search.
    match = " ".join(f'"{term}"' for term in terms[:-1]) + f' "{terms[-1]}" *'
    rows = connection.execute(
        "SELECT rowid, bm25(words_fts, 8.0, 1.0) FROM words_fts WHERE words_fts MATCH ? "
        "ORDER BY 2 LIMIT ?",
        (match.strip(), limit),
    )
    for place, (number, _) in enumerate(rows):
        add(number, "in the definition", 30.0 - place * 0.1)
