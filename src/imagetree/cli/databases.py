"""init, stats, check, log, replay, upgrade: a database as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from imagetree.cli.answer import Answer, facts, table
from imagetree.cli.options import DatabaseArgument, JsonOption
from imagetree.cli.wording import count, size
from imagetree.cli.working import shown

if TYPE_CHECKING:
    from imagetree.catalog.totals import Stats

app = typer.Typer()


@app.command(epilog="Example: imagetree init birds.imagetree")
def init(
    database: Annotated[Path, typer.Argument(metavar="DATABASE", help="The folder to make.")],
    tree: Annotated[
        Path | None,
        typer.Option(help="A tree of your own, CSV or JSON of id, words, gloss, parents."),
    ] = None,
    wordnet: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="WordNet 3.0's files, where they are not at their usual place."
        ),
    ] = "",
    no_wordnet: Annotated[
        bool, typer.Option("--no-wordnet", help="Use only the tree of your own.")
    ] = False,
    catalog: Annotated[
        str, typer.Option(metavar="URL", help="postgresql://... for a catalog on PostgreSQL.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Makes a new database."""
    import os

    from imagetree.database import Database

    if wordnet:
        os.environ["IMAGETREE_WORDNET"] = str(Path(wordnet).expanduser().resolve())
    answer = Answer(as_json=as_json)
    with answer.progress() as report:
        with Database.create(
            database, catalog=catalog, wordnet=not no_wordnet, tree=tree, report=report
        ) as db:
            n_synsets = len(db.taxonomy)
            folder = shown(db.folder)
    answer.give(
        {"database": str(db.folder), "n_synsets": n_synsets},
        f"{folder} is ready: a tree of {count(n_synsets, 'synset')}, no images yet.",
        next_step=f"imagetree collect {folder} photos/",
    )


@app.command(epilog="Example: imagetree stats birds.imagetree")
def stats(database: DatabaseArgument, as_json: JsonOption = False) -> None:
    """Tells how much the database holds."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = db.stats()
        folder = shown(db.folder)
    next_step = (
        f"imagetree tree {folder}" if found.n_images else f"imagetree collect {folder} photos/"
    )
    Answer(as_json=as_json).give(found, facts(_stats_rows(found)), next_step=next_step)


def _stats_rows(found: Stats) -> dict[str, str]:
    return {
        "Images": f"{count(found.n_images)} ({size(found.n_bytes)})",
        "Synsets with images": count(found.n_synsets),
        "Labels": f"{count(found.n_present)} present, {count(found.n_absent)} absent",
        "Candidates": f"{count(found.n_candidates)} not verified yet",
        "Boxes": count(found.n_boxes),
        "Near duplicates": count(found.n_near_duplicates),
        "Collections": f"{count(found.n_collections)}, {count(found.n_rejects)} items rejected",
        "Releases": count(found.n_releases),
        "Runs": count(found.n_runs),
        "Events": count(found.n_events),
    }


@app.command(epilog="Example: imagetree check birds.imagetree --repair")
def check(
    database: DatabaseArgument,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Verifies every stored byte, and repairs what can be."""
    from imagetree.core.errors import IntegrityFailure
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        with answer.progress() as report:
            found = db.check(repair=repair, report=report)
        folder = shown(db.folder)
    rows = table("what", "where", "reason", "mended")
    for one in found.findings:
        rows.add_row(one.code, Text(one.where), Text(one.reason), "yes" if one.repaired else "no")
    read = f"{count(found.n_images, 'image')} read, {size(found.n_bytes)}."
    parts: list[RenderableType] = [
        rows,
        f"{read} {count(len(found.findings), 'finding')}, {found.repaired} mended.",
    ]
    if not found.findings:
        parts = [f"{read} Every byte is as it was stored."]
    mend = not found.sound and not repair
    ahead = f"imagetree check {folder} --repair" if mend else f"imagetree stats {folder}"
    answer.give(found, *parts, next_step=ahead)
    if not found.sound:
        raise typer.Exit(IntegrityFailure.exit_code)


@app.command(epilog="Example: imagetree log birds.imagetree --last 50")
def log(
    database: DatabaseArgument,
    last: Annotated[int, typer.Option(min=1, help="How many events, the newest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Shows the log of all changes."""
    from imagetree.catalog.statements.event import read_events
    from imagetree.database import Database

    with Database.open(database) as db:
        with db.engine.connect() as connection:
            events = read_events(connection, limit=last)[::-1]
        folder = shown(db.folder)
    answer = Answer(as_json=as_json)
    if not events:
        first = f"imagetree collect {folder} photos/"
        answer.give(events, "Nothing was written yet.", next_step=first)
        return
    rows = table("number", "at, UTC", "who", "what", "summary", right=("number",))
    for one in events:
        at = one.at[:19].replace("T", " ")
        rows.add_row(str(one.event_id), at, Text(one.actor), one.kind, Text(one.summary))
    answer.give(events, rows, next_step=f"imagetree replay {folder}")


@app.command(epilog="Example: imagetree replay birds.imagetree")
def replay(database: DatabaseArgument, as_json: JsonOption = False) -> None:
    """Replays the log into an empty catalog and compares."""
    from imagetree.core.errors import IntegrityFailure
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        n_events = db.stats().n_events
        with answer.progress() as report:
            found = db.replay_check(report=report)
        folder = shown(db.folder)
    text = (
        "\n".join(["The replayed catalog differs:", *found])
        if found
        else f"{count(n_events, 'event')} replayed: the same rows as in the catalog."
    )
    answer.give(
        {"n_events": n_events, "differences": found},
        Text(text),
        next_step=f"imagetree check {folder}",
    )
    if found:
        raise typer.Exit(IntegrityFailure.exit_code)


@app.command(epilog="Example: imagetree upgrade birds.imagetree")
def upgrade(database: DatabaseArgument, as_json: JsonOption = False) -> None:
    """Brings an older database to this version."""
    from imagetree.catalog import migrations
    from imagetree.catalog.engine import open_engine
    from imagetree.core.settings import read_settings

    settings = read_settings(database)
    engine = open_engine(settings.catalog_url)
    try:
        before = migrations.revision(engine)
        migrations.upgrade(engine)
        after = migrations.revision(engine)
    finally:
        engine.dispose()
    text = (
        f"The catalog has the newest schema already ({after})."
        if before == after
        else f"The catalog went from schema {before or 'none'} to {after}."
    )
    answer = Answer(as_json=as_json)
    answer.give(
        {"before": before, "after": after},
        text,
        next_step=f"imagetree check {shown(settings.folder)}",
    )
