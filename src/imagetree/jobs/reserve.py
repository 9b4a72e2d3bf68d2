"""Room kept free for the job runner's own records, so that a full disk can still be told of.

The job engine lies on the same disk as the images. Without a reserve a full disk could not even
be recorded as the reason why a job failed, and whoever waits for the job would wait for ever.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetree.core.errors import OutOfSpace
from imagetree.core.space import disk_full, free_bytes, telling_space

FILE_NAME = "jobs.reserve"
# A job's record takes some ten kilobytes; SQLite writes whole pages, twice.
RESERVE_BYTES = 4_000_000


class Reserve:
    """A file of some megabytes that is deleted when the disk is full."""

    def __init__(self, folder: Path, *, size_bytes: int = RESERVE_BYTES) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._size_bytes = size_bytes
        self._lock = threading.Lock()

    def fill(self) -> None:
        """Makes the reserve unless it is there; OutOfSpace when there is no room for it."""
        with self._lock:
            try:
                if self._path.stat().st_size >= self._size_bytes:
                    return
            except FileNotFoundError:
                pass
            try:
                with telling_space(self._folder):
                    # Random bytes: zeros would take no room where the disk compresses.
                    self._path.write_bytes(os.urandom(self._size_bytes))
            except BaseException:
                self._path.unlink(missing_ok=True)
                raise

    def free(self) -> None:
        """Gives the room back, for the records that have to be written now."""
        with self._lock:
            self._path.unlink(missing_ok=True)

    @contextmanager
    def freed_when_full(self) -> Iterator[None]:
        """Frees the reserve, and raises OutOfSpace, when the block finds the disk full."""
        try:
            with telling_space(self._folder):
                yield
        except OutOfSpace:
            self.free()
            raise


def require_room(folder: Path, *, size_bytes: int = RESERVE_BYTES) -> None:
    """Raises OutOfSpace where a runner could not even keep its records."""
    try:
        here = (folder / FILE_NAME).stat().st_size
    except FileNotFoundError:
        here = 0
    if free_bytes(folder) + here < size_bytes:
        raise disk_full(folder)
