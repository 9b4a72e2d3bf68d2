from __future__ import annotations

from pathlib import Path

import pytest

from imagetree.cli.demo import class_folders
from imagetree.core.errors import InvalidInput


def test_a_folder_of_classes_is_itself(tmp_path: Path) -> None:
    for name in ("whippet", "train", ".thumbs"):
        (tmp_path / name).mkdir()
    assert class_folders(tmp_path) == [tmp_path]


def test_train_and_val_are_collected_one_after_the_other(tmp_path: Path) -> None:
    for name in ("val", "train", ".cache"):
        (tmp_path / name / "n02091134").mkdir(parents=True)
    assert class_folders(tmp_path) == [tmp_path / "train", tmp_path / "val"]


def test_an_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no folder"):
        class_folders(tmp_path / "none")
