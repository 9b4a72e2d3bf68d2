"""A full disk, recognised whoever tells of it, and told in the same words everywhere.

The kernel says ENOSPC or EDQUOT, SQLite "database or disk is full" or, where its shared memory
found no room, a plain "disk I/O error"; PostgreSQL says 53100. All of them become OutOfSpace.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetree.core.errors import OutOfSpace

HINT = "Free some space and run the same command again: it goes on where it stopped."

_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
_SQLITE_FULL = "database or disk is full"
# What SQLite says when it cannot make or enlarge a file, for whatever reason.
_SQLITE_PERHAPS = ("disk I/O error", "unable to open database file")
_POSTGRESQL_FULL = "53100"
# Less than one page of SQLite's shared memory: nothing can be written any more.
FULL_BELOW_BYTES = 64 * 1024


def free_bytes(folder: Path) -> int:
    """How much may still be written to the disk that holds a folder."""
    return shutil.disk_usage(folder).free


def out_of_space(error: BaseException, *, folder: Path | None = None) -> OutOfSpace | None:
    """The OutOfSpace that an error stands for; None when it tells of something else.

    `folder` is on the disk in question: it is named to the user, and looked at where the error
    alone does not say enough.
    """
    if isinstance(error, OutOfSpace):
        return error
    # SQLAlchemy keeps the driver's error as `orig`.
    said = getattr(error, "orig", None) or error
    full = (
        (isinstance(said, OSError) and said.errno in _ERRNOS)
        or _SQLITE_FULL in str(said)
        or getattr(said, "sqlstate", None) == _POSTGRESQL_FULL
        or (folder is not None and _is_perhaps(str(said)) and free_bytes(folder) < FULL_BELOW_BYTES)
    )
    return disk_full(folder or _named(said)) if full else None


def _is_perhaps(text: str) -> bool:
    return any(one in text for one in _SQLITE_PERHAPS)


def _named(error: BaseException) -> Path | None:
    name = getattr(error, "filename", None)
    return Path(name) if isinstance(name, str) else None


def disk_full(folder: Path | None = None) -> OutOfSpace:
    """The error that tells of a full disk: what is safe, and what to do."""
    which = f"The disk that holds {folder}" if folder else "The disk"
    return OutOfSpace(f"{which} is full. All images reported as stored are safe.", hint=HINT)


@contextmanager
def telling_space(folder: Path | None = None) -> Iterator[None]:
    """Raises OutOfSpace for whatever the block raises that tells of a full disk."""
    try:
        yield
    except Exception as error:
        full = out_of_space(error, folder=folder)
        if full is None or full is error:
            raise
        raise full from error
