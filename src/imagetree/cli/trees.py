"""tree, search, synset, queries: the tree of synsets and the images on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from imagetree.cli.answer import Answer, facts, table
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


def counts_below(db: Database) -> Counter[str]:
    """Verified images at or below each synset that has any, by wnid.

    An image with two labels below the same synset counts twice there; a synset with several
    parents counts once for each of its ancestors.
    """
    import sqlalchemy as sa

    from imagetree.catalog import schema

    column = schema.synset_count.c
    totals: Counter[str] = Counter()
    with db.engine.connect() as connection:
        rows = connection.execute(
            sa.select(column.wnid, column.n_present).where(column.n_present > 0)
        ).all()
    for row in rows:
        if row.wnid in db.taxonomy:
            for wnid in {row.wnid, *(one.wnid for one in db.taxonomy.ancestors(row.wnid))}:
                totals[wnid] += row.n_present
    return totals


@app.command(epilog="Example: imagetree tree birds.imagetree n02084071 --depth 2")
def tree(
    database: DatabaseArgument,
    synset: Annotated[
        str, typer.Argument(metavar="[SYNSET]", help="A wnid, word or sense; else the root.")
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
        here = one_synset(taxonomy, synset, again=again) if synset else taxonomy.roots[0]
        totals = counts_below(db)
        path = [one for one in taxonomy.path(here.wnid) if one.wnid != here.wnid]
        drawn = Tree(_line(here, totals, here=True), guide_style="dim")
        data = _grow(drawn, here, totals, depth=depth, photos=photos)
        trail = Text(" > ".join(one.name for one in path), style="dim")
        deeper = max(here.children, key=lambda one: totals[one.wnid], default=None)
        ahead = f"{again} {deeper.wnid}" if deeper else f"imagetree synset {folder} {here.wnid}"
        answer.give(
            {"path": [one.wnid for one in path], **data},
            *([trail] if path else []),
            drawn,
            next_step=ahead,
        )


def _line(one: Synset, totals: Counter[str], *, here: bool = False) -> Text:
    n_images = totals[one.wnid]
    line = Text(one.name, style="bold" if here else "" if n_images else "dim")
    line.append(f"  {one.wnid}", style="cyan dim")
    n_below = one.n_descendants
    if n_below:
        line.append(f"  {count(n_below, 'synset')} below", style="dim")
    if n_images:
        line.append(f"  {count(n_images, 'image')}", style="green")
    if here:
        line.append(f"\n{shorten(one.gloss, GLOSS_CHARACTERS)}", style="italic")
    return line


def _grow(
    drawn: Tree, one: Synset, totals: Counter[str], *, depth: int, photos: bool
) -> dict[str, Any]:
    """Adds `depth` levels below a synset to the drawn tree; the same as JSON."""
    children = [child for child in one.children if totals[child.wnid] or not photos]
    # Those with images first; they are what the database is about.
    children.sort(key=lambda child: (-totals[child.wnid], child.name.lower()))
    below: list[dict[str, Any]] = []
    for child in children if depth else []:
        if len(below) < MAX_CHILDREN:
            branch = drawn.add(_line(child, totals))
        below.append(_grow(branch, child, totals, depth=depth - 1, photos=photos))
    if depth and len(children) > MAX_CHILDREN:
        drawn.add(Text(f"and {count(len(children) - MAX_CHILDREN)} more; --json has all", "dim"))
    return {
        "wnid": one.wnid,
        "words": list(one.words),
        "gloss": one.gloss,
        "n_synsets_below": one.n_descendants,
        "n_images_below": totals[one.wnid],
        "children": below if depth else [child.wnid for child in children],
    }


@app.command(epilog='Example: imagetree search birds.imagetree "hunting dog"')
def search(
    database: DatabaseArgument,
    text: Annotated[str, typer.Argument(help="Words, a sense, a prefix, words of the gloss.")],
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
        found = taxonomy.search(text, limit=limit)
        totals = counts_below(db) if found else Counter()
        folder = shown(db.folder)
    rows = table("wnid", "words", "gloss", "images", right=("images",))
    for one in found:
        n_images = totals[one.wnid]
        words = Text(shorten(", ".join(one.words), 40), style="bold" if n_images else "")
        gloss = Text(shorten(one.gloss, GLOSS_CHARACTERS))
        rows.add_row(one.wnid, words, gloss, count(n_images) if n_images else "")
    data = [_as_data(one) | {"n_images_below": totals[one.wnid]} for one in found]
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
        "parents": [parent.wnid for parent in one.parents],
        "children": [child.wnid for child in one.children],
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
        n_below = counts_below(db)[one.wnid]
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
        "Safety": row["safety"] + (f" (by {row['safety_by']})" if row["safety_by"] else ""),
    }
    answer.give(data, facts(rows), next_step=f"imagetree queries {folder} {one.wnid}")


def _catalogued(db: Database, wnid: str) -> dict[str, Any]:
    """What the catalog knows of a synset: counts and safety."""
    import sqlalchemy as sa

    from imagetree.catalog import schema

    with db.engine.connect() as connection:
        counts = connection.execute(
            sa.select(schema.synset_count).where(schema.synset_count.c.wnid == wnid)
        ).first()
        kept = connection.execute(
            sa.select(schema.synset.c.safety, schema.synset.c.safety_by).where(
                schema.synset.c.wnid == wnid
            )
        ).first()
    return {
        "n_present": counts.n_present if counts else 0,
        "n_absent": counts.n_absent if counts else 0,
        "n_candidates": counts.n_candidates if counts else 0,
        "safety": kept.safety if kept else "unreviewed",
        "safety_by": kept.safety_by if kept else "",
    }


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
