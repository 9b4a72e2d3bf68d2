"""release create, list, show, verify, diff, pack: frozen states that others can cite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from imagetree.cli.answer import Answer, facts, plain, table
from imagetree.cli.options import DatabaseArgument, JsonOption, WaitOption, split_shares
from imagetree.cli.wording import count, size
from imagetree.cli.working import run_job, shown

app = typer.Typer(
    no_args_is_help=True, help="Creates, lists, shows, verifies, compares and packs releases."
)

NameArgument = Annotated[str, typer.Argument(help="The release's name, such as v1.")]


@app.command(
    epilog="Example: imagetree release create birds.imagetree v1 --split train=0.7,test=0.3"
)
def create(
    database: DatabaseArgument,
    name: NameArgument,
    split: Annotated[str, typer.Option(help="Shares of the splits.")] = "train=0.7,test=0.3",
    seed: Annotated[int, typer.Option(help="Decides which image goes where.")] = 0,
    wnid: Annotated[
        list[str] | None, typer.Option(help="Only this synset; may be given several times.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Freezes the labelled images under a name, with splits.

    Near duplicates stay together in one split. The same content gives the same id; a name that
    exists with other content is refused.
    """
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    shares = split_shares(split)
    with Database.open(database) as db:
        with answer.progress() as report:
            made = db.release(name, split=shares, seed=seed, wnids=wnid or None, report=report)
        folder = shown(db.folder)
        row = _row(db, name)
    answer.give(
        row | {"name": made.name},
        f"Release {name} is frozen.",
        facts(_rows(row)),
        next_step=f"imagetree train {folder} {name} alexnet",
    )


@app.command("list", epilog="Example: imagetree release list birds.imagetree")
def list_(database: DatabaseArgument, as_json: JsonOption = False) -> None:
    """Lists the releases, oldest first."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = [one | {"packed": plain(db.packed_copies(one["name"]))} for one in db.releases()]
        folder = shown(db.folder)
    answer = Answer(as_json=as_json)
    if not found:
        first = f"imagetree release create {folder} v1 --split train=0.7,test=0.3"
        answer.give(found, "No releases yet.", next_step=first)
        return
    rows = table(
        "name",
        "images",
        "classes",
        "splits",
        "seed",
        "at",
        "id",
        "packed",
        right=("images", "classes"),
    )
    for one in found:
        rows.add_row(
            Text(one["name"]),
            count(one["n_images"]),
            count(one["n_classes"]),
            Text(_splits(one["splits"])),
            str(one["seed"]),
            one["created_at"][:16].replace("T", " "),
            one["release_id"][:12],
            _copies(one["packed"]),
        )
    answer.give(found, rows, next_step=f"imagetree release show {folder} {found[-1]['name']}")


@app.command(epilog="Example: imagetree release show birds.imagetree v1")
def show(database: DatabaseArgument, name: NameArgument, as_json: JsonOption = False) -> None:
    """Shows one release: its id, splits and classes."""
    from imagetree.database import Database

    with Database.open(database) as db:
        db.release(name)  # NotFound, with its hint, where there is none
        row = _row(db, name)
        folder = shown(db.folder)
    Answer(as_json=as_json).give(
        row, facts(_rows(row)), next_step=f"imagetree release verify {folder} {name}"
    )


@app.command(epilog="Example: imagetree release verify birds.imagetree v1")
def verify(database: DatabaseArgument, name: NameArgument, as_json: JsonOption = False) -> None:
    """Verifies that a release is what its id says, to the last byte."""
    from imagetree.core.errors import IntegrityFailure
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        with answer.progress() as report:
            found = db.verify_release(name, report=report)
        folder = shown(db.folder)
    problems = _problems(found)
    text = (
        "\n".join([f"Release {name} does not hold:", *problems])
        if problems
        else f"Release {name} holds: manifest, rows and every image are as they were frozen."
    )
    ahead = f"imagetree check {folder}" if problems else f"imagetree train {folder} {name} alexnet"
    answer.give(
        {"name": name, "holds": not problems, "problems": problems}, Text(text), next_step=ahead
    )
    if problems:
        raise typer.Exit(IntegrityFailure.exit_code)


@app.command(epilog="Example: imagetree release diff birds.imagetree v1 v2")
def diff(
    database: DatabaseArgument,
    one: Annotated[str, typer.Argument(help="The earlier release.")],
    other: Annotated[str, typer.Argument(help="The later release.")],
    as_json: JsonOption = False,
) -> None:
    """Compares two releases: images and labels added, removed and moved."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = db.diff_releases(one, other)
        folder = shown(db.folder)
    data = plain(found)
    lines = {
        str(key).replace("_", " "): _figure(value)
        for key, value in (
            data.items() if isinstance(data, dict) else {"differences": data}.items()
        )
    }
    Answer(as_json=as_json).give(
        data, facts(lines), next_step=f"imagetree release show {folder} {other}"
    )


@app.command(
    epilog="Example: imagetree release pack birds.imagetree v1 --max-side 400 --quality 90"
)
def pack(
    database: DatabaseArgument,
    name: NameArgument,
    max_side: Annotated[int, typer.Option(help="Pixels of the longer side at most.")] = 400,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 95.")] = 90,
    split: Annotated[
        list[str] | None,
        typer.Option(help="A split to pack; repeatable. Otherwise all but those for testing."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete the packed copy of this size and quality.")
    ] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Packs smaller copies of a release's images for faster training.

    The copy lies beside the release, in tar shards that WebDataset reads too; the release and its
    originals stay as they are. Packing that was interrupted goes on when the command is given
    again.
    """
    from imagetree.database import Database
    from imagetree.workflows import packing

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        folder = shown(db.folder)
        if remove:
            freed = db.remove_packed(name, max_side=max_side, quality=quality)
            answer.give(
                {"release": name, "max_side_px": max_side, "quality": quality, "n_bytes": freed},
                f"The packed copy is deleted, {size(freed)} are free.",
                next_step=f"imagetree release show {folder} {name}",
            )
            return
        params = packing.plan(db.context, name, max_side_px=max_side, quality=quality, splits=split)
        done = run_job(db, answer, "pack", params, wait=wait)
        made = next(one for one in db.packed_copies(name) if one.name == done["name"])
    data = plain(made)
    head = "is packed" if done["made"] else "was packed already"
    answer.give(
        data | {"made": done["made"]},
        f"Release {name} {head}.",
        facts(_copy_rows(data)),
        next_step=f"imagetree train {folder} {name} alexnet --packed",
    )


def _copy_rows(copy: Mapping[str, Any]) -> dict[str, str]:
    splits = ", ".join(f"{name} {count(n)}" for name, n in copy["splits"].items())
    rows = {
        "Copy": copy["name"],
        "Images": f"{count(copy['n_images'])} ({splits})",
        "As they were": f"{count(copy['n_kept'])}, small enough already",
        "Size": size(copy["n_bytes"]),
    }
    if copy["rejects"]:
        first = [f"{sha256[:16]}: {reason}" for sha256, _, reason in copy["rejects"][:10]]
        more = len(copy["rejects"]) - len(first)
        rows["Left out"] = "\n".join([*first, *([f"and {count(more)} more"] if more else [])])
    return rows


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, list | dict):
        return count(len(value))
    return str(value)


def _problems(found: Any) -> list[str]:
    """What a verification found, a line each."""
    if hasattr(found, "problems"):
        found = found.problems
    return [str(one) for one in found or ()]


def _row(db: Any, name: str) -> dict[str, Any]:
    """The catalog's row of a release, with the images of each split counted."""
    from imagetree.catalog.statements.release import count_splits

    row: dict[str, Any] = next(one for one in db.releases() if one["name"] == name)
    with db.engine.connect() as connection:
        row["n_images_by_split"] = count_splits(connection, name)
    return row | {"packed": plain(db.packed_copies(name))}


def _rows(row: Mapping[str, Any]) -> dict[str, str]:
    counts = ", ".join(f"{name} {count(n)}" for name, n in row["n_images_by_split"].items())
    return {
        "Name": row["name"],
        "Id": row["release_id"],
        "Images": f"{count(row['n_images'])} ({counts})",
        "Classes": count(row["n_classes"]),
        "Splits": _splits(row["splits"]),
        "Seed": str(row["seed"]),
        "Frozen": row["created_at"][:16].replace("T", " ") + " UTC",
        "Packed": _copies(row["packed"]) or "no",
    }


def _copies(copies: list[dict[str, Any]]) -> str:
    """Packed copies in one line, each with its size."""
    return ", ".join(f"{one['name']} ({size(one['n_bytes'])})" for one in copies)


def _splits(splits: Any) -> str:
    if isinstance(splits, Mapping):
        return ", ".join(f"{name} {value}" for name, value in splits.items())
    return ", ".join(map(str, splits))
