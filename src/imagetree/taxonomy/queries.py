"""Search-engine queries for a synset: Deng et al., CVPR 2009, section 3.1.

The base queries are the synonyms. Each is also asked with a word of the parent synset appended,
if that word stands in the target's own gloss: "whippet", whose gloss begins "small slender dog
of greyhound type", gives "whippet dog" and "whippet greyhound". Synonyms in Chinese, Spanish,
Dutch and Italian come from those languages' WordNets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

# Open Multilingual WordNet's names of the languages that ImageNet asked in.
LANGUAGES = ("cmn", "spa", "nld", "ita")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


def expand(words: Sequence[str], gloss: str, parents: Sequence[Sequence[str]]) -> list[str]:
    """Synonyms, then each synonym with the parents' words that stand in the gloss."""
    in_gloss = " " + " ".join(_WORD.findall(gloss.lower())) + " "
    appended: list[str] = []
    for parent in parents:
        for word in parent:
            plain = " ".join(_WORD.findall(word.lower()))
            if plain and f" {plain} " in in_gloss:
                appended.append(word)
    made = list(words)
    made += [
        f"{word} {more}"
        for word in words
        for more in dict.fromkeys(appended)
        if more.lower() not in word.lower().split()
    ]
    return made


def translations(folder: Path, wnid: str) -> list[str]:
    """Words of a synset in other languages, from a folder of Open Multilingual WordNet.

    Reads its files `wn-data-<language>.tab`, whose lines are `offset-n<TAB>lemma<TAB>word`.
    """
    key = f"{wnid[1:]}-n"
    found: list[str] = []
    for language in LANGUAGES:
        for path in sorted(folder.rglob(f"wn-data-{language}.tab")):
            with path.open(encoding="utf-8") as stream:
                for line in stream:
                    field = line.rstrip("\n").split("\t")
                    if len(field) >= 3 and field[0] == key and field[1].endswith("lemma"):
                        found.append(field[2].replace("_", " "))
    return found
