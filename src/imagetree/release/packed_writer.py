"""Writes a packed copy: hidden until it is whole, and gone on with after a kill.

    releases/v1/.packed-400-q90.part/
      journal.jsonl      a line a commit: where the open shard ended, and the rows since the last
      train-000000.tar   whole up to the last commit; what lies behind it is cut away

A commit brings the shards to the disk first and its line second, so a line never promises what
is not there. The bytes follow from the order of `add` alone, not from when commits were made.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import Busy, IntegrityFailure, OutOfSpace
from imagetree.images.place_index import PlaceIndex
from imagetree.release.packed import FACTS, FORMAT, INDEX, find_folders, write_index

JOURNAL = "journal.jsonl"
SHARD_BYTES = 1_000_000_000
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True)
class PackedImage:
    """One image to write: its file, whether that was kept as coded, and its class, if told."""

    sha256: str
    split: str
    data: bytes
    extension: str
    width_px: int
    height_px: int
    kept: bool
    label: int | None


class _Ledger:
    """What is committed, a hundred bytes an image: there may be millions.

    A row is (SHA-256, shard, offset, length, width, height, kept, split, SHA-256 of the file).
    """

    def __init__(self) -> None:
        self.shard, self.end = "", 0
        self.rejects: list[list[str]] = []
        self.splits: Counter[str] = Counter()
        self.n_kept = 0
        self._digest = hashlib.sha256()
        self._hashes = bytearray()
        self._shards: dict[str, int] = {}
        self._numbers = array("q")  # shard, offset, length, width, height of each image

    def add(self, line: Mapping[str, Any]) -> None:
        """Adds a line of the journal."""
        for row in line["rows"]:
            sha256, shard, offset, length, width_px, height_px, kept, split, _ = row
            self._digest.update(_line(row))
            self._hashes += bytes.fromhex(sha256)
            number = self._shards.setdefault(shard, len(self._shards))
            self._numbers.extend((number, offset, length, width_px, height_px))
            self.splits[split] += 1
            self.n_kept += kept
        self.rejects += line["rejects"]
        self.shard, self.end = line["shard"], line["end"]

    def __len__(self) -> int:
        return len(self._hashes) // 32

    @property
    def shards(self) -> tuple[str, ...]:
        return tuple(self._shards)

    @property
    def copy_id(self) -> str:
        return self._digest.hexdigest()

    def index(self) -> tuple[PlaceIndex, NDArray[np.int32]]:
        """The index of the copy and the sizes (N, 2), in the index's order."""
        hashes = np.frombuffer(bytes(self._hashes), dtype="S32")
        numbers = np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, 5)
        order = np.argsort(hashes)
        shard, offset, length = numbers[order, :3].T.copy()
        index = PlaceIndex(
            sha256=hashes[order],
            shards=self.shards,
            shard=shard.astype(np.int32),
            offset=offset,
            length=length.astype(np.int32),
        )
        return index, numbers[order, 3:].astype(np.int32)


@dataclass
class _New:
    """What was added since the last commit, as its line in the journal will tell it."""

    shard: str
    end: int
    rows: list[list[Any]] = field(default_factory=list)
    rejects: list[list[str]] = field(default_factory=list)


class PackedWriter:
    """Writes one packed copy into `folder`; `facts` say what it is made of and how.

    `facts["splits"]` are the names of its splits; the rest is as in `PackedCopy`.

    What an earlier writer with the same facts committed is kept: `n_done` images of it are done,
    in the order in which they were added. Busy when another process packs the same release.

    Example:
        with PackedWriter.open(folder, facts) as writer:
            for image in images[writer.n_done :]:
                writer.add(image)
            writer.finish()
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, shard_bytes: int) -> None:
        self._folder = folder
        self._part = folder.with_name(f".{folder.name}.part")
        self._facts, self._shard_bytes = dict(facts), shard_bytes
        self._done, self._new = _Ledger(), _New("", 0)
        self._shard = self._journal = -1
        self._resume()

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, facts: Mapping[str, Any], *, shard_bytes: int = SHARD_BYTES
    ) -> Iterator[PackedWriter]:
        """The writer, while nobody else packs this release; OutOfSpace when the disk is full."""
        with _alone(folder.parent):
            writer = None
            try:
                writer = cls(folder, facts, shard_bytes=shard_bytes)
                yield writer
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise OutOfSpace(
                    f"The disk that holds {folder.parent} is full; what was packed so far is kept.",
                    hint="Free some space and run the same command again: it goes on there.",
                ) from error
            finally:
                if writer is not None:
                    writer._close()

    @property
    def n_done(self) -> int:
        """Images that were added or rejected so far, those of earlier writers included."""
        n_new = len(self._new.rows) + len(self._new.rejects)
        return len(self._done) + len(self._done.rejects) + n_new

    @property
    def n_packed(self) -> int:
        """Images that were added, those of earlier writers included."""
        return len(self._done) + len(self._new.rows)

    # ---- going on ----

    def _resume(self) -> None:
        path = self._part / JOURNAL
        length = 0
        try:
            with path.open("rb") as stream:
                if _read(stream.readline()) == self._facts:
                    length = stream.tell()
                    for text in stream:
                        line = _read(text)
                        if line is None:
                            break
                        self._done.add(line)
                        length += len(text)
        except FileNotFoundError:
            pass
        if not length:
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.mkdir(parents=True)
        self._journal = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._journal, length)
        if not length:
            _write(self._journal, _line(self._facts))
        self._cut()
        self._new = _New(self._done.shard, self._done.end)

    def _cut(self) -> None:
        """Cuts away what was written behind the last commit."""
        for path in self._part.glob("*.tar"):
            if path.name not in self._done.shards:
                path.unlink()
        if self._done.shard:
            self._shard = os.open(self._part / self._done.shard, os.O_RDWR)
            if os.fstat(self._shard).st_size < self._done.end:
                raise IntegrityFailure(
                    f"{self._part / self._done.shard} is shorter than what was packed.",
                    hint=f"Delete {self._part} and pack again.",
                )
            os.ftruncate(self._shard, self._done.end)
            os.lseek(self._shard, self._done.end, os.SEEK_SET)

    # ---- writing ----

    def add(self, image: PackedImage) -> None:
        """Writes an image behind the last one; a split's images must come one after another."""
        members = [(f"{image.sha256}.{image.extension}", image.data)]
        if image.label is not None:
            members.append((f"{image.sha256}.cls", str(image.label).encode()))
        block = b"".join(_member(name, data) for name, data in members)
        self._make_room(image.split, len(block))
        new = self._new
        row = [image.sha256, new.shard, new.end + _BLOCK, len(image.data)]
        row += [image.width_px, image.height_px, image.kept, image.split]
        _write(self._shard, block)
        new.rows.append([*row, hashlib.sha256(image.data).hexdigest()])
        new.end += len(block)

    def reject(self, sha256: str, code: str, reason: str) -> None:
        """Notes an image that could not be packed, in place of adding it."""
        self._new.rejects.append([sha256, code, reason])

    def commit(self) -> None:
        """Brings all that was added to the disk: a later writer goes on behind it."""
        if self._shard >= 0:
            os.fsync(self._shard)
        _write(self._journal, _line(vars(self._new)))
        os.fsync(self._journal)
        self._done.add(vars(self._new))
        self._new = _New(self._done.shard, self._done.end)

    def _make_room(self, split: str, n_bytes: int) -> None:
        """Opens the split's next shard where the open one is another split's, or full."""
        new = self._new
        series, _, number = new.shard.removesuffix(".tar").rpartition("-")
        if series == split and (new.end == 0 or new.end + n_bytes <= self._shard_bytes):
            return
        self._end_shard()
        new.shard = f"{split}-{int(number) + 1 if series == split else 0:06d}.tar"
        new.end = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        self._shard = os.open(self._part / new.shard, flags, 0o644)

    def _end_shard(self) -> None:
        if self._shard >= 0:
            _write(self._shard, _END)
            os.fsync(self._shard)
            os.close(self._shard)
            self._shard = -1

    # ---- ending ----

    def finish(self) -> None:
        """Makes the copy whole, and visible under its name."""
        self.commit()
        self._end_shard()
        index, sizes = self._done.index()
        write_index(self._part / INDEX, index, sizes)
        facts = self._facts | self._counts() | {"format": FORMAT, "shards": index.shards}
        text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
        (self._part / FACTS).write_text(text + "\n", encoding="utf-8")
        for path in (self._part / INDEX, self._part / FACTS, self._part):
            _sync(path)
        self._part.rename(self._folder)
        _sync(self._folder.parent)
        (self._folder / JOURNAL).unlink(missing_ok=True)

    def _counts(self) -> dict[str, Any]:
        done = self._done
        return {
            "copy_id": done.copy_id,
            "n_images": len(done),
            "n_kept": done.n_kept,
            "n_bytes": sum(path.stat().st_size for path in self._part.glob("*.tar")),
            "splits": {split: done.splits[split] for split in self._facts["splits"]},
            "rejects": done.rejects,
        }

    def _close(self) -> None:
        for descriptor in (self._shard, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._shard = self._journal = -1


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds a release's folder for this process while it packs."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                f"Another process packs release {folder.name}.", hint="Wait until it is done."
            ) from error
        yield
    finally:
        os.close(descriptor)


def _member(name: str, data: bytes) -> bytes:
    """A member of a tar: nothing in it depends on when or by whom it is written."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    padding = bytes(-len(data) % _BLOCK)
    return info.tobuf(tarfile.GNU_FORMAT) + data + padding


def _line(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _read(text: bytes) -> Any:
    """A line of the journal; None for one that was not written to its end."""
    try:
        return json.loads(text) if text.endswith(b"\n") else None
    except ValueError:
        return None


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_copy(release_folder: Path, name: str) -> int:
    """Bytes freed by deleting a packed copy, unfinished work on it included; 0 if there is none.

    It is out of sight at once, even if deleting it is interrupted.
    """
    with _alone(release_folder):
        whole, gone = release_folder / name, release_folder / f".{name}.gone"
        folders = find_folders(release_folder, name)
        n_bytes = sum(path.stat().st_size for one in folders for path in one.iterdir())
        if whole in folders:
            shutil.rmtree(gone, ignore_errors=True)
            whole.rename(gone)
        for folder in (gone, release_folder / f".{name}.part"):
            shutil.rmtree(folder, ignore_errors=True)
    return n_bytes
