"""The lock that makes a database's job runner the only one, and tells who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

FILE_NAME = "jobs.lock"
PROBE_S = 0.5


class RunnerLock:
    """An exclusive lock on `jobs.lock`; the kernel lets go of it when the process dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Whether the lock was free and is now ours."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _lock_within(handle, PROBE_S):
            os.close(handle)
            return False
        self._handle = handle
        self._write({"pid": os.getpid(), "ready": False})
        return True

    def ready(self) -> None:
        """Says that the runner takes jobs from now on."""
        self._write({"pid": os.getpid(), "ready": True})

    def release(self) -> None:
        """Lets go."""
        if self._handle is not None:
            self._write({})
            os.close(self._handle)
            self._handle = None

    def _write(self, table: dict[str, Any]) -> None:
        assert self._handle is not None
        data = json.dumps(table).encode()
        os.pwrite(self._handle, data, 0)
        os.ftruncate(self._handle, len(data))


def _lock_within(handle: int, seconds: float) -> bool:
    """Whether the lock could be had; waits a moment, since clients look at it by locking too."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


def holder(folder: Path) -> dict[str, Any] | None:
    """Who holds the lock, as {"pid": ..., "ready": ...}; None when nobody does."""
    path = folder / FILE_NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            # A shared probe: two clients that look at the same time do not see each other.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            pass
        try:
            table: dict[str, Any] = json.loads(os.pread(handle, 4096, 0) or b"{}")
        except ValueError:
            table = {}
        return {"pid": table.get("pid"), "ready": bool(table.get("ready"))}
    finally:
        os.close(handle)
