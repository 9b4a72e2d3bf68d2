"""A full disk is recognised whoever tells of it; other troubles stay what they are."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from imagetree.core import space
from imagetree.core.errors import OutOfSpace
from imagetree.core.space import out_of_space, telling_space


class DriverError(Exception):
    """What psycopg raises has a `sqlstate`."""

    sqlstate = "53100"


class Wrapped(Exception):
    """What SQLAlchemy raises has the driver's error as `orig`."""

    def __init__(self, orig: Exception) -> None:
        super().__init__("(...)")
        self.orig = orig


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
        Wrapped(sqlite3.OperationalError("database or disk is full")),
        Wrapped(DriverError("could not extend file")),
    ],
)
def test_a_full_disk_is_out_of_space(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(OutOfSpace, match=f"{tmp_path} is full.*safe.*run the same command"):
        with telling_space(tmp_path):
            raise error
    assert out_of_space(error) is not None


def test_other_troubles_stay(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "no"), sqlite3.OperationalError("no such table"), KeyError):
        with pytest.raises(type(error) if isinstance(error, Exception) else error):
            with telling_space(tmp_path):
                raise error


def test_an_unclear_error_counts_only_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    assert out_of_space(error, folder=tmp_path) is None
    monkeypatch.setattr(space, "free_bytes", lambda folder: 0)
    assert out_of_space(error, folder=tmp_path) is not None
    assert out_of_space(error) is None, "which disk is not known"


def test_the_first_to_tell_is_heard(tmp_path: Path) -> None:
    with pytest.raises(OutOfSpace, match="memory"), telling_space(tmp_path):
        raise OutOfSpace("The memory is full.")
