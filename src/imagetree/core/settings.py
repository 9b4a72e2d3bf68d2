"""Settings of a database: read once, from `imagetree.toml` and `IMAGETREE_*`, then passed on."""

from __future__ import annotations

import os
import pwd
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagetree.core.errors import Conflict, InvalidInput, NotFound

FILE_NAME = "imagetree.toml"
FORMAT = 1

# All that `imagetree.toml` may say.
KEYS: dict[str, dict[str, type]] = {
    "database": {"format": int, "catalog": str},
    "taxonomy": {"wordnet": bool, "tree": str},
}
WORDS: dict[type, str] = {int: "a whole number", str: "text in quotes", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the parts of one database lie, and what it stands on.

    `catalog_url` is `sqlite:///...` or `postgresql://...`; `folder` is the database's folder;
    `tree_file` a tree of one's own beside or instead of WordNet; `wordnet` whether WordNet 3.0
    is part of the tree.
    """

    folder: Path
    catalog_url: str
    jobs_url: str
    wordnet: bool = True
    tree_file: Path | None = None
    cache_folder: Path
    wordnet_folder: Path | None = None
    actor: str = "someone"

    @property
    def name(self) -> str:
        """The folder's name without `.imagetree`."""
        return self.folder.name.removesuffix(".imagetree")

    @property
    def shards_folder(self) -> Path:
        """Tar shards with the images' untouched bytes."""
        return self.folder / "shards"

    @property
    def thumbs_folder(self) -> Path:
        """Tar shards with the thumbnails."""
        return self.folder / "thumbs"

    @property
    def releases_folder(self) -> Path:
        """One folder a release."""
        return self.folder / "releases"

    @property
    def runs_folder(self) -> Path:
        """One folder a run."""
        return self.folder / "runs"

    @property
    def events_folder(self) -> Path:
        """Payload files of bulk events."""
        return self.folder / "events"

    @property
    def progress_folder(self) -> Path:
        """How far each running job is; may be deleted at any time."""
        return self.folder / "cache" / "progress"

    @property
    def wordnet_file(self) -> Path:
        """The prebuilt WordNet, shared by all databases of this user."""
        return self.cache_folder / "wordnet-3.0.sqlite"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where files that can be made again are kept: IMAGETREE_CACHE, else the user's cache."""
    given = environment.get("IMAGETREE_CACHE")
    if given:
        return Path(given).expanduser()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "imagetree"


def read_settings(folder: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the database in `folder`.

    Raises NotFound where there is no database, InvalidInput where its toml cannot be read, and
    Conflict where a newer imagetree wrote it.

    Example:
        settings = read_settings(Path("birds.imagetree"))
        settings.catalog_url        # 'sqlite:////home/ines/birds.imagetree/catalog.sqlite'
    """
    folder = folder.expanduser().resolve()
    file = folder / FILE_NAME
    if not file.is_file():
        raise _no_database(folder)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}.", hint="Mend that line.") from error
    _check_keys(file, table)
    database, taxonomy = table["database"], table.get("taxonomy", {})
    found = database["format"]
    if found != FORMAT:
        raise Conflict(
            f"{file} has format {found}, this version of imagetree reads {FORMAT}.",
            hint="Install the version that wrote it, or a later one.",
        )
    tree_file = taxonomy.get("tree")
    wordnet_folder = environment.get("IMAGETREE_WORDNET")
    catalog_url = environment.get("IMAGETREE_CATALOG") or database.get("catalog") or ""
    return Settings(
        folder=folder,
        catalog_url=_url(folder, catalog_url, default="catalog.sqlite"),
        jobs_url=_jobs_url(folder, catalog_url),
        wordnet=bool(taxonomy.get("wordnet", True)),
        tree_file=folder / tree_file if tree_file else None,
        cache_folder=cache_folder(environment),
        wordnet_folder=Path(wordnet_folder).expanduser() if wordnet_folder else None,
        actor=environment.get("IMAGETREE_ACTOR") or environment.get("USER") or _user_name(),
    )


def _no_database(folder: Path) -> NotFound:
    """What to tell of a place that is no database: what it is, and what may have been meant."""
    make = f"Make one with: imagetree init {folder.name}"
    if folder.is_file():
        return NotFound(
            f"{folder} is a file; a database is a folder.", hint="Name the folder of a database."
        )
    if not folder.is_dir():
        return NotFound(f"There is no imagetree database at {folder}.", hint=make)
    if folder.parent.joinpath(FILE_NAME).is_file():
        return NotFound(
            f"{folder} is a part of a database.", hint=f"Name the database: {folder.parent}"
        )
    inside = sorted(one.parent for one in folder.glob(f"*/{FILE_NAME}"))
    if inside:
        return NotFound(
            f"{folder} is no imagetree database, but holds {len(inside)}.",
            hint=f"Name one: {', '.join(str(one) for one in inside[:3])}",
        )
    name = folder.name.removesuffix(".imagetree")
    return NotFound(
        f"{folder} is a folder, but no imagetree database: it has no {FILE_NAME}.",
        hint=f"Name a folder that imagetree init made, or: imagetree init {name}.imagetree",
    )


def _check_keys(file: Path, table: Mapping[str, Any]) -> None:
    """InvalidInput where the toml holds what nothing reads, or the wrong kind of value.

    A misspelt key would otherwise let a database quietly begin a second, empty catalog.
    """
    for name, keys in KEYS.items():
        part = table.get(name, {})
        if not isinstance(part, dict):
            raise InvalidInput(f"{file}: {name} must be a table.", hint=f"Write: [{name}]")
        for key, value in part.items():
            kind = keys.get(key)
            if kind is not None and type(value) is not kind:
                raise InvalidInput(
                    f"{file}: {key} in [{name}] must be {WORDS[kind]}.", hint="Mend that line."
                )
    known = ", ".join(f"[{name}] {' '.join(keys)}" for name, keys in KEYS.items())
    strange = [name for name in table if name not in KEYS]
    strange += [
        f"{name}.{key}"
        for name, keys in KEYS.items()
        for key in table.get(name, {})
        if key not in keys
    ]
    if strange:
        raise InvalidInput(
            f"{file}: {strange[0]} is no setting.", hint=f"The settings are: {known}."
        )
    if "format" not in table.get("database", {}):
        raise InvalidInput(
            f"{file} lacks format in [database]; it may have been cut short.",
            hint=f"Bring it back from a backup, or write: format = {FORMAT}",
        )


def _user_name() -> str:
    """Who runs this, by the system's own list; not every shell and container sets USER."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "someone"


def _url(folder: Path, given: str, *, default: str) -> str:
    if "://" in given:
        return given
    return f"sqlite:///{folder / (given or default)}"


def _jobs_url(folder: Path, catalog_url: str) -> str:
    # On PostgreSQL the job engine keeps its tables in a schema of its own beside ours.
    if catalog_url.startswith("postgresql"):
        return catalog_url
    return f"sqlite:///{folder / 'jobs.sqlite'}"


def write_settings(
    folder: Path, *, catalog: str = "", wordnet: bool = True, tree: str = ""
) -> None:
    """Writes a new database's `imagetree.toml`."""
    lines = ["[database]", f"format = {FORMAT}"]
    lines.append(f'catalog = "{catalog or "catalog.sqlite"}"')
    lines += ["", "[taxonomy]", f"wordnet = {'true' if wordnet else 'false'}"]
    if tree:
        lines.append(f'tree = "{tree}"')
    part = folder / (FILE_NAME + ".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(folder / FILE_NAME)
