"""A real web server on a database, and somebody who asks it for pages without a pause."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Visit:
    """One answer: its page, HTTP status, body and how long it took."""

    path: str
    status: int
    body: str
    seconds: float


class Visitor:
    """`imagetree web` in a process of its own, asked for `pages` in turn while the block runs."""

    def __init__(self, database: Path, pages: Iterable[str], *, logs: Path) -> None:
        self._database = database
        self._pages = itertools.cycle(pages)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._said, self._errors = logs / "web.out", logs / "web.err"
        self._address = ""
        self.visits: list[Visit] = []
        self.broken: list[str] = []

    def __enter__(self) -> Visitor:
        command = [sys.executable, "-m", "imagetree", "web", str(self._database)]
        with self._said.open("wb") as out, self._errors.open("wb") as err:
            self._server = subprocess.Popen(
                [*command, "--port", "0", "--json"], stdout=out, stderr=err
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._address:
            assert self._server.poll() is None, self.stderr
            assert time.monotonic() < deadline, "the web server did not start"
            time.sleep(0.05)
            try:
                self._address = json.loads(self._said.read_text())["address"].rstrip("/")
            except ValueError:
                continue
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._server.terminate()
        self._server.wait(timeout=20)

    @property
    def stderr(self) -> str:
        """What the server wrote that nobody wants to see."""
        return self._errors.read_text()

    def _ask(self) -> None:
        for path in self._pages:
            if self._stop.wait(0.02):
                return
            began = time.monotonic()
            try:
                with urllib.request.urlopen(self._address + path, timeout=60) as answer:
                    status, body = answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read().decode()
            except OSError as error:
                self.broken.append(f"{path}: {error}")
                continue
            self.visits.append(Visit(path, status, body, time.monotonic() - began))
