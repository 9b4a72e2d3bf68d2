"""Makes a new database: the folder, its toml, an empty catalog."""

from __future__ import annotations

import shutil
from pathlib import Path

from imagetree.catalog import migrations
from imagetree.catalog.engine import open_engine
from imagetree.core.errors import Conflict, InvalidInput, OutOfSpace
from imagetree.core.settings import FILE_NAME, Settings, read_settings, write_settings
from imagetree.taxonomy.own_tree import read_tree

FOLDERS = ("shards", "thumbs", "releases", "runs", "events", "cache")


def create(folder: Path, *, catalog: str = "", wordnet: bool = True, tree: str = "") -> Settings:
    """The settings of the database just made in `folder`.

    `catalog` is a `postgresql://` URL for a catalog elsewhere; `tree` a CSV or JSON file of a
    tree of one's own, copied into the folder: grafted under WordNet, or alone when `wordnet` is
    false. Raises Conflict where a database is already.
    """
    folder = folder.expanduser()
    if (folder / FILE_NAME).exists():
        raise Conflict(
            f"There is a database at {folder} already.",
            hint=f"See it with: imagetree stats {folder}",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} exists and is not empty.", hint="Choose another name.")
    if not wordnet and not tree:
        raise InvalidInput(
            "A database needs a tree.", hint="Leave WordNet on, or give one with --tree FILE."
        )
    if tree:
        # Refused now, with the line that is wrong, not at the first look at the tree.
        read_tree(Path(tree).expanduser())
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        kept = ""
        if tree:
            kept = "tree" + Path(tree).suffix.lower()
            shutil.copyfile(Path(tree).expanduser(), folder / kept)
        write_settings(folder, catalog=catalog, wordnet=wordnet, tree=kept)
    except OSError as error:
        raise OutOfSpace(
            f"{folder} cannot be made: {error.strerror}.", hint="Choose a folder you may write to."
        ) from error
    settings = read_settings(folder)
    upgrade(settings)
    return settings


def upgrade(settings: Settings) -> str:
    """The revision that the catalog has afterwards."""
    engine = open_engine(settings.catalog_url)
    try:
        migrations.upgrade(engine)
        return migrations.newest()
    finally:
        engine.dispose()
