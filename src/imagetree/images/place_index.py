"""Where many members lie, by SHA-256: sorted arrays, 50 bytes a member, found by bisection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import NotFound
from imagetree.images.shard_reading import Place, ShardReader


@dataclass(frozen=True)
class PlaceIndex:
    """Places of N members, sorted by `sha256` (N,) of dtype S32, the hashes as 32 bytes.

    `shard` (N,) counts into `shards`; `offset` and `length` (N,) are bytes. It pickles quickly.

    Example:
        >>> index = PlaceIndex.of([("ab" * 32, Place("images-000000.tar", 512, 9))])
        >>> index.place(index.rows(["ab" * 32])[0]).offset
        512
    """

    sha256: NDArray[np.bytes_]
    shards: tuple[str, ...]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    length: NDArray[np.int32]

    @classmethod
    def of(cls, places: Iterable[tuple[str, Place]]) -> PlaceIndex:
        """The index of (SHA-256, place) pairs in any order."""
        numbers: dict[str, int] = {}
        hashes, shard, offset, length = bytearray(), [], [], []
        for sha256, place in places:
            hashes += bytes.fromhex(sha256)
            shard.append(numbers.setdefault(place.shard, len(numbers)))
            offset.append(place.offset)
            length.append(place.length)
        names = np.frombuffer(bytes(hashes), dtype="S32")
        order = np.argsort(names)
        return cls(
            sha256=names[order],
            shards=tuple(numbers),
            shard=np.array(shard, dtype=np.int32)[order],
            offset=np.array(offset, dtype=np.int64)[order],
            length=np.array(length, dtype=np.int32)[order],
        )

    def __len__(self) -> int:
        return len(self.sha256)

    def find(self, sha256s: Sequence[str]) -> NDArray[np.intp]:
        """The row of each, -1 for those that are not in it."""
        wanted = np.frombuffer(bytes.fromhex("".join(sha256s)), dtype="S32")
        if not len(self):
            return np.full(len(wanted), -1, dtype=np.intp)
        rows = np.minimum(np.searchsorted(self.sha256, wanted), len(self) - 1)
        return np.where(self.sha256[rows] == wanted, rows, -1)

    def rows(self, sha256s: Sequence[str]) -> NDArray[np.intp]:
        """The row of each; NotFound names the first that is not in it."""
        found = self.find(sha256s)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            raise NotFound(f"No image {sha256s[missing[0]]} is stored here.")
        return found

    def place(self, row: int | np.intp) -> Place:
        """The place of one row."""
        return Place(
            shard=self.shards[self.shard[row]],
            offset=int(self.offset[row]),
            length=int(self.length[row]),
        )

    def read_many(self, sha256s: Sequence[str], reader: ShardReader) -> list[bytes]:
        """The members' bytes in the order asked for, read in the order of the disk."""
        places = [self.place(row) for row in self.rows(sha256s)]
        found = dict(reader.read_many(places))
        return [found[place] for place in places]
