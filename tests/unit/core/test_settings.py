"""A database's settings: what is no database, and what `imagetree.toml` may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetree.core.errors import Conflict, InvalidInput, NotFound
from imagetree.core.settings import FILE_NAME, read_settings, write_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database's folder with the settings that a new one has."""
    made = tmp_path / "birds.imagetree"
    made.mkdir()
    write_settings(made)
    return made


def test_what_init_writes_can_be_read(folder: Path) -> None:
    settings = read_settings(folder, {})
    assert settings.catalog_url == f"sqlite:///{folder / 'catalog.sqlite'}"
    assert settings.wordnet
    assert settings.actor not in {"", "someone"}  # this account has a name, USER set or not
    assert read_settings(folder, {"IMAGETREE_ACTOR": "ines"}).actor == "ines"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("catalog = [oops", "cannot be read", "Mend"),
        ("", "lacks format", "format = 1"),
        ("[database]\nformat = 1\ncatalogue = 'x'", r"database\.catalogue is no", "catalog"),
        ("format = 1", "format is no setting", "taxonomy"),
        ("database = 1", "must be a table", r"\[database\]"),
        ("[database]\nformat = 1\ncatalog = 3", "must be text", "Mend"),
        ("[database]\nformat = '1'", "must be a whole number", "Mend"),
        ("[database]\nformat = 1\n[taxonomy]\nwordnet = 1", "true or false", "Mend"),
    ],
)
def test_broken_settings_say_which_line(folder: Path, text: str, message: str, hint: str) -> None:
    (folder / FILE_NAME).write_text(text)
    with pytest.raises(InvalidInput, match=message) as told:
        read_settings(folder, {})
    assert FILE_NAME in told.value.message
    assert hint.replace("\\", "") in told.value.hint


def test_a_newer_format_is_a_conflict(folder: Path) -> None:
    (folder / FILE_NAME).write_text("[database]\nformat = 2\n")
    with pytest.raises(Conflict, match="format 2"):
        read_settings(folder, {})


def test_no_database_says_what_is_there_instead(folder: Path) -> None:
    beside, plain, file = folder.parent, folder.parent / "photos", folder.parent / "a.jpg"
    plain.mkdir()
    file.touch()
    (folder / "shards").mkdir()
    for place, message, hint in (
        (beside / "none.imagetree", "There is no imagetree database", "init none.imagetree"),
        (plain, "is a folder, but no imagetree database", "init photos.imagetree"),
        (file, "is a file", "folder"),
        (beside, "but holds 1", str(folder)),
        (folder / "shards", "part of a database", str(folder)),
    ):
        with pytest.raises(NotFound, match=message) as told:
            read_settings(place, {})
        assert hint in told.value.hint
