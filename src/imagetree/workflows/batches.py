"""A source's items, read and prepared by threads a little ahead of the batch that is stored.

    items -> groups (threads: read, hash, ask the catalog, decode what is new) -> batches -> store

A group is asked of the catalog by one statement, and costs the threads one hand-over: handing
over each small photo by itself would take a third of the time of preparing it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from imagetree.catalog.writing import now
from imagetree.collect.source import Item, Rejected, Source
from imagetree.core.errors import DamagedImage, ImagetreeError, OutOfSpace
from imagetree.images.decode import DEFAULT_LIMITS, count_pixels
from imagetree.images.fingerprints import Prepared, prepare
from imagetree.images.memory import give_back
from imagetree.jobs.steps import Params
from imagetree.workflows.context import Context
from imagetree.workflows.ingest import Found, Refused, known_images, locations_done, store

BATCH_ITEMS = 256
BATCH_BYTES = 64_000_000
# What the threads may hold beside the batch that is being stored: enough to keep them at work
# meanwhile, and no more, whatever the size of the images.
AHEAD_ITEMS = 320
AHEAD_BYTES = 64_000_000
GROUP_ITEMS = 16
GROUP_BYTES = 2_000_000
# Taken for an item whose size is known only once it is read.
UNKNOWN_BYTES = 500_000

# Images of so many pixels are decoded one at a time: each takes hundreds of megabytes. Only a
# JPEG of few bytes is taken for small without a look at its header.
LARGE_PIXELS = 16_000_000
LARGE_BYTES = 100_000
JPEG = b"\xff\xd8"

Outcome = Found | Refused


@dataclass(frozen=True)
class _Group:
    """Items on their way through a thread, and the bytes that they are counted as."""

    future: Future[list[Outcome]]
    n_items: int
    n_bytes: int


@dataclass(frozen=True)
class _Read:
    """An item with its bytes, not decoded yet."""

    item: Item
    data: bytes
    sha256: str


class Batches:
    """What is left of a source for one collection, stored batch by batch."""

    def __init__(
        self,
        context: Context,
        source: Source,
        collection_id: int,
        params: Params,
        *,
        wnids: dict[str, str],
        refused: dict[str, str],
    ) -> None:
        self._context = context
        self._collection_id = collection_id
        self._wnids = wnids
        self._refused = refused
        self._wnid = params.get("wnid")
        self._claim = "candidate" if params.get("as_candidates") else "label"
        self._source = source
        self._large = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self._ahead: deque[_Group] = deque()
        self._ready: deque[Outcome] = deque()
        self._items = self._fresh()
        self.n_skipped = 0

    def close(self) -> None:
        """Ends the threads; work that has not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fresh(self) -> Iterator[Item | Rejected]:
        """Items that this collection has no rows for yet."""
        items = iter(self._source.items())
        while group := list(islice(items, BATCH_ITEMS)):
            done = locations_done(
                self._context, self._collection_id, [item.location for item in group]
            )
            self.n_skipped += len(done)
            yield from (item for item in group if item.location not in done)

    def store_next(self) -> dict[str, Any]:
        """Stores the next batch; counts of what became of it, and whether it was the last."""
        found: list[Found] = []
        refused: list[Refused] = []
        n_bytes = 0
        while len(found) + len(refused) < BATCH_ITEMS and n_bytes < BATCH_BYTES:
            if not self._ready:
                self._fill()
                if not self._ahead:
                    break
                self._ready.extend(self._ahead.popleft().future.result())
                continue
            outcome = self._ready.popleft()
            if isinstance(outcome, Refused):
                refused.append(outcome)
            else:
                found.append(outcome)
                n_bytes += len(outcome.data)
        # The threads go on with these while the batch is written.
        self._fill()
        counts = store(self._context, self._collection_id, found, refused=refused)
        return counts | {"done": not self._ahead and not self._ready}

    def _fill(self) -> None:
        """Hands groups to the threads until enough is on its way, or the source has ended."""
        n_items = sum(group.n_items for group in self._ahead)
        n_bytes = sum(group.n_bytes for group in self._ahead)
        while n_items < AHEAD_ITEMS and n_bytes < AHEAD_BYTES:
            items: list[Item | Rejected] = []
            size_bytes = 0
            while len(items) < GROUP_ITEMS and size_bytes < GROUP_BYTES:
                item = next(self._items, None)
                if item is None:
                    break
                items.append(item)
                size_bytes += _size_bytes(item)
            if not items:
                return
            future = self._pool.submit(self._prepare_group, items)
            self._ahead.append(_Group(future, len(items), size_bytes))
            n_items, n_bytes = n_items + len(items), n_bytes + size_bytes

    def _prepare_group(self, items: Sequence[Item | Rejected]) -> list[Outcome]:
        """What becomes of each item; images that are catalogued already are not decoded."""
        read = [self._read(item) for item in items]
        hashes = [one.sha256 for one in read if isinstance(one, _Read)]
        known: dict[str, int] = {}
        if hashes:
            with self._context.engine.connect() as connection:
                known = known_images(connection, hashes)
        return [
            self._outcome(one, is_known=one.sha256 in known) if isinstance(one, _Read) else one
            for one in read
        ]

    def _read(self, item: Item | Rejected) -> _Read | Refused:
        """An item's bytes, or why they are not wanted or cannot be had."""
        if isinstance(item, Rejected):
            return Refused(location=item.location, code=item.code, reason=item.reason)
        wnid, _ = self._claim_of(item)
        if wnid and wnid in self._refused:
            return Refused(
                location=item.location, code="refused_synset", reason=self._refused[wnid]
            )
        if (size_bytes := _size_bytes(item)) > DEFAULT_LIMITS.max_bytes:
            reason = f"The file has {size_bytes:,} bytes, more than {DEFAULT_LIMITS.max_bytes:,}."
            return Refused(location=item.location, code="too_many_bytes", reason=reason)
        try:
            data = item.data() if callable(item.data) else item.data
        except OutOfSpace:
            raise
        except ImagetreeError as error:
            return Refused(location=item.location, code=error.code, reason=error.message)
        except OSError as error:
            reason = f"could not be read: {error.strerror or error}"
            return Refused(location=item.location, code="unreadable", reason=reason)
        return _Read(item, data, hashlib.sha256(data).hexdigest())

    def _outcome(self, read: _Read, *, is_known: bool) -> Outcome:
        item = read.item
        try:
            prepared = None if is_known else self._prepare(read.data)
        except DamagedImage as error:
            return Refused(location=item.location, code=error.reason_code, reason=error.message)
        wnid, claim = self._claim_of(item)
        return Found(
            location=item.location,
            data=read.data,
            sha256=read.sha256,
            prepared=prepared,
            wnid=wnid,
            claim=claim,
            author=item.author or "",
            licence=item.licence or "",
            retrieved_at=item.retrieved_at or now(),
        )

    def _prepare(self, data: bytes) -> Prepared:
        # A look at the header takes a fiftieth of what it saves a machine of many cores.
        small = len(data) < LARGE_BYTES and data.startswith(JPEG)
        if small or count_pixels(data) < LARGE_PIXELS:
            return prepare(data)
        with self._large:
            try:
                return prepare(data)
            finally:
                give_back()

    def _claim_of(self, item: Item) -> tuple[str | None, str | None]:
        """The synset that the item is said to show, and with what weight."""
        wnid = item.wnid or self._wnids.get(item.label_text or "")
        if wnid:
            return wnid, item.claim or self._claim
        # A source without labels: what was asked for is a proposal, not a label.
        return self._wnid, "candidate" if self._wnid else None


def _size_bytes(item: Item | Rejected) -> int:
    """The bytes that an item will take in memory, as far as it is known before it is read."""
    if isinstance(item, Rejected):
        return 0
    if isinstance(item.data, bytes):
        return len(item.data)
    return UNKNOWN_BYTES if item.size_bytes is None else item.size_bytes
