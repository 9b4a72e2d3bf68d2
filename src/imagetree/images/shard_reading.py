"""Reads single members of shards by place, from any number of threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imagetree.core.errors import IntegrityFailure, NotFound

MAX_OPEN = 64


@dataclass(frozen=True)
class Place:
    """Where a member's data lies: shard file name, first byte of the data, size in bytes."""

    shard: str
    offset: int
    length: int


class ShardReader:
    """Reads members of the shards in a folder; safe to share between threads.

    A copy of it, in another process for instance, opens the shards anew.
    """

    # Kept here because modules are emptied before the last readers go when Python ends.
    _close = staticmethod(os.close)

    def __init__(self, folder: Path, *, max_open: int = MAX_OPEN) -> None:
        self._folder = folder
        self._max_open = max_open
        self._fds: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ShardReader], tuple[Path]]:
        return type(self), (self._folder,)

    def read(self, place: Place) -> bytes:
        """The bytes of one member; NotFound without the shard, IntegrityFailure when short."""
        fd = self._duplicate(place.shard)
        try:
            data = os.pread(fd, place.length, place.offset)
        finally:
            os.close(fd)
        if len(data) != place.length:
            raise IntegrityFailure(
                f"{place.shard} ends before byte {place.offset + place.length}.",
                hint="Run imagetree check.",
            )
        return data

    def read_many(self, places: Iterable[Place]) -> Iterator[tuple[Place, bytes]]:
        """Every place with its bytes, in the order of the disk."""
        for place in sorted(places, key=lambda one: (one.shard, one.offset)):
            yield place, self.read(place)

    def _duplicate(self, shard: str) -> int:
        """A descriptor of the caller's own: another thread may evict the cached one."""
        with self._lock:
            if shard not in self._fds:
                if "/" in shard or shard.startswith("."):
                    raise NotFound(f"{shard!r} is not the name of a shard.")
                try:
                    self._fds[shard] = os.open(self._folder / shard, os.O_RDONLY)
                except FileNotFoundError as error:
                    raise NotFound(
                        f"There is no shard {self._folder / shard}.", hint="Run imagetree check."
                    ) from error
                while len(self._fds) > self._max_open:
                    os.close(self._fds.popitem(last=False)[1])
            self._fds.move_to_end(shard)
            return os.dup(self._fds[shard])

    def close(self) -> None:
        """Closes the shards; a later read opens them again."""
        with self._lock:
            while self._fds:
                self._close(self._fds.popitem()[1])

    def __del__(self) -> None:
        self.close()


def read_member(folder: Path, place: Place) -> bytes:
    """The bytes of one member, from a shard opened for this one read."""
    reader = ShardReader(folder)
    try:
        return reader.read(place)
    finally:
        reader.close()
