"""Class names of a source, resolved to synsets; what is ambiguous is asked, never guessed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagetree.core.errors import InvalidInput
from imagetree.taxonomy.taxonomy import Synset, Taxonomy

COLUMNS = ("name", "wnid", "words", "gloss", "note")


@dataclass(frozen=True, kw_only=True)
class ClassNames:
    """What each class name may mean: one synset when settled, several or none when not."""

    meanings: Mapping[str, tuple[Synset, ...]]

    @property
    def settled(self) -> dict[str, str]:
        """The wnid of every name that has exactly one meaning."""
        return {name: found[0].wnid for name, found in self.meanings.items() if len(found) == 1}

    @property
    def open(self) -> list[str]:
        """The names that somebody has to decide about."""
        return [name for name, found in self.meanings.items() if len(found) != 1]


def resolve(
    names: Iterable[str], taxonomy: Taxonomy, *, chosen: Mapping[str, str] | None = None
) -> ClassNames:
    """The meanings of class names: a wnid, a sense (`dog.n.01`), or a word with its senses.

    `chosen` (name -> wnid, from a classes file) goes first.
    """
    meanings: dict[str, tuple[Synset, ...]] = {}
    for name in sorted(names):
        wnid = (chosen or {}).get(name)
        meanings[name] = (taxonomy[wnid],) if wnid else tuple(taxonomy.lookup(name))
    return ClassNames(meanings=meanings)


def read_classes(path: Path, taxonomy: Taxonomy) -> dict[str, str]:
    """name -> wnid from a classes file, the edited `classes.csv` or one of one's own.

    Needs the columns `name` and `wnid`. A name may stand once; every error names its line.
    """
    chosen: dict[str, str] = {}
    lines: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = {"name", "wnid"} - set(reader.fieldnames or ())
            if missing:
                raise InvalidInput(
                    f"{path}: line 1 has no column {' and '.join(sorted(missing))}.",
                    hint="The first line must name the columns: name,wnid",
                )
            for row in reader:
                name, wnid = (row["name"] or "").strip(), (row["wnid"] or "").strip()
                if not name or not wnid:
                    continue
                if name in chosen and chosen[name] != wnid:
                    raise InvalidInput(
                        f"{path}: lines {lines[name]} and {reader.line_num} give {name!r} "
                        "two synsets.",
                        hint="Keep the line that is meant and delete the other.",
                    )
                if wnid not in taxonomy:
                    raise InvalidInput(
                        f"{path}: line {reader.line_num}: there is no synset {wnid!r}.",
                        hint="Look it up with: imagetree search DATABASE WORD",
                    )
                chosen[name] = wnid
                lines[name] = reader.line_num
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read as CSV: {error}.") from error
    return chosen


def write_classes(path: Path, names: ClassNames, taxonomy: Taxonomy) -> None:
    """Writes every possible meaning as a row, for somebody to delete the wrong ones."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for name, found in names.meanings.items():
            if not found:
                hits = [hit.synset for hit in taxonomy.search(name, limit=3)]
                similar = ", ".join(f"{one.wnid} {one.name}" for one in hits)
                note = f"no such word; similar: {similar}" if similar else "no such word"
                writer.writerow([name, "", "", "", note])
            for number, one in enumerate(found, start=1):
                note = f"sense {number} of {len(found)}: keep one" if len(found) > 1 else ""
                writer.writerow([name, one.wnid, ", ".join(one.words), one.gloss, note])
    part.replace(path)


def refuse_open(names: ClassNames, path: Path, taxonomy: Taxonomy) -> None:
    """Raises InvalidInput when a name is not settled, with the candidates and what to do."""
    if not names.open:
        return
    write_classes(path, names, taxonomy)
    lines = []
    for name in names.open[:20]:
        found = names.meanings[name]
        if not found:
            lines.append(f"  {name}: no synset has this word")
        else:
            lines.append(f"  {name}: {len(found)} synsets")
            lines.extend(f"      {one.wnid}  {one.name}: {one.gloss}" for one in found[:8])
    if len(names.open) > 20:
        lines.append(f"  and {len(names.open) - 20} more names")
    raise InvalidInput(
        f"{len(names.open)} of {len(names.meanings)} class names do not name one synset:\n"
        + "\n".join(lines),
        hint=f"\nKeep one row a name in {path}, then go on with --classes {path}",
    )
