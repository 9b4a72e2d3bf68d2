from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from imagetree.cli.recipe_file import commands, read_recipe
from imagetree.core.errors import InvalidInput, NotFound

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


def test_a_recipe_file_stands_for_commands(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "birds.imagetree").mkdir()
    (tmp_path / "birds.imagetree/imagetree.toml").touch()
    database = str(tmp_path / "birds.imagetree")
    assert commands("r.py", [database, "v1", "--seed", "1"]) == [
        ["train", database, "v1", "--seed", "1", "--recipe", "r.py", "--evaluate", "test"]
    ]
    photos = str(tmp_path / "photos")
    (demo,) = commands("r.py", [photos])
    assert demo[:4] == ["demo", "photos.imagetree", "--photos", photos]
    assert commands("r.py", []) == commands("r.py", ["--help"]) == []


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_every_recipe_names_all_numbers_and_its_header_says_what_to_expect(path: Path) -> None:
    pytest.importorskip("torch")
    from imagetree.networks import registry
    from imagetree.train.recipe import Recipe

    network, recipe = read_recipe(path)
    head = path.read_text(encoding="utf-8").split('"""')[1]
    assert all(f"\n{word} " in head for word in ("command", "cost", "score"))
    assert "99.9% interval" in head
    training = {
        key: value for key, value in recipe.items() if key not in ("image_size", "channels")
    }
    size = recipe["image_size"]
    registry.check(network, n_classes=10, image_size=size, channels=recipe["channels"])
    made = Recipe.of(training)
    # What it leaves out must be the default of `Recipe`, so that it trains exactly this.
    own = registry.default_recipe(network, image_size=size, n_classes=10)
    assert Recipe.of(own) == made
    needed = {field.name for field in dataclasses.fields(Recipe)} - {
        *("seed", "watched", "patience", "milestones"),
        *("checkpoint_every_s", "checkpoint_every_batches"),
    }
    assert needed <= training.keys()


def test_a_recipe_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no recipe"):
        read_recipe(tmp_path / "none.py")
    (tmp_path / "empty.py").write_text("NETWORK = 'alexnet'\n")
    with pytest.raises(InvalidInput, match="is no recipe"):
        read_recipe(tmp_path / "empty.py")
    (tmp_path / "broken.py").write_text("NETWORK = \n")
    with pytest.raises(InvalidInput, match="cannot be run"):
        read_recipe(tmp_path / "broken.py")


def test_run_without_arguments_it_says_how() -> None:
    done = subprocess.run(
        [sys.executable, str(RECIPES / "imagenette_alexnet.py")], capture_output=True, text=True
    )
    assert done.returncode == InvalidInput.exit_code
    assert "birds.imagetree v1" in done.stdout
