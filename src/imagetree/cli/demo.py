"""demo: the whole way once, from images to a score, a picture and pages.

Each step looks first whether it is done, so that a demo that was stopped goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from imagetree.cli.answer import Answer
from imagetree.cli.options import JsonOption
from imagetree.cli.recipe_file import read_recipe
from imagetree.cli.wording import count, duration
from imagetree.cli.working import shown
from imagetree.core.errors import InvalidInput
from imagetree.core.settings import FILE_NAME

if TYPE_CHECKING:
    from imagetree.database import Database

app = typer.Typer(add_completion=False)

RELEASE = "v1"
SPLIT = {"train": 0.7, "test": 0.3}
RUN = "demo"
# Folders that hold the classes of one part of a data set, as many archives are laid out.
PARTS = {"train", "val", "valid", "validation", "test"}


@app.command(epilog="Example: imagetree demo demo/digits.imagetree --no-serve")
def demo(
    database: Annotated[Path, typer.Argument(metavar="DATABASE", help="Where to make it.")] = Path(
        "demo/digits.imagetree"
    ),
    photos: Annotated[
        Path | None,
        typer.Option(help="A folder of your own photos, one sub-folder a class; else digits."),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="CSV of name,wnid that settles ambiguous folder names.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A file of network and settings, as in recipes/.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, deleting an old demo.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the pages at the end.")
    ] = True,
    port: Annotated[int, typer.Option(help="0 takes any free one.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Runs the whole way once, on digits or on your photos."""
    from imagetree.database import Database

    answer = Answer(as_json=as_json)
    if fresh and (database / FILE_NAME).is_file():
        shutil.rmtree(database)
    going_on = (database / FILE_NAME).is_file()
    if going_on:
        answer.note(f"{database} is there from an earlier demo: what it has done is kept.")
        answer.note("To start over: imagetree demo --fresh, or make clean first.")
    database.parent.mkdir(parents=True, exist_ok=True)
    _have_wordnet(answer)
    with answer.progress() as report:
        opening = Database.open if going_on else Database.create
        db = opening(database, report=report)
    with db:
        way = Way(db, answer, photos=photos, classes=classes, recipe=recipe)
        way.go()
        folder = db.folder
    answer.give(way.done, next_step=f"imagetree web {shown(folder)}" if not serve else "")
    if serve:
        _serve(folder, port, answer)


@dataclass
class Way:
    """The steps of the demo on one database, and what each gave."""

    db: Database
    answer: Answer
    photos: Path | None
    classes: Path | None
    recipe: Path | None = None
    done: dict[str, Any] = field(default_factory=dict)

    def go(self) -> None:
        """Runs every step that is not done yet."""
        self._step("Collect", self._collect)
        self._step("Release", self._release)
        self._step("Train", self._train)
        self._step("Evaluate", self._evaluate)
        self._step("Picture", self._figure)

    def _step(self, name: str, step: Callable[[], str]) -> None:
        at = time.monotonic()
        text = step()
        seconds = time.monotonic() - at
        if not self.answer.as_json:
            self._print(name, text, seconds)

    def _print(self, name: str, text: str, seconds: float) -> None:
        import sys

        from imagetree.cli.answer import console

        first, *rest = text.splitlines() or [""]
        out = console(sys.stdout)
        out.print(Text.assemble((f"{name:<9}", "bold"), first, (f"  {duration(seconds)}", "dim")))
        for line in rest:
            out.print(Text(" " * 9 + line))

    def _collect(self) -> str:
        taken = {
            (one["kind"], one["location"])
            for one in self.db.collections()
            if one["state"] == "done"
        }
        lines = []
        for arguments in self._sources():
            if taken and self._has(arguments, taken):
                lines.append(f"{arguments['source'] or arguments['layout']}: collected before")
                continue
            with self.answer.progress() as report:
                told = str(self.db.collect(**arguments, report=report))
            where = Path(arguments["source"]).name or arguments["layout"]
            lines.append(f"{where}: {told}")
        stats = self.db.stats()
        self.done["collect"] = stats.as_dict()
        head = f"{count(stats.n_images, 'image')} under {count(stats.n_synsets, 'synset')}"
        return "\n".join([head, *lines])

    def _has(self, arguments: dict[str, Any], taken: set[tuple[str, str]]) -> bool:
        source = str(arguments["source"])
        return any(
            location == source if source else kind == arguments["layout"]
            for kind, location in taken
        )

    def _sources(self) -> Iterator[dict[str, Any]]:
        if self.photos is None:
            yield {"source": "", "layout": "digits"}
            yield {"source": "", "layout": "samples"}
            return
        for folder in class_folders(self.photos):
            yield {"source": folder, "layout": "imagefolder", "classes": self.classes}

    def _release(self) -> str:
        known = any(one["name"] == RELEASE for one in self.db.releases())
        with self.answer.progress() as report:
            self.db.release(RELEASE, split=None if known else SPLIT, report=report)
        row = next(one for one in self.db.releases() if one["name"] == RELEASE)
        self.done["release"] = row
        return (
            f"{RELEASE}: {count(row['n_images'], 'image')} of "
            f"{count(row['n_classes'], 'class', 'classes')}, 70% to train on, 30% to test"
        )

    def _train(self) -> str:
        recipe: dict[str, Any] = {}
        network = "lenet5" if self.photos is None else "alexnet"
        if self.recipe is not None:
            network, recipe = read_recipe(self.recipe)
        before = [run for run in self.db.runs() if run.name == RUN]
        if before and before[0].state == "done":
            self.done["run"] = RUN
            return f"{before[0].network}: trained before"
        with self.answer.progress() as report:
            run = self.db.train(RELEASE, network, name=RUN, report=report, **recipe)
        self.done["run"] = run.name
        watched = run.recipe["watched"] or "nothing"
        return f"{network}, {count(run.n_parameters or 0, 'parameter')}; watched: {watched}"

    def _evaluate(self) -> str:
        with self.answer.progress() as report:
            found = self.db.evaluate(RUN, split="test", report=report)
        self.done["evaluation"] = found.as_dict()
        return str(found)

    def _figure(self) -> str:
        path = self.db.figure(RUN, split="test")
        self.done["figure"] = str(path)
        return shown(path)


def _have_wordnet(answer: Answer) -> None:
    """Sees to it that WordNet 3.0 is at hand, fetching Debian's package without root if needed."""
    from imagetree.core.errors import MissingPart
    from imagetree.core.settings import cache_folder
    from imagetree.taxonomy.wordnet import fetch_wordnet, find_wordnet

    cache = cache_folder()
    try:
        found = find_wordnet(cache=cache)
    except MissingPart:
        answer.note("Fetching WordNet 3.0 (Debian's package wordnet-base) into the cache.")
        found = fetch_wordnet(cache)
    os.environ["IMAGETREE_WORDNET"] = str(found)


def class_folders(photos: Path) -> list[Path]:
    """The folders of classes in `photos`: itself, or its parts where it has train and val.

    A release makes its own split, near duplicates kept together, so the parts are collected one
    after the other into the same classes.
    """
    photos = photos.expanduser().resolve()
    if not photos.is_dir():
        raise InvalidInput(
            f"There is no folder {photos}.", hint="make demo PHOTOS=DIR, one sub-folder a class"
        )
    folders = sorted(one for one in photos.iterdir() if one.is_dir() and one.name[0] != ".")
    if folders and {one.name.lower() for one in folders} <= PARTS:
        return folders
    return [photos]


def _serve(folder: Path, port: int, answer: Answer) -> None:
    from imagetree.web.server import serve

    def ready(address: str) -> None:
        answer.give({"address": address}, f"The pages are at {address}", "Ctrl-C ends the server.")

    serve(folder, host="127.0.0.1", port=port, ready=ready)
