"""The manifest: a release as text, the same text on every machine, named by its hash.

JSON Lines: a header, then one line an image, sorted by SHA-256. Nothing of where or when an
image is stored stands in it, so the same labels on the same bytes always give the same id.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imagetree.core.errors import IntegrityFailure, NotFound

FORMAT = "imagetree-manifest-1"
_KEYS = {"sha256", "split", "width_px", "height_px", "length", "labels", "boxes"}


def _line(value: Mapping[str, Any]) -> bytes:
    # json writes floats as repr does: the shortest text that reads back as the same number.
    text = json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return text.encode() + b"\n"


def write_manifest(
    path: Path, header: Mapping[str, Any], *, images: Iterable[Mapping[str, Any]]
) -> str:
    """The release id: SHA-256 of the manifest, written whole, synced and read-only.

    `images` come sorted by SHA-256 and are written as they come, so memory stays small;
    IntegrityFailure when one is out of order or lacks a field. No file is left on failure.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    last = ""
    try:
        with part.open("wb") as stream:
            for number, value in enumerate(_chain(header, images), start=1):
                if number > 1:
                    last = _checked(value, last, path, number)
                line = _line(value)
                digest.update(line)
                stream.write(line)
            stream.flush()
            os.fchmod(stream.fileno(), 0o444)
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest.hexdigest()


def _chain(
    header: Mapping[str, Any], images: Iterable[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    yield {**header, "format": FORMAT}
    yield from images


def _checked(value: Any, last: str, path: Path, number: int) -> str:
    """The SHA-256 of a line that has all fields and comes after `last`."""
    if not isinstance(value, Mapping) or value.keys() != _KEYS:
        raise _wrong(path, number, "does not have the fields of an image")
    sha256 = value["sha256"]
    if not isinstance(sha256, str) or len(sha256) != 64 or sha256 <= last:
        raise _wrong(path, number, "is not in the order of SHA-256")
    return sha256


def _wrong(path: Path, number: int, what: str) -> IntegrityFailure:
    return IntegrityFailure(
        f"{path.name}, line {number}: {what}.", hint="Bring the file back from a backup."
    )


def read_manifest(path: Path) -> Iterator[dict[str, Any]]:
    """The header, then each image, read line by line; IntegrityFailure names a wrong line."""
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"There is no manifest {path.name}.") from error
    last, number = "", 0
    with stream:
        for number, line in enumerate(stream, start=1):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise _wrong(path, number, "is not JSON") from error
            if number > 1:
                last = _checked(value, last, path, number)
            elif not isinstance(value, dict) or value.get("format") != FORMAT:
                raise _wrong(path, number, f"is not a header of {FORMAT}")
            yield value
    if number == 0:
        raise _wrong(path, 1, "is missing")


def manifest_id(path: Path) -> str:
    """SHA-256 of the file as it lies there, to compare with the release id."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
