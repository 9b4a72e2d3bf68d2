"""The demo as `make demo SERVE=0` runs it once everything is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def demo(database: Path, *words: str) -> dict[str, Any]:
    """What the demo answers in JSON."""
    command = [sys.executable, "-m", "imagetree", "demo", str(database), "--no-serve", "--json"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_demo_of_digits_then_again(tmp_path: Path, wordnet_file: Path) -> None:
    database = tmp_path / "digits.imagetree"
    first = demo(database)
    # scikit-learn's digits under ten synsets; the sample photos wait as candidates or loose.
    assert first["collect"]["n_present"] == 1797
    assert first["release"]["n_classes"] == 10
    assert first["evaluation"]["errors"]["top1"] <= 0.04
    with Image.open(first["figure"]) as picture:
        assert min(picture.size) >= 400
    again = demo(database)
    assert again["release"]["release_id"] == first["release"]["release_id"]
    assert again["collect"]["n_collections"] == first["collect"]["n_collections"]
    assert again["evaluation"]["errors"] == first["evaluation"]["errors"]


def test_make_demo_passes_its_arguments_on() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    done = subprocess.run(
        ["make", "-n", "demo", "PHOTOS=my/birds/", "SERVE=0"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'demo/birds.imagetree --photos "my/birds/"' in done.stdout
    assert "--no-serve" in done.stdout
