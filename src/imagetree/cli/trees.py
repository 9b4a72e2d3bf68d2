"""tree, search, synset, queries: the tree of synsets and the images on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from imagetree.cli.answer import Answer, facts, plain, table
from imagetree.cli.options import DatabaseArgument, JsonOption
from imagetree.cli.wording import count, shorten
from imagetree.cli.working import shown
from imagetree.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from imagetree.database import Database
    from imagetree.taxonomy.taxonomy import Synset, Taxonomy

app = typer.Typer()

GLOSS_CHARACTERS = 76
MAX_CHILDREN = 60

SynsetArgument = Annotated[
    str,
    typer.Argument(metavar="SYNSET", help="A wnid, a word or a sense: n02084071, dog, dog.n.01."),
]


def one_synset(taxonomy: Taxonomy, text: str, *, again: str) -> Synset:
    """The synset that a wnid, word or sense names.

    A word with several meanings takes the most frequent one only where it is the only one;
    else InvalidInput lists them. `again` is the command to give with a wnid instead.
    """
    if text in taxonomy:
        return taxonomy[text]
    found = taxonomy.lookup(text)
    if not found:
        raise NotFound(f"No synset is called {text!r}.", hint=f"Try: imagetree search DB {text!r}")
    if len(found) > 1:
        lines = [f"  {one.wnid}  {one.name}: {shorten(one.gloss, 60)}" for one in found[:10]]
        raise InvalidInput(
            f"{text!r} has {len(found)} meanings:\n" + "\n".join(lines),
            hint=f"Name one by its wnid: {again} {found[0].wnid}",
        )
    return found[0]


class ImagesBelow:
    """Images at and below every synset, verified or not yet: `below["n02084071"]`.

    An image with two labels below the same synset counts twice there; a synset with several
    parents counts once for each of its ancestors.
    """

    def __init__(self, db: Database) -> None:
        from imagetree.catalog.statements.synset import read_counts

        with db.engine.connect() as connection:
            counts = read_counts(connection)
        self._taxonomy = db.taxonomy
        amounts = {wnid: one.n_photos for wnid, one in counts.items() if wnid in self._taxonomy}
        self._sums = self._taxonomy.subtree_counts(amounts) if amounts else None

    def __getitem__(self, wnid: str) -> int:
        if self._sums is None:
            return 0
        return int(self._sums[self._taxonomy.number(wnid)])


@app.command(epilog="Example: imagetree tree birds.imagetree n02084071 --depth 2")
def tree(
    database: DatabaseArgument,
    synset: Annotated[
        str, typer.Argument(metavar="SYNSET", help="A wnid, word or sense; else the root.")
    ] = "",
    depth: Annotated[int, typer.Option(min=1, max=20, help="Levels below it.")] = 1,
    photos: Annotated[bool, typer.Option("--photos", help="Only synsets with images.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Shows a part of the tree with its images."""
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with answer.progress() as report:
        db = Database.open(database, report=report)
        taxonomy = db.taxonomy
    with db:
        folder = shown(db.folder)
        again = f"imagetree tree {folder}"
        wnid = one_synset(taxonomy, synset, again=again).wnid if synset else taxonomy.roots[0]
        branches = Branches(taxonomy, ImagesBelow(db), photos=photos)
        path = taxonomy.path(wnid)[:-1]
        drawn = Tree(branches.line(taxonomy[wnid], here=True), guide_style="dim")
        data = branches.grow(drawn, taxonomy[wnid], depth=depth)
        trail = Text(" > ".join(one.name for one in path), style="dim")
        deeper = branches.richest(taxonomy[wnid])
        ahead = f"{again} {deeper}" if deeper else f"imagetree synset {folder} {wnid}"
        answer.give(
            {"path": [one.wnid for one in path], **data},
            *([trail] if path else []),
            drawn,
            next_step=ahead,
        )


class Branches:
    """Draws synsets and what is below them, as text and as JSON."""

    def __init__(self, taxonomy: Taxonomy, images: ImagesBelow, *, photos: bool) -> None:
        self._taxonomy = taxonomy
        self._images = images
        self._photos = photos

    def below(self, one: Synset) -> list[Synset]:
        """Kinds and instances of a synset, those with most images first."""
        wnids = dict.fromkeys([*one.children, *one.instances])
        found = [self._taxonomy[wnid] for wnid in wnids if self._images[wnid] or not self._photos]
        return sorted(found, key=lambda child: (-self._images[child.wnid], child.name.lower()))

    def richest(self, one: Synset) -> str | None:
        """The child with most images, then with most synsets below; None for a leaf."""
        wnids = [child.wnid for child in self.below(one)]
        return max(
            wnids,
            key=lambda wnid: (self._images[wnid], self._taxonomy.n_below(wnid)),
            default=None,
        )

    def line(self, one: Synset, *, here: bool = False) -> Text:
        """A synset's line: name, wnid, synsets and images below."""
        n_images, n_below = self._images[one.wnid], self._taxonomy.n_below(one.wnid)
        line = Text(one.name, style="bold" if here else "" if n_images else "dim")
        line.append(f"  {one.wnid}", style="cyan dim")
        if n_below:
            line.append(f"  {count(n_below, 'synset')} below", style="dim")
        if n_images:
            line.append(f"  {count(n_images, 'image')}", style="green")
        if here:
            line.append(f"\n{shorten(one.gloss, GLOSS_CHARACTERS)}", style="italic")
        return line

    def grow(self, drawn: Tree, one: Synset, *, depth: int) -> dict[str, Any]:
        """Adds `depth` levels below a synset to the drawn tree; the same as JSON."""
        children = self.below(one)
        below: list[dict[str, Any]] = []
        for child in children if depth else []:
            branch = Tree("")
            if len(below) < MAX_CHILDREN:
                branch = drawn.add(self.line(child))
            below.append(self.grow(branch, child, depth=depth - 1))
        if depth and len(children) > MAX_CHILDREN:
            n_more = len(children) - MAX_CHILDREN
            drawn.add(Text(f"and {count(n_more)} more; --json has all", style="dim"))
        return {
            "wnid": one.wnid,
            "words": list(one.words),
            "gloss": one.gloss,
            "n_synsets_below": self._taxonomy.n_below(one.wnid),
            "n_images_below": self._images[one.wnid],
            "children": below if depth else [child.wnid for child in children],
        }


@app.command(epilog='Example: imagetree search birds.imagetree "hunting dog"')
def search(
    database: DatabaseArgument,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Words, a sense, a prefix, words of the gloss.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="How many synsets.")] = 15,
    as_json: JsonOption = False,
) -> None:
    """Finds synsets by word, sense, prefix or gloss."""
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with answer.progress() as report:
        db = Database.open(database, report=report)
        taxonomy = db.taxonomy
    with db:
        found = [hit.synset for hit in taxonomy.search(text, limit=limit)]
        images = ImagesBelow(db)
        folder = shown(db.folder)
    rows = table("wnid", "words", "gloss", "images", right=("images",))
    for one in found:
        n_images = images[one.wnid]
        words = Text(shorten(", ".join(one.words), 40), style="bold" if n_images else "")
        gloss = Text(shorten(one.gloss, GLOSS_CHARACTERS))
        rows.add_row(one.wnid, words, gloss, count(n_images) if n_images else "")
    data = [_as_data(one) | {"n_images_below": images[one.wnid]} for one in found]
    if found:
        answer.give(data, rows, next_step=f"imagetree tree {folder} {found[0].wnid}")
    else:
        answer.give(
            data, Text(f"No synset matches {text!r}."), next_step=f"imagetree tree {folder}"
        )


def _as_data(one: Synset) -> dict[str, Any]:
    return {
        "wnid": one.wnid,
        "words": list(one.words),
        "gloss": one.gloss,
        "height": one.height,
        "parents": list(one.parents),
        "children": list(one.children),
    }


@app.command(epilog="Example: imagetree synset people.imagetree n10332385 --safety safe")
def synset(
    database: DatabaseArgument,
    synset: SynsetArgument,
    safety: Annotated[
        str | None,
        typer.Option(metavar="DECISION", help="A curator's decision: safe, unsafe or unreviewed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Shows one synset, or decides on its safety."""
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        folder = shown(db.folder)
        one = one_synset(db.taxonomy, synset, again=f"imagetree synset {folder}")
        if safety is not None:
            db.decide(one.wnid, safety=safety)
        row = _catalogued(db, one.wnid)
        n_below = ImagesBelow(db)[one.wnid]
        path = " > ".join(above.name for above in db.taxonomy.path(one.wnid))
    data = _as_data(one) | row | {"n_images_below": n_below}
    rows = {
        "Words": ", ".join(one.words),
        "Wnid": one.wnid,
        "Gloss": one.gloss,
        "Path": path,
        "Height": str(one.height),
        "Images": f"{count(row['n_present'])} here, {count(n_below)} here and below",
        "Candidates": f"{count(row['n_candidates'])} not verified yet",
        "Safety": row["safety"],
    }
    answer.give(data, facts(rows), next_step=f"imagetree queries {folder} {one.wnid}")


def _catalogued(db: Database, wnid: str) -> dict[str, Any]:
    """What the catalog knows of a synset: counts and safety."""
    from imagetree.catalog.statements.synset import SynsetCount, read_counts, read_safety

    with db.engine.connect() as connection:
        counts = read_counts(connection, [wnid]).get(wnid, SynsetCount(wnid=wnid))
        safety = read_safety(connection, wnid)
    return {**plain(counts), "safety": safety}


@app.command(epilog="Example: imagetree queries birds.imagetree n02091134")
def queries(
    database: DatabaseArgument,
    synset: SynsetArgument,
    wordnets: Annotated[
        Path | None,
        typer.Option(help="Folder of an Open Multilingual WordNet, for translations."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists search queries that find images of a synset.

    Synonyms, and words of its parents that stand in its gloss beside them, as ImageNet was
    built: "whippet dog", "whippet greyhound".
    """
    from imagetree.database import Database

    with Database.open(database) as db:
        folder = shown(db.folder)
        one = one_synset(db.taxonomy, synset, again=f"imagetree queries {folder}")
        found = db.taxonomy.queries(one.wnid, multilingual=wordnets)
    ahead = f"imagetree collect {folder} urls.txt --layout urls --wnid {one.wnid}"
    Answer(as_json=as_json).give(found, *(Text(str(query)) for query in found), next_step=ahead)
