"""Recipe files: a network and every number of its training, in a Python file that runs itself.

NETWORK = "alexnet"
RECIPE = {"image_size": 96, "epochs": 40, ...}

if __name__ == "__main__":
    run(__file__, sys.argv[1:])
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from imagetree.core.errors import InvalidInput, NotFound
from imagetree.core.settings import FILE_NAME

USAGE = """{name}: trains a network by a recipe, and scores it on the split test.

    python {file} birds.imagetree v1     on a release of a database
    python {file} photos/                on a folder, one sub-folder a class: makes
                                         photos.imagetree and a 70/30 release first
"""


def read_recipe(path: Path) -> tuple[str, dict[str, Any]]:
    """The network's name and the settings of a recipe file, which is run as Python.

    Errors: NotFound without the file, InvalidInput where it says neither or cannot be run.
    """
    if not path.is_file():
        raise NotFound(f"There is no recipe {path}.", hint="See the folder recipes/.")
    try:
        said = runpy.run_path(str(path), run_name="recipe")
    except Exception as error:
        raise InvalidInput(f"The recipe {path} cannot be run: {error!r}.") from error
    network, recipe = said.get("NETWORK"), said.get("RECIPE")
    if not isinstance(network, str) or not isinstance(recipe, dict):
        raise InvalidInput(
            f"{path} is no recipe.",
            hint="A recipe is a Python file with NETWORK = 'alexnet' and RECIPE = {...}.",
        )
    return network, recipe


def commands(file: str, arguments: Sequence[str]) -> list[list[str]]:
    """The imagetree commands that a recipe file's own command line stands for; [] asks for help.

    Example:
        >>> commands("r.py", ["birds.imagetree", "v1"])[0]
        ['train', 'birds.imagetree', 'v1', '--recipe', 'r.py', '--evaluate', 'test']
    """
    words = [one for one in arguments if not one.startswith("-")]
    if not words or "-h" in arguments or "--help" in arguments:
        return []
    place = Path(words[0])
    if len(words) == 1 and place.is_dir() and not (place / FILE_NAME).is_file():
        database = f"{place.resolve().name}.imagetree"
        rest = [one for one in arguments if one != words[0]]
        return [["demo", database, "--photos", words[0], "--recipe", file, "--no-serve", *rest]]
    return [["train", *arguments, "--recipe", file, "--evaluate", "test"]]


def run(file: str, arguments: Sequence[str]) -> NoReturn:
    """Trains by the recipe file as its command line asks, scores the run, and exits."""
    from imagetree.cli.main import run as run_command

    asked = commands(file, arguments)
    if not asked:
        sys.stdout.write(USAGE.format(name=Path(file).stem, file=file))
        sys.exit(0 if arguments else InvalidInput.exit_code)
    sys.exit(max(run_command(one) for one in asked))
