"""A real server over a tiny database, and Debian's Chromium in front of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response
from tests.conftest import absent

CHROMIUM = Path("/usr/bin/chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the browser's tests last: Playwright keeps an event loop running in this thread."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How Chromium starts; without it the tests skip, or fail with `CI=true`."""
    if not CHROMIUM.is_file():
        absent("Chromium is not installed: apt-get install chromium")
    # Chromium's own sandbox wants rights that containers and root do not have.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    return {"executable_path": str(CHROMIUM), "args": arguments}


@pytest.fixture(scope="session")
def site(
    furnished_database_made: Path,
    wordnet_file: Path,
    cache_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of `imagetree web` over a copy of the furnished database, on a free port."""
    if not CHROMIUM.is_file():
        absent("Chromium is not installed: apt-get install chromium")
    folder = tmp_path_factory.mktemp("web") / "tiny.imagetree"
    shutil.copytree(furnished_database_made, folder)
    call = "from imagetree.cli.main import main; main()"
    command = [sys.executable, "-c", call, "web", str(folder), "--port", "0", "--json"]
    environment = {**os.environ, "IMAGETREE_CACHE": str(cache_folder), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    # Ends a server that never says that it is ready, so that reading its answer ends too.
    alarm = threading.Timer(60, server.kill)
    alarm.start()
    try:
        assert server.stdout is not None
        text = ""
        while not _whole(text):
            line = server.stdout.readline()
            assert line, f"imagetree web ended before it was ready: {text}"
            text += line
        alarm.cancel()
        yield str(json.loads(text)["address"]).rstrip("/")
    finally:
        alarm.cancel()
        server.terminate()
        server.communicate(timeout=20)


def _whole(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


@pytest.fixture
def faults(page: Page) -> list[str]:
    """What went wrong in the page so far: script errors, the console, missing files."""
    found: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            found.append(f"{message.type}: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            found.append(f"{response.status}: {response.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("response", answered)
    return found
