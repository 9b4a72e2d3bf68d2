"""The changes of one event: in the event's row while they are few, else in a payload file.

A payload is JSON, one change a line, so that neither writing nor reading a big one needs more
memory than a line:

    [
    {"op":"insert","rows":[{...},{...}],"table":"image"},
    {"op":"add","rows":[{...}],"table":"synset_count"}
    ]

It is named by the SHA-256 of this text and kept compressed: events/ab/abcdef....json.gz.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from imagetree.core.errors import IntegrityFailure
from imagetree.core.space import telling_space

Row = Mapping[str, Any]
# What was changed: {"op": ..., "table": ..., "rows": [...]}; see `catalog/writing.py`.
Change = dict[str, Any]

# Above this an event's changes go to a file of their own, and the row keeps its hash.
INLINE_BYTES = 16_384
# Rows of one change, one line of a payload; more become several changes.
ROWS_A_CHANGE = 1_000
# zlib's word for its largest window with gzip's header, which holds neither name nor time: the
# same changes give the same file.
GZIP_WBITS = 31


def in_parts(rows: Iterable[Row]) -> Iterator[list[dict[str, Any]]]:
    """Copies of the rows, as many at a time as go into one change."""
    coming = iter(rows)
    while some := [dict(row) for row in islice(coming, ROWS_A_CHANGE)]:
        yield some


class Changes:
    """Takes changes one by one; whoever made it calls `seal` or `discard` in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The payload's name, once there is one.
        self.digest: str | None = None
        self._few: list[Change] = []
        self._lines: list[bytes] = []
        self._n_bytes = 0
        self._part = folder / f".{os.getpid()}-{uuid.uuid4().hex[:12]}.part"
        self._file: IO[bytes] | None = None
        self._gzip = zlib.compressobj(3, wbits=GZIP_WBITS)
        self._digest = hashlib.sha256()

    def __bool__(self) -> bool:
        return self._n_bytes > 0

    def add(self, operation: str, table: str, rows: Iterable[Row]) -> None:
        """Takes a change to the rows of a table; rows are taken as they come."""
        for some in in_parts(rows):
            change = {"op": operation, "table": table, "rows": some}
            line = json.dumps(change, separators=(",", ":"), sort_keys=True, allow_nan=False)
            self._take(change, line.encode())

    def _take(self, change: Change, line: bytes) -> None:
        self._n_bytes += len(line) + 2
        if self._file is None:
            self._few.append(change)
            self._lines.append(line)
            if self._n_bytes > INLINE_BYTES:
                self._open()
        else:
            self._write(b",\n" + line)

    def _open(self) -> None:
        with telling_space(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")
        self._write(b"[\n" + b",\n".join(self._lines))
        self._few, self._lines = [], []

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._digest.update(data)
        with telling_space(self.folder):
            self._file.write(self._gzip.compress(data))

    def seal(self) -> tuple[list[Change] | None, str | None]:
        """The changes, or the hash of the payload file that now holds them, whole and synced."""
        if self._file is None or self.digest is not None:
            return (self._few, None) if self.digest is None else (None, self.digest)
        self._write(b"\n]")
        with telling_space(self.folder):
            self._file.write(self._gzip.flush())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            digest = self._digest.hexdigest()
            target = payload_path(self.folder, digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._part.replace(target)
        self.digest = digest
        return None, digest

    def sealed(self) -> Iterator[Change]:
        """The changes again, one by one, from where `seal` put them."""
        few, digest = self.seal()
        return iter(few or ()) if digest is None else _lines(payload_path(self.folder, digest))

    def discard(self) -> None:
        """Leaves no file behind, unless it was sealed."""
        if self._file is None:
            return
        self._part.unlink(missing_ok=True)
        # Closing writes what is still buffered: in vain on a full disk, and of no more use.
        with suppress(OSError):
            self._file.close()


def payload_path(folder: Path, digest: str) -> Path:
    """Where a bulk event's changes lie: events/ab/abcdef....json.gz."""
    return folder / digest[:2] / f"{digest}.json.gz"


def read_payload(folder: Path, digest: str, *, event: int) -> Iterator[Change]:
    """The changes of a payload file one by one; IntegrityFailure before the first if it is not
    what the hash names."""
    path = payload_path(folder, digest)
    try:
        with gzip.open(path) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, EOFError) as error:
        raise IntegrityFailure(
            f"Event {event} names the payload {path.name}, which cannot be read: {error}."
        ) from error
    if found != digest:
        raise IntegrityFailure(f"The payload {path.name} of event {event} was changed.")
    yield from _lines(path)


def _lines(path: Path) -> Iterator[Change]:
    with gzip.open(path) as stream:
        for line in stream:
            text = line.strip().removesuffix(b",")
            if text in (b"[", b"]"):
                continue
            value = json.loads(text)
            # Payloads of the first version are one line.
            yield from value if isinstance(value, list) else [value]
