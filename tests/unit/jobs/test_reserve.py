"""The reserve: made while there is room, given back when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imagetree.core import space
from imagetree.core.errors import OutOfSpace
from imagetree.core.progress import Progress
from imagetree.jobs import reserve as module
from imagetree.jobs.progress_file import ProgressFile, read_progress
from imagetree.jobs.reserve import FILE_NAME, Reserve, require_room


def test_filled_and_freed(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, size_bytes=10_000)
    reserve.fill()
    path = tmp_path / FILE_NAME
    at = path.stat().st_mtime_ns
    assert path.stat().st_blocks * 512 >= 10_000, "it takes room indeed"
    reserve.fill()
    assert path.stat().st_mtime_ns == at
    with pytest.raises(OutOfSpace), reserve.freed_when_full():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not path.exists()
    with pytest.raises(KeyError), reserve.freed_when_full():
        raise KeyError
    reserve.free()


def test_half_a_reserve_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutOfSpace):
        Reserve(tmp_path).fill()
    assert not (tmp_path / FILE_NAME).exists()


def test_a_reserve_that_is_there_counts_as_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "free_bytes", lambda folder: 100)
    with pytest.raises(OutOfSpace, match=str(tmp_path)):
        require_room(tmp_path, size_bytes=5_000)
    (tmp_path / FILE_NAME).write_bytes(bytes(5_000))
    require_room(tmp_path, size_bytes=5_000)
    assert space.free_bytes(tmp_path) > 100


def test_progress_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("a file where a folder should be")
    ProgressFile(tmp_path / "progress", "job")(Progress(what="Counting", n_done=1))
    assert read_progress(tmp_path / "progress", "job") is None
