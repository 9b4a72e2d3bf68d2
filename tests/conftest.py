"""What tests stand on: real inputs, a real WordNet, a tiny database, SQLite and PostgreSQL.

A part that a machine may lack (PostgreSQL, WordNet, the folder of real photos) makes its tests
skip with a reason; with `CI=true` its absence is a failure, so that nothing is lost silently.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from imagetree.taxonomy.taxonomy import Taxonomy

ROOT = Path(__file__).resolve().parent.parent


def absent(reason: str) -> None:
    """Skips the test that asked, or fails it where everything must be there."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)


# ---- real inputs ----


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real photos, votes and development kits; `../shared/data` by default."""
    given = Path(os.environ.get("IMAGETREE_TEST_DATA", "../shared/data"))
    folder = (ROOT / given).resolve()
    if not folder.is_dir():
        absent(f"No real inputs at {folder}; name the folder with IMAGETREE_TEST_DATA.")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this session's own: tests neither read nor write the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGETREE_CACHE", str(folder))
        yield folder


# ---- catalogs ----


def _postgresql_folder() -> Path | None:
    """Where PostgreSQL's server programs lie; Debian does not put them on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the database `postgres` on a real server that lives as long as the test session."""
    programs = _postgresql_folder()
    if programs is None:
        absent("PostgreSQL's server is not installed: apt-get install postgresql")
    assert programs is not None
    # A short path of its own: Unix sockets allow 107 characters, and only `postgres` may own it.
    folder = Path("/tmp") / f"imagetree-postgresql-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o700)
    user: list[str] = []
    if os.geteuid() == 0:  # initdb refuses root
        shutil.chown(folder, "postgres", "postgres")
        group = subprocess.check_output(["id", "-g", "postgres"], text=True).strip()
        user = ["setpriv", "--reuid=postgres", f"--regid={group}", "--init-groups"]
        user += ["env", "HOME=/tmp"]
    name = "postgres" if user else getpass.getuser()
    data, port = folder / "data", free_port()

    def call(program: str, *arguments: str) -> None:
        command = [*user, str(programs / program), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"

    try:
        call("initdb", "-D", str(data), "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        options += " -c fsync=off"
        log = str(folder / "log")
        call("pg_ctl", "-D", str(data), "-w", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql://{name}@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """URL of an empty database on the real server, dropped after the test."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgresql_server.rsplit("/", 1)[0] + f"/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'catalog.sqlite'}"


@pytest.fixture
def engine(catalog_url: str) -> Iterator[Engine]:
    """An engine on an empty catalog with the newest schema, on SQLite and on PostgreSQL."""
    from imagetree.catalog.engine import open_engine
    from imagetree.catalog.migrations import upgrade

    made = open_engine(catalog_url)
    upgrade(made)
    yield made
    made.dispose()


# ---- images ----


def draw(path: Path, *, seed: int, size_px: tuple[int, int] = (96, 72)) -> Path:
    """Writes an image that no other seed resembles: large soft patches of random colour."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(patches).resize(size_px, Image.Resampling.BICUBIC).save(path, quality=92)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image folder: 3 dog breeds by wnid, 12 images of 96 x 72 px each, read-only by custom."""
    folder = tmp_path_factory.mktemp("photos")
    for number, wnid in enumerate(("n02091134", "n02099601", "n02106662")):
        for i in range(12):
            draw(folder / wnid / f"{i:02d}.jpg", seed=100 * number + i)
    return folder


# ---- the tree ----


@pytest.fixture(scope="session")
def wordnet_folder() -> Path:
    """The folder of WordNet 3.0's own files."""
    from imagetree.core.errors import MissingPart, NotFound
    from imagetree.taxonomy.wordnet import find_wordnet

    given = os.environ.get("IMAGETREE_WORDNET")
    try:
        return Path(find_wordnet(Path(given) if given else None))
    except (MissingPart, NotFound) as error:
        absent(f"No WordNet 3.0 here: {error}")
        raise


@pytest.fixture(scope="session")
def wordnet_file(cache_folder: Path, wordnet_folder: Path) -> Path:
    """The prebuilt WordNet, made once a session, where every database of the session finds it."""
    from imagetree.core.settings import Settings
    from imagetree.taxonomy.wordnet import build_wordnet_file

    nowhere = Path("/nonexistent")
    file = Settings(
        folder=nowhere, catalog_url="", jobs_url="", cache_folder=cache_folder
    ).wordnet_file
    if not file.is_file():
        build_wordnet_file(wordnet_folder, file)
    return file


@pytest.fixture(scope="session")
def taxonomy(wordnet_file: Path) -> Taxonomy:
    """The tree of WordNet 3.0."""
    from imagetree.taxonomy.taxonomy import Taxonomy

    return Taxonomy.open(wordnet_file)


# ---- databases ----


@pytest.fixture(scope="session")
def tiny_database_made(
    tmp_path_factory: pytest.TempPathFactory, photos: Path, wordnet_file: Path
) -> Path:
    """A database with 36 images of 3 dog breeds and a release v1; never written to."""
    from imagetree.database import Database

    folder = tmp_path_factory.mktemp("tiny") / "tiny.imagetree"
    with Database.create(folder) as db:
        db.collect(photos, layout="imagefolder")
        db.release("v1", split={"train": 0.7, "test": 0.3})
    return folder


@pytest.fixture(scope="session")
def furnished_database_made(
    tiny_database_made: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny database and one of everything that pages show; never written to."""
    from tests.furnished import MOTH, furnish

    folder = tmp_path_factory.mktemp("furnished")
    for i in range(2):
        draw(folder / "more" / MOTH / f"{i}.jpg", seed=900 + i)
    (folder / "more" / MOTH / "notes.jpg").write_text("These are no pixels.")
    for i in range(3):
        draw(folder / "loose" / f"{i}.jpg", seed=950 + i, size_px=(40, 60))
    made = Path(shutil.copytree(tiny_database_made, folder / "tiny.imagetree"))
    furnish(made, photos=folder)
    return made


@pytest.fixture
def tiny_database(tiny_database_made: Path, tmp_path: Path) -> Path:
    """The folder of a fresh copy of the tiny database; do with it what you like."""
    return Path(shutil.copytree(tiny_database_made, tmp_path / "tiny.imagetree"))
