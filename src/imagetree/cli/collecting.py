"""collect, undo, collections, rejects: how images come in, and how they go again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from imagetree.cli.answer import Answer, table
from imagetree.cli.options import DatabaseArgument, JsonOption, WaitOption
from imagetree.cli.wording import count
from imagetree.cli.working import run_job, shown

app = typer.Typer()

LAYOUTS = "imagefolder, flat, tar, zip, urls, ilsvrc-train, ilsvrc-val, digits or samples"


@app.command(epilog="Example: imagetree collect birds.imagetree photos/ --layout imagefolder")
def collect(
    database: DatabaseArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Folder, archive or list; not needed for digits and samples."
        ),
    ] = "",
    layout: Annotated[
        str | None, typer.Option(help=f"How the source is laid out: {LAYOUTS}. Else guessed.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="CSV of name,wnid: which synset each class name means.")
    ] = None,
    wnid: Annotated[
        str | None, typer.Option(help="For a source without labels: the synset proposed for all.")
    ] = None,
    as_candidates: Annotated[
        bool, typer.Option("--as-candidates", help="Let the source's labels wait for votes.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="For a flat folder: CSV of file,wnid.")] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(help="For validation images: the file of their labels.")
    ] = None,
    licence: Annotated[str, typer.Option(help="The images' licence, kept with each.")] = "",
    author: Annotated[str, typer.Option(help="The images' author, kept with each.")] = "",
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Let URLs lead to private addresses.")
    ] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stores images from a folder, archive or list of URLs."""
    from imagetree.database import Database
    from imagetree.workflows.collect import CollectResult

    answer = Answer(as_json=as_json)
    with answer.progress() as report:
        db = Database.open(database, report=report)
        params = db.collect_params(
            source,
            layout=layout,
            classes=classes,
            as_candidates=as_candidates,
            wnid=wnid,
            csv=csv,
            ground_truth=ground_truth,
            licence=licence,
            author=author,
            allow_private=allow_private,
        )
    with db:
        result = CollectResult(**run_job(db, answer, "collect", params, wait=wait))
        answer.give(result, Text(str(result)), next_step=_after_collect(shown(db.folder), result))


def _after_collect(folder: str, result: Any) -> str:
    if result.n_rejected:
        return f"imagetree rejects {folder} {result.collection_id}"
    return f"imagetree tree {folder}"


@app.command(epilog="Example: imagetree undo birds.imagetree 3")
def undo(
    database: DatabaseArgument,
    collection: Annotated[int, typer.Argument(metavar="NUMBER", help="The collection's number.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also a collection that was left unfinished.")
    ] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Takes a collection back.

    Images that a release, a vote or another collection stands on are kept.
    """
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        params = {"collection_id": collection, "force": force}
        done = run_job(db, answer, "undo", params, wait=wait)
        text = f"Collection {collection} is undone: {count(done['n_removed'], 'image')} removed"
        if done["n_kept"]:
            text += f", {count(done['n_kept'])} kept because others need them"
        answer.give(done, text + ".", next_step=f"imagetree collections {shown(db.folder)}")


@app.command(epilog="Example: imagetree collections birds.imagetree")
def collections(database: DatabaseArgument, as_json: JsonOption = False) -> None:
    """Lists what was collected, and when."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = db.collections()
        folder = shown(db.folder)
    numbers = ("number", "stored", "known", "rejected")
    rows = table(
        "number", "kind", "state", "stored", "known", "rejected", "at", "from", right=numbers
    )
    for one in found:
        rows.add_row(
            str(one["collection_id"]),
            one["kind"],
            one["state"],
            count(one["n_stored"]),
            count(one["n_known"]),
            count(one["n_rejected"]),
            one["started_at"][:16].replace("T", " "),
            Text(one["location"]),
        )
    answer = Answer(as_json=as_json)
    if found:
        answer.give(found, rows, next_step=f"imagetree rejects {folder}")
    else:
        answer.give(
            found, "Nothing collected yet.", next_step=f"imagetree collect {folder} photos/"
        )


@app.command(epilog="Example: imagetree rejects birds.imagetree 3")
def rejects(
    database: DatabaseArgument,
    collection: Annotated[
        int | None, typer.Argument(metavar="NUMBER", help="Only this collection's, by its number.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists what was refused, and why."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = db.rejects(collection)
        folder = shown(db.folder)
    rows = table("collection", "code", "file", "reason", right=("collection",))
    for one in found:
        rows.add_row(
            str(one["collection_id"]), one["code"], Text(one["location"]), Text(one["reason"])
        )
    answer = Answer(as_json=as_json)
    if found:
        answer.give(
            found,
            rows,
            f"{count(len(found), 'item')} rejected; the rest is stored.",
            next_step=f"imagetree stats {folder}",
        )
    else:
        answer.give(found, "Nothing was rejected.", next_step=f"imagetree stats {folder}")
