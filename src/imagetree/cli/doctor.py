"""doctor: which parts are installed, which are not, and the exact step to get each."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from imagetree.cli.answer import Answer, table
from imagetree.cli.options import JsonOption
from imagetree.cli.wording import size
from imagetree.core.errors import ImagetreeError, MissingPart

app = typer.Typer()

SAFE_SQLITE = (3, 51, 3)
LEAST_FREE_BYTES = 5_000_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part: `state` is 'ok', 'missing' (nothing works without it) or 'optional'."""

    part: str
    state: str
    found: str
    step: str = ""


@app.command(epilog="Example: imagetree doctor")
def doctor(
    database: Annotated[
        Path | None, typer.Argument(metavar="[DATABASE]", help="Look at this database too.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tells which parts are installed, and how to get the others."""
    findings = [look() for look in LOOKS]
    if database is not None:
        findings.append(_look_at_database(database))
    rows = table("part", "", "found", "to get it")
    styles = {
        "ok": ("ok", "green"),
        "missing": ("missing", "bold red"),
        "optional": ("none", "dim"),
    }
    for one in findings:
        rows.add_row(one.part, Text(*styles[one.state]), Text(one.found), Text(one.step))
    missing = [one for one in findings if one.state == "missing"]
    ahead = missing[0].step if missing else "imagetree init birds.imagetree"
    Answer(as_json=as_json).give([asdict(one) for one in findings], rows, next_step=ahead)
    if missing:
        raise typer.Exit(MissingPart.exit_code)


def _look_at_python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    fine = sys.version_info >= (3, 11)
    step = "" if fine else "Install Python 3.11 or later."
    return Finding(part="Python", state="ok" if fine else "missing", found=found, step=step)


def _look_at_sqlite() -> Finding:
    from imagetree.catalog.engine import sqlite_version

    found = sqlite_version()
    fine = tuple(int(part) for part in found.split(".")) >= SAFE_SQLITE
    step = "" if fine else "pip install pysqlite3 (several writers need 3.51.3 or later)"
    return Finding(part="SQLite", state="ok" if fine else "optional", found=found, step=step)


def _look_at_wordnet() -> Finding:
    from imagetree.core.settings import cache_folder
    from imagetree.taxonomy.wordnet import find_wordnet

    given = os.environ.get("IMAGETREE_WORDNET")
    try:
        folder = Path(given).expanduser() if given else None
        found = find_wordnet(folder, cache=cache_folder())
    except ImagetreeError as error:
        return Finding(part="WordNet 3.0", state="missing", found=error.message, step=error.hint)
    return Finding(part="WordNet 3.0", state="ok", found=str(found))


def _look_at_cache() -> Finding:
    from imagetree.core.settings import cache_folder

    folder = cache_folder()
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    n_free = shutil.disk_usage(existing).free
    found = f"{folder}, {size(n_free)} free"
    if not os.access(existing, os.W_OK):
        step = "Name a folder that can be written to with IMAGETREE_CACHE."
        return Finding(part="Cache", state="missing", found=found, step=step)
    step = "" if n_free > LEAST_FREE_BYTES else "Little room: make some before collecting."
    return Finding(part="Cache", state="ok", found=found, step=step)


def _package(part: str, package: str, extra: str) -> Callable[[], Finding]:
    """A look at a Python package, without importing it."""

    def look() -> Finding:
        try:
            return Finding(part=part, state="ok", found=f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            step = f"pip install 'imagetree[{extra}]'"
            return Finding(part=part, state="optional", found="not installed", step=step)

    return look


def _look_at_kernel() -> Finding:
    from imagetree.images import kernel

    part = "Native kernel"
    if kernel.available():
        return Finding(part=part, state="ok", found=f"built, uses {kernel.instructions()}")
    found = "not there; Pillow decodes, about half as fast"
    return Finding(part=part, state="optional", found=found, step=kernel.HOW_TO_GET)


def _look_at_fonts() -> Finding:
    folders = (Path("/usr/share/fonts"), Path("~/.fonts").expanduser())
    n_fonts = sum(
        1 for folder in folders for suffix in ("*.ttf", "*.otf") for _ in folder.rglob(suffix)
    )
    if n_fonts:
        return Finding(part="Fonts", state="ok", found=f"{n_fonts} files")
    step = "apt-get install fonts-dejavu-core (pictures then have a finer type)"
    return Finding(part="Fonts", state="optional", found="none; a built-in one is used", step=step)


def _look_at_chromium() -> Finding:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    part = "Chromium (tests)"
    if found:
        return Finding(part=part, state="ok", found=found)
    step = "apt-get install chromium"
    return Finding(part=part, state="optional", found="not installed", step=step)


def _look_at_database(folder: Path) -> Finding:
    from imagetree.database import Database

    try:
        with Database.open(folder) as db:
            found = f"{db.stats().n_images:,} images"
        return Finding(part=str(folder), state="ok", found=found)
    except ImagetreeError as error:
        return Finding(part=str(folder), state="missing", found=error.message, step=error.hint)


LOOKS: tuple[Callable[[], Finding], ...] = (
    _look_at_python,
    _look_at_sqlite,
    _look_at_wordnet,
    _look_at_cache,
    _package("Training", "torch", "train"),
    _package("Training curves", "tensorboard", "train"),
    _package("Digits", "scikit-learn", "demo"),
    _package("Sample photos", "scikit-image", "demo"),
    _package("PostgreSQL client", "psycopg", "postgresql"),
    _look_at_kernel,
    _look_at_fonts,
    _look_at_chromium,
)
