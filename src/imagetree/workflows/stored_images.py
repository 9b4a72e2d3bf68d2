"""The stored images of a release, read by SHA-256 from any number of threads and processes."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from imagetree.catalog import schema
from imagetree.core.errors import NotFound
from imagetree.images.place_index import PlaceIndex
from imagetree.images.shards import Place, ShardReader

# Fewer are looked up in the catalog one by one: the index of a large release takes seconds.
_FEW = 16


class StoredImages:
    """Reads images of one release; the first large read makes an index of all their places.

    A copy of it, in another process for instance, has the index and never asks the catalog.

    Example:
        read_many = StoredImages(engine, reader, "v1")
        first, second = read_many([sha256, other_sha256])
    """

    def __init__(self, engine: Engine, reader: ShardReader, release: str) -> None:
        self._engine: Engine | None = engine
        self._reader, self._release = reader, release
        self._index: PlaceIndex | None = None
        self._lock = threading.Lock()

    def __call__(self, sha256s: Sequence[str]) -> list[bytes]:
        """Their untouched bytes, in the order asked for, read in the order of the disk."""
        if self._index is None and self._engine is not None and len(sha256s) < _FEW:
            return [self._reader.read(place_of(self._engine, one)) for one in sha256s]
        return self._places().read_many(sha256s, self._reader)

    def _places(self) -> PlaceIndex:
        if self._index is not None:
            return self._index
        with self._lock:
            if self._index is None:
                assert self._engine is not None
                with self._engine.connect() as connection:
                    self._index = PlaceIndex.of(places(connection, self._release))
            return self._index

    def __getstate__(self) -> dict[str, Any]:
        return {"release": self._release, "index": self._places(), "reader": self._reader}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._engine, self._release = None, state["release"]
        self._index, self._reader = state["index"], copy.copy(state["reader"])
        self._lock = threading.Lock()


def places(connection: Connection, release: str) -> Iterator[tuple[str, Place]]:
    """Where each image of a release lies, in the order of the disk."""
    image, held = schema.image.c, schema.release_image.c
    statement = (
        sa.select(image.sha256, image.shard, image.offset, image.length)
        .join(schema.release_image, held.sha256 == image.sha256)
        .where(held.release == release)
        .order_by(image.shard, image.offset)
    )
    for row in connection.execute(statement):
        yield row.sha256, Place(shard=row.shard, offset=row.offset, length=row.length)


def place_of(engine: Engine, sha256: str) -> Place:
    """Where one image lies, now; NotFound for one that is not stored."""
    image = schema.image.c
    statement = sa.select(image.shard, image.offset, image.length).where(image.sha256 == sha256)
    with engine.connect() as connection:
        row = connection.execute(statement).first()
    if row is None:
        raise NotFound(f"No image {sha256} is stored here.", hint="Run imagetree release verify.")
    return Place(shard=row.shard, offset=row.offset, length=row.length)
