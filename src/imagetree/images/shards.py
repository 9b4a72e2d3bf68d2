"""Append-only tar shards: one writer, any number of readers, a place for every member.

shard = member*            open: ends at the last whole member
shard = member* 0x00*1024  sealed: two zero blocks, never appended to again
member = header (512 bytes, ustar) + data + padding to 512 bytes; named by its SHA-256
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

from imagetree.core.errors import Busy, IntegrityFailure, NotFound
from imagetree.core.space import telling_space
from imagetree.images.shard_reading import Place, ShardReader, read_member

__all__ = [
    "Finding",
    "Member",
    "Place",
    "ShardReader",
    "ShardSeries",
    "ShardWriter",
    "read_member",
    "remove",
    "scan",
    "verify",
]

BLOCK = 512
END = bytes(2 * BLOCK)
REMOVED = "removed/"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One whole member of a shard; `sha256` is None where the name is not a hash."""

    sha256: str | None
    name: str
    place: Place
    removed: bool


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong in a shard: code missing, misplaced, changed or torn_tail."""

    code: str
    sha256: str | None
    place: Place | None
    reason: str


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


@cache
def _blank_header(mtime: int) -> bytes:
    """A header without name and size, its checksum's field blank as it is counted."""
    info = tarfile.TarInfo()
    info.mtime, info.mode = mtime, 0o644
    block = info.tobuf(tarfile.GNU_FORMAT)
    return block[:148] + b" " * 8 + block[156:]


def _header(name: str, length: int, *, mtime: int = 0) -> bytes:
    """What `tarfile` would write, in a fifth of its time: there are two members an image."""
    block = bytearray(_blank_header(mtime))
    block[: len(name)] = name.encode("ascii")
    block[124:136] = b"%011o\0" % length
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def scan(path: Path, *, start: int = 0) -> Iterator[Member]:
    """The whole members of a shard in order; ends quietly before a torn tail.

    `start` is the byte where a member's header is known to begin.

    Example:
        >>> list(scan(Path("shards/images-000000.tar")))  # doctest: +SKIP
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"There is no shard {path}.") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        while start + BLOCK <= size:
            file.seek(start)
            try:
                info = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
            except tarfile.HeaderError:
                return
            end = start + BLOCK + _padded(info.size)
            if info.size < 0 or end > size:
                return
            removed = info.name.startswith(REMOVED)
            bare = info.name.removeprefix(REMOVED)
            yield Member(
                sha256=bare if _SHA256.fullmatch(bare) else None,
                name=info.name,
                place=Place(shard=path.name, offset=start + BLOCK, length=info.size),
                removed=removed,
            )
            start = end


def _end_of_members(path: Path, start: int = 0) -> int:
    end = min(start, path.stat().st_size)
    for member in scan(path, start=start):
        end = member.place.offset + _padded(member.place.length)
    return end


def _is_sealed(path: Path) -> bool:
    """True when two zero blocks stand right after the last whole member."""
    size = path.stat().st_size
    if size < len(END):
        return False
    with path.open("rb") as file:
        file.seek(-len(END), os.SEEK_END)
        if file.read() != END:
            return False
    return _end_of_members(path) == size - len(END)


def verify(path: Path, expected: Mapping[str, Place]) -> Iterator[Finding]:
    """What is wrong with a shard, after hashing every byte of it again.

    `expected` maps each SHA-256 that the catalog has in this shard to its place.
    """
    seen: set[str] = set()
    reader = ShardReader(path.parent)
    end = 0
    try:
        for member in scan(path):
            end = member.place.offset + _padded(member.place.length)
            if member.removed or member.sha256 is None:
                continue
            digest = hashlib.sha256(reader.read(member.place)).hexdigest()
            wanted = expected.get(member.sha256)
            if digest != member.sha256:
                reason = f"the bytes of {member.sha256} in {path.name} have changed"
                yield Finding(
                    code="changed", sha256=member.sha256, place=member.place, reason=reason
                )
            if wanted == member.place:
                seen.add(member.sha256)
        for sha256, place in expected.items():
            if sha256 not in seen:
                reason = f"{sha256} is not at {place.shard}:{place.offset} as catalogued"
                yield Finding(code="missing", sha256=sha256, place=place, reason=reason)
    finally:
        reader.close()
    with path.open("rb") as file:
        file.seek(end)
        tail = file.read(len(END) + 1)
    if tail not in (b"", END):
        reason = f"{path.name} is torn after byte {end}"
        yield Finding(code="torn_tail", sha256=None, place=None, reason=reason)


def remove(path: Path, place: Place) -> None:
    """Zeroes a member's data in place and renames it `removed/<sha256>`; offsets stay."""
    with path.open("r+b") as file:
        file.seek(place.offset - BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise IntegrityFailure(
                f"No member starts at byte {place.offset} of {path.name}.",
                hint="Run imagetree check.",
            ) from error
        if info.size != place.length:
            raise IntegrityFailure(
                f"{path.name} holds {info.size} bytes at {place.offset}, not {place.length}.",
                hint="Run imagetree check.",
            )
        # Data first: after a crash between the two a second call finishes the work.
        file.seek(place.offset)
        for start in range(0, place.length, 1 << 20):
            file.write(bytes(min(1 << 20, place.length - start)))
        file.flush()
        os.fsync(file.fileno())
        name = REMOVED + info.name.removeprefix(REMOVED)
        file.seek(place.offset - BLOCK)
        file.write(_header(name, info.size, mtime=int(info.mtime)))
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class ShardSeries:
    """A folder of shards `<prefix>-000000.tar`, `<prefix>-000001.tar`, ..."""

    folder: Path
    prefix: str = "images"
    seal_bytes: int = 1_000_000_000

    def paths(self) -> list[Path]:
        """The shards there are, in the order they were written."""
        return sorted(self.folder.glob(f"{self.prefix}-*.tar"))

    def writer(
        self, catalogued_end: Callable[[str], int], *, timeout_s: float = 0.0
    ) -> ShardWriter:
        """The one writer of this series; Busy names the process that writes already."""
        return ShardWriter(self, catalogued_end, timeout_s=timeout_s)


class ShardWriter:
    """Appends members to the open shard, under an exclusive lock; a context manager."""

    def __init__(
        self, series: ShardSeries, catalogued_end: Callable[[str], int], *, timeout_s: float
    ) -> None:
        self._series = series
        self._catalogued_end = catalogued_end
        self._adopted: dict[str, Place] = {}
        self._fd = -1
        self._lock = -1
        with telling_space(series.folder):
            series.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(series.folder / f".{series.prefix}.lock", timeout_s)
            try:
                self._recover()
            except BaseException:
                self.close()
                raise
        # Where this writer began: what it appends lies behind, until rows are committed.
        self._begun = (self._number, self._end)

    def _recover(self) -> None:
        paths = self._series.paths()
        self._number = _number_of(paths[-1]) if paths else 0
        # A batch may have rolled over before its rows were committed: look back to the first
        # shard that the catalog knows.
        for path in reversed(paths):
            # Batches open a writer each: a look at the whole shard would make collecting slower
            # with every image, so what is catalogued already is left to `imagetree check`.
            known = _padded(self._catalogued_end(path.name))
            for member in scan(path, start=known):
                if member.sha256 and not member.removed:
                    data = read_member(path.parent, member.place)
                    if hashlib.sha256(data).hexdigest() == member.sha256:
                        self._adopted[member.sha256] = member.place
            if known:
                break
        if paths and _is_sealed(paths[-1]):
            self._number += 1
        known = _padded(self._catalogued_end(self._path.name))
        whole = _end_of_members(self._path, known) if self._path.exists() else 0
        if whole < known:
            raise IntegrityFailure(
                f"{self._path.name} is damaged at byte {whole}, before catalogued images end "
                f"at {known}; nothing was cut.",
                hint="Run imagetree check.",
            )
        self._open()
        os.ftruncate(self._fd, whole)
        self._end = whole

    @property
    def _path(self) -> Path:
        return self._series.folder / f"{self._series.prefix}-{self._number:06d}.tar"

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        self._end = 0
        folder = os.open(self._series.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, sha256: str, data: bytes, *, mtime: int = 0) -> Place:
        """Where the bytes lie now; bytes that a crash left without rows are not written again."""
        if sha256 in self._adopted:
            return self._adopted[sha256]
        length = BLOCK + _padded(len(data))
        if self._end and self._end + length > self._series.seal_bytes:
            self._seal()
        padding = bytes(_padded(len(data)) - len(data))
        self._write(_header(sha256, len(data), mtime=mtime) + data + padding)
        place = Place(shard=self._path.name, offset=self._end + BLOCK, length=len(data))
        self._end += length
        self._adopted[sha256] = place
        return place

    def _write(self, block: bytes) -> None:
        view, at = memoryview(block), self._end
        try:
            with telling_space(self._series.folder):
                while view:
                    n_written = os.pwrite(self._fd, view, at)
                    view, at = view[n_written:], at + n_written
        except BaseException:
            os.ftruncate(self._fd, self._end)
            raise

    def _seal(self) -> None:
        self._write(END)
        self.flush()
        os.close(self._fd)
        self._fd = -1
        self._number += 1
        with telling_space(self._series.folder):
            self._open()

    def flush(self) -> None:
        """Brings all that was appended to the disk; only then may rows be committed."""
        with telling_space(self._series.folder):
            os.fsync(self._fd)

    def take_back(self) -> None:
        """Cuts off what this writer appended and no row names, and closes the writer.

        For a batch that failed: its bytes would only fill a full disk. The catalog is asked
        again, so bytes whose rows were committed after all stay.
        """
        os.close(self._fd)
        self._fd = -1
        number, end = self._begun
        for path in reversed(self._series.paths()):
            this = _number_of(path)
            named = _padded(self._catalogued_end(path.name))
            if this > number and not named:
                path.unlink()
                continue
            if this >= number:
                os.truncate(path, max(named, end if this == number else 0))
            break

    def close(self) -> None:
        """Lets go of the shard and the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _number_of(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[1])


def _lock(path: Path, timeout_s: float) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= until:
                pid = os.pread(fd, 32, 0).decode(errors="replace").strip("\0 \n") or "unknown"
                os.close(fd)
                raise Busy(
                    f"Process {pid} is writing to {path.parent}.",
                    hint="Wait until it is done, or stop it, and try again.",
                ) from None
            time.sleep(0.02)
    try:
        # Fixed width and never truncated: a reader sees a whole number at any moment.
        os.pwrite(fd, f"{os.getpid():<20}\n".encode(), 0)
    except OSError:
        os.close(fd)
        raise
    return fd
