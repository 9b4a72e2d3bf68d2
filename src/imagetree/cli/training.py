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
from imagetree.core.errors import InvalidInput, NotFound

app = typer.Typer()

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="See imagetree runs.")]


@app.command(epilog="Example: imagetree train birds.imagetree v1 alexnet --set epochs=20")
def train(
    database: DatabaseArgument,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="The release to train on.")],
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="NETWORK", help="alexnet (unless a recipe says otherwise) or lenet5."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The run's name; a run that was interrupted goes on.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and crops.")] = 0,
    recipe: Annotated[
        Path | None, typer.Option(help="A file of network and settings, as in recipes/.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the recipe; repeatable."),
    ] = None,
    evaluate: Annotated[
        str, typer.Option(metavar="SPLIT", help="Measure the trained run on this split.")
    ] = "",
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Trains a network on a release.

    Without settings the network's own recipe for the images' size is used. A run that was
    interrupted goes on from its last checkpoint when the command is given again. The split test
    is never looked at; where the release has no split val, a part of each class is held out of
    train to be watched (--set validation=0.1).
    """
    from imagetree.database import Database
    from imagetree.workflows import planning

    answer = Answer(as_json=as_json)
    network, given = _asked_for(network, recipe, settings or [])
    with Database.open(database) as db:
        splits = db.release(release).splits
        if evaluate and not splits.get(evaluate):
            raise NotFound(
                f"Release {release} has no split {evaluate!r} to measure on.",
                hint=f"It has: {', '.join(splits)}.",
            )
        params = planning.plan(db.context, release, network, name=name, seed=seed, recipe=given)
        answer.note(_told(params))
        run_job(db, answer, "train", params, wait=wait)
        run = db.run(params["name"])
        text = f"Run {run.name} is trained. {_summary(plain(run))}"
        folder = shown(db.folder)
        ahead = f"imagetree evaluate {folder} {release} {run.name} --split test"
        if evaluate:
            with answer.progress() as report:
                text += f"\n{db.evaluate(run.name, split=evaluate, report=report)}"
            run = db.run(run.name)  # with its scores
            ahead = f"imagetree figure {folder} {run.name}"
        answer.give(run, Text(text), next_step=ahead)


def _asked_for(
    network: str | None, recipe: Path | None, settings: list[str]
) -> tuple[str, dict[str, Any]]:
    """The network and the settings: those of the recipe file, then those of the command line."""
    from imagetree.cli.recipe_file import read_recipe

    if recipe is None:
        return network or "alexnet", recipe_values(settings)
    own, values = read_recipe(recipe)
    if network not in (None, own):
        raise InvalidInput(
            f"{recipe} is a recipe of {own}, not of {network}.", hint="Leave the network out."
        )
    return own, values | recipe_values(settings)


def _told(params: dict[str, Any]) -> str:
    """What is about to be trained, and what is watched meanwhile."""
    recipe = params["recipe"]
    told = f"Run {params['name']}: {params['network']} on {params['release']}, "
    told += f"{recipe['image_size']} px, {count(recipe['epochs'], 'epoch')}."
    watched = recipe["watched"]
    if watched.startswith("held out"):
        return f"{told} {recipe['validation']:.0%} of each class is {watched} to be watched."
    return f"{told} The split {watched} is watched." if watched else told


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
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="The release that the run was trained on.")
    ],
    run: RunArgument,
    split: Annotated[str, typer.Option(help="The split to measure on.")] = "test",
    views: Annotated[
        int,
        typer.Option(help="1: centre crop; 2: with its flip; 10: corners and centre, flipped."),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measures a run's top-1 and top-5 error on a split."""
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
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="Image files.")],
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
        releases = db.releases()
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
    elif releases:
        first = f"imagetree train {folder} {releases[-1]['name']} alexnet"
        answer.give(found, "No runs yet.", next_step=first)
    else:
        first = f"imagetree release create {folder} v1 --split train=0.7,test=0.3"
        answer.give(found, "No runs yet, and no release to train on.", next_step=first)


def _scores(db: Any, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The scores of runs, oldest first."""
    from imagetree.catalog.statements.run import read_scores

    by_run: dict[str, list[dict[str, Any]]] = {}
    with db.engine.connect() as connection:
        for score in reversed(read_scores(connection, names)):
            by_run.setdefault(score.run, []).append(plain(score))
    return by_run
