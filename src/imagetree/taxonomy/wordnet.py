"""WordNet 3.0: found on this machine, read, and built into one read-only file.

A wnid is `n` and the 8-digit byte offset of a noun synset in WordNet 3.0's `data.noun`
(`n01440764` is the tench). Other versions have other offsets, so another version is refused.

Format of a line of `data.noun` (wndb(5WN)):

    offset lexfile type w_cnt  word lex_id ...  p_cnt  pointer offset pos src/tgt ...  | gloss
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imagetree.core.errors import ExternalFailure, InvalidInput, MissingPart
from imagetree.core.progress import Progress, Report, silent
from imagetree.taxonomy import hierarchy
from imagetree.taxonomy.store import NounSynset, write_store

N_NOUN_SYNSETS = 82_115
SYSTEM_FOLDER = Path("/usr/share/wordnet")
NEEDED = ("data.noun", "index.noun", "noun.exc")
ADDRESS = "https://wordnetcode.princeton.edu/3.0/WordNet-3.0.tar.gz"

# Pointers of nouns to nouns that are kept as meronyms: the whole points to its parts.
MERONYMS = {"%m": "member", "%s": "substance", "%p": "part"}


def find_wordnet(given: Path | None = None, *, cache: Path | None = None) -> Path:
    """The folder with WordNet 3.0's `data.noun`.

    Looked for in `given`, $IMAGETREE_WORDNET, /usr/share/wordnet, and below the cache. Raises
    MissingPart with the step that gets it.
    """
    environment = os.environ.get("IMAGETREE_WORDNET")
    asked = [given] if given else [Path(environment)] if environment else []
    for folder in asked:
        for found in (folder, folder / "dict"):
            if (found / "data.noun").is_file():
                return found
        raise MissingPart(
            f"There is no WordNet in {folder}: it has no file data.noun.",
            hint="Name the folder that has data.noun, index.noun and noun.exc.",
        )
    for folder in (SYSTEM_FOLDER, *([cache / "wordnet"] if cache else [])):
        if (folder / "data.noun").is_file():
            return folder
    raise MissingPart(
        "WordNet 3.0 was not found.",
        hint=(
            "On Debian: apt-get install wordnet-base. Elsewhere unpack "
            f"{ADDRESS} and name its folder dict: imagetree init ... --wordnet DIR, or "
            "IMAGETREE_WORDNET=DIR before any command."
        ),
    )


def fetch_wordnet(cache: Path) -> Path:
    """WordNet from Debian's package `wordnet-base`, unpacked into the cache without root."""
    target = cache / "wordnet"
    if (target / "data.noun").is_file():
        return target
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise MissingPart(
                f"{program} is not on this machine, so Debian's package cannot be had.",
                hint=f"Unpack {ADDRESS} and name its folder dict: --wordnet DIR",
            )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        steps = [["apt-get", "download", "wordnet-base"]]
        _run(steps[0], folder)
        packages = sorted(folder.glob("wordnet-base_*.deb"))
        if not packages:
            raise ExternalFailure(
                "apt-get downloaded no package.", hint="Run: apt-get update, then again."
            )
        _run(["dpkg-deb", "-x", packages[0].name, "unpacked"], folder)
        (folder / "unpacked" / "usr/share/wordnet").replace(target)
    return target


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExternalFailure(
            f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}",
            hint="Run it by hand to see more, or unpack WordNet yourself: --wordnet DIR",
        )


@dataclass(frozen=True)
class _Line:
    """One line of data.noun, its pointers as (symbol, offset)."""

    offset: int
    lexfile: int
    words: tuple[str, ...]
    pointers: tuple[tuple[str, int], ...]
    gloss: str


def read_data(path: Path) -> Iterator[_Line]:
    """The noun synsets of a `data.noun`; InvalidInput names the line that cannot be read."""
    with path.open(encoding="latin-1") as stream:
        for number, line in enumerate(stream, start=1):
            if line.startswith("  "):  # the licence
                continue
            try:
                yield _parse(line)
            except (ValueError, IndexError) as error:
                raise InvalidInput(
                    f"{path}: line {number} is not a line of WordNet: {error}."
                ) from error


def _parse(line: str) -> _Line:
    head, _, gloss = line.partition("|")
    field = head.split()
    n_words = int(field[3], 16)
    words = tuple(field[4 : 4 + 2 * n_words : 2])
    at = 4 + 2 * n_words
    n_pointers = int(field[at])
    pointers = tuple(
        (field[at + 1 + 4 * i], int(field[at + 2 + 4 * i]))
        for i in range(n_pointers)
        if field[at + 3 + 4 * i] == "n"
    )
    return _Line(int(field[0]), int(field[1]), words, pointers, gloss.strip())


def read_senses(path: Path) -> dict[str, list[int]]:
    """Offsets of a word's synsets, the most frequent first, by the word with underscores."""
    senses: dict[str, list[int]] = {}
    with path.open(encoding="latin-1") as stream:
        for line in stream:
            if line.startswith("  "):
                continue
            field = line.split()
            senses[field[0]] = [int(one) for one in field[-int(field[2]) :]]
    return senses


def read_exceptions(path: Path) -> list[tuple[str, str]]:
    """Irregular forms and their base forms, such as ('mice', 'mouse')."""
    pairs: list[tuple[str, str]] = []
    with path.open(encoding="latin-1") as stream:
        for line in stream:
            form, *bases = line.split()
            pairs.extend((form.replace("_", " "), base.replace("_", " ")) for base in bases)
    return pairs


def build_wordnet_file(wordnet: Path, target: Path, *, report: Report = silent) -> Path:
    """The prebuilt file, written whole under a passing name and then put in place.

    `wordnet` is the folder with `data.noun`. Raises InvalidInput for a WordNet that is not 3.0.
    """
    for name in NEEDED:
        if not (wordnet / name).is_file():
            raise MissingPart(
                f"{wordnet} has no file {name}.",
                hint="Name the folder `dict` of WordNet 3.0 with --wordnet DIR.",
            )
    report(Progress(what="Reading WordNet", n_done=0, n_total=N_NOUN_SYNSETS, unit="synsets"))
    lines = list(read_data(wordnet / "data.noun"))
    if len(lines) != N_NOUN_SYNSETS:
        raise InvalidInput(
            f"{wordnet} has {len(lines):,} noun synsets; WordNet 3.0 has {N_NOUN_SYNSETS:,}.",
            hint="ImageNet's ids are offsets of version 3.0; give that version.",
        )
    digest = hashlib.sha256((wordnet / "data.noun").read_bytes()).hexdigest()
    senses = read_senses(wordnet / "index.noun")
    synsets = _synsets(lines, senses)
    report(Progress(what="Reading WordNet", n_done=len(lines), n_total=len(lines), unit="synsets"))
    write_store(
        target,
        synsets,
        signature=f"WordNet 3.0 {digest[:16]}",
        exceptions=read_exceptions(wordnet / "noun.exc"),
    )
    return target


def _synsets(lines: list[_Line], senses: dict[str, list[int]]) -> list[NounSynset]:
    number = {line.offset: i for i, line in enumerate(lines)}
    parents, instances = [], []
    children_rows, parent_rows = [], []
    for i, line in enumerate(lines):
        up = [number[offset] for symbol, offset in line.pointers if symbol == "@"]
        parents.append(up)
        instances.append([number[offset] for symbol, offset in line.pointers if symbol == "@i"])
        children_rows.extend([i] * len(up))
        parent_rows.extend(up)
    # Heights follow `@` alone: with instances, 22 of ILSVRC2010's heights would be wrong.
    a, b = np.array(children_rows, dtype=np.int64), np.array(parent_rows, dtype=np.int64)
    height = hierarchy.heights(hierarchy.csr(len(lines), b, a), hierarchy.csr(len(lines), a, b))
    made = []
    for i, line in enumerate(lines):
        first = line.words[0].lower()
        sense = senses.get(first, [line.offset]).index(line.offset) + 1
        made.append(
            NounSynset(
                wnid=f"n{line.offset:08d}",
                words=tuple(word.replace("_", " ") for word in line.words),
                gloss=line.gloss,
                height=int(height[i]),
                sense=f"{first}.n.{sense:02d}",
                ranks=tuple(
                    senses.get(word.lower(), [line.offset]).index(line.offset) + 1
                    for word in line.words
                ),
                parents=tuple(parents[i]),
                instance_parents=tuple(instances[i]),
                meronyms=json.dumps(
                    [
                        [MERONYMS[symbol], f"n{offset:08d}"]
                        for symbol, offset in line.pointers
                        if symbol in MERONYMS
                    ]
                ),
            )
        )
    return made
