"""train, evaluate, figure, predict, runs: networks on releases, and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from imagetree.cli.answer import Answer, plain, table
from imagetree.cli.options import DatabaseArgument, JsonOption, WaitOption, recipe_values
from imagetree.cli.wording import count, duration, share
from imagetree.cli.working import run_job, shown

app = typer.Typer()

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="See imagetree runs.")]


@app.command(epilog="Example: imagetree train birds.imagetree v1 alexnet --set epochs=20")
def train(
    database: DatabaseArgument,
    release: Annotated[str, typer.Argument(help="The release to train on.")],
    network: Annotated[str, typer.Argument(help="alexnet or lenet5.")] = "alexnet",
    name: Annotated[
        str | None, typer.Option(help="The run's name; a run that was interrupted goes on.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and crops.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the recipe; repeatable."),
    ] = None,
    packed: Annotated[
        bool, typer.Option("--packed", help="Train on the packed copy: imagetree release pack.")
    ] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Trains a network on a release.

    Without settings the network's own recipe for the images' size is used. A run that was
    interrupted goes on from its last checkpoint when the command is given again.
    """
    from imagetree.database import Database
    from imagetree.workflows import training

    answer = Answer(as_json=as_json)
    recipe: dict[str, Any] = dict(recipe_values(settings or []))
    if packed:
        recipe["reads"] = "packed"
    with Database.open(database) as db:
        params = training.plan(db.context, release, network, name=name, seed=seed, recipe=recipe)
        answer.note(f"Run {params['name']}: {network} on {release}.")
        run_job(db, answer, "train", params, wait=wait)
        run = db.run(params["name"])
        ahead = f"imagetree evaluate {shown(db.folder)} {release} {run.name} --split test"
        answer.give(
            run, Text(f"Run {run.name} is trained. {_summary(plain(run))}"), next_step=ahead
        )


def _summary(run: dict[str, Any]) -> str:
    parts = []
    if run.get("n_parameters"):
        parts.append(count(run["n_parameters"], "parameter"))
    if run.get("seconds"):
        parts.append(duration(run["seconds"]))
    return ", ".join(parts) + "." if parts else ""


@app.command(epilog="Example: imagetree evaluate birds.imagetree v1 RUN --split test")
def evaluate(
    database: DatabaseArgument,
    release: Annotated[str, typer.Argument(help="The release that the run was trained on.")],
    run: RunArgument,
    split: Annotated[str, typer.Option(help="The split to measure on.")] = "test",
    views: Annotated[int, typer.Option(help="1 for the centre crop, 10 for crops and flips.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measures a run's top-1 and top-5 error on a split."""
    from imagetree.core.errors import InvalidInput
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    with Database.open(database) as db:
        trained_on = db.run(run).release
        if trained_on != release:
            raise InvalidInput(
                f"Run {run} was trained on release {trained_on}, not on {release}.",
                hint=f"imagetree evaluate {shown(db.folder)} {trained_on} {run} --split {split}",
            )
        with answer.progress() as report:
            found = db.evaluate(run, split=split, views=views, report=report)
        answer.give(found, Text(str(found)), next_step=f"imagetree figure {shown(db.folder)} {run}")


@app.command(epilog="Example: imagetree figure birds.imagetree RUN")
def figure(
    database: DatabaseArgument,
    run: RunArgument,
    split: Annotated[str, typer.Option(help="The split to take the images from.")] = "test",
    seed: Annotated[int, typer.Option(help="Decides which eight images.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Draws test images with their five most probable labels."""
    from imagetree.database import Database

    with Database.open(database) as db:
        path = db.figure(run, split=split, seed=seed)
        folder = shown(db.folder)
    Answer(as_json=as_json).give(
        {"run": run, "split": split, "figure": str(path)},
        Text(f"The picture is {shown(path)}."),
        next_step=f"imagetree web {folder}",
    )


@app.command(epilog="Example: imagetree predict birds.imagetree RUN photo.jpg")
def predict(
    database: DatabaseArgument,
    run: RunArgument,
    photos: Annotated[list[Path], typer.Argument(help="Image files.")],
    as_json: JsonOption = False,
) -> None:
    """Names the five most probable synsets of photos."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = db.predict(run, photos)
        folder = shown(db.folder)
    rows = table("photo", "synset", "wnid", "probability", right=("probability",))
    for path, guesses in zip(photos, found, strict=True):
        _add_guesses(rows, path, guesses)
    data = [{"photo": str(path), "guesses": one} for path, one in zip(photos, found, strict=True)]
    Answer(as_json=as_json).give(data, rows, next_step=f"imagetree figure {folder} {run}")


def _add_guesses(rows: Any, path: Path, guesses: Any) -> None:
    for rank, guess in enumerate(guesses):
        name = Text(guess.name, style="bold" if rank == 0 else "")
        rows.add_row(
            Text(str(path) if rank == 0 else ""), name, guess.wnid, share(guess.probability)
        )


@app.command(epilog="Example: imagetree runs birds.imagetree")
def runs(database: DatabaseArgument, as_json: JsonOption = False) -> None:
    """Lists runs and their scores."""
    from imagetree.database import Database

    with Database.open(database) as db:
        found = [plain(run) for run in db.runs()]
        scores = _scores(db, [run["name"] for run in found])
        folder = shown(db.folder)
    rows = table("run", "release", "network", "state", "top-1 error", "interval", "on", "time",
                 right=("top-1 error", "time"))  # fmt: skip
    for run in found:
        run["scores"] = scores.get(run["name"], [])
        top1 = [one for one in run["scores"] if one["metric"] == "top1_error"]
        last = top1[-1] if top1 else None
        rows.add_row(
            Text(run["name"]),
            Text(run["release"]),
            run["network"],
            run["state"],
            share(last["value"]) if last else "",
            f"{share(last['low'])} to {share(last['high'])}" if last else "",
            f"{last['split']}, {count(last['n_images'], 'image')}" if last else "",
            duration(run["seconds"]) if run.get("seconds") else "",
        )
    answer = Answer(as_json=as_json)
    if found:
        answer.give(found, rows, next_step=f"imagetree web {folder}")
    else:
        answer.give(found, "No runs yet.", next_step=f"imagetree train {folder} v1 alexnet")


def _scores(db: Any, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The scores of runs, oldest first."""
    from imagetree.catalog.statements.run import read_scores

    by_run: dict[str, list[dict[str, Any]]] = {}
    with db.engine.connect() as connection:
        for score in reversed(read_scores(connection, names)):
            by_run.setdefault(score.run, []).append(plain(score))
    return by_run
