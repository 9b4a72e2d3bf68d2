"""Tar and zip archives, read as a stream; nothing is ever written outside the database."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from imagetree.collect.folder import as_wnid
from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import InvalidInput, NotFound


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may hold, so that a bomb ends a collect and not the machine."""

    max_members: int = 20_000_000
    max_member_bytes: int = 200_000_000
    max_ratio: int = 200


DEFAULT_LIMITS = ArchiveLimits()


class ArchiveFolder:
    """A tar (also gz, bz2, xz) or zip with one folder a class, as in `ImageFolder`."""

    kind = "archive"
    n_total = None

    def __init__(self, path: Path, *, limits: ArchiveLimits = DEFAULT_LIMITS) -> None:
        if not path.is_file():
            raise NotFound(f"There is no file {path}.", hint="Check the path.")
        self._path, self._limits = path, limits
        self.location = str(path)
        self._zip = zipfile.is_zipfile(path)
        if not self._zip and not tarfile.is_tarfile(path):
            raise InvalidInput(f"{path} is neither a tar nor a zip archive.")

    def _names(self) -> set[str]:
        """Top folders of the safe members; reads the archive's headers once."""
        if self._zip:
            with zipfile.ZipFile(self._path) as archive:
                names = archive.namelist()
        else:
            try:
                with tarfile.open(self._path, "r|*") as tar:
                    names = [info.name for info in tar if info.isfile()]
            except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
                raise InvalidInput(f"{self._path} cannot be read to its end: {error}.") from error
        paths = [_path(name) for name in names if not _unsafe(name)]
        return {path.parts[0] for path in paths if len(path.parts) > 1}

    def labels(self) -> set[str]:
        """The class folders that are not wnids."""
        return {name for name in self._names() if not as_wnid(name)}

    def wnids(self) -> set[str]:
        """The class folders that are wnids."""
        return {name for name in self._names() if as_wnid(name)}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The members in the archive's order; unsafe ones as rejects."""
        for number, one in enumerate(self._zipped() if self._zip else self._tarred()):
            if number >= self._limits.max_members:
                raise InvalidInput(f"{self.location} has over {number:,} members.")
            if isinstance(one, Rejected) or not skip(one.key):
                yield one

    def _reject(self, name: str, code: str, reason: str) -> Rejected:
        return Rejected(location=f"{self.location}!{name}", code=code, reason=reason)

    def _check(self, name: str, size: int) -> Rejected | None:
        if reason := _unsafe(name):
            return self._reject(name, "unsafe_path", reason)
        if size > self._limits.max_member_bytes:
            return self._reject(name, "too_many_bytes", f"has {size:,} bytes")
        if len(_path(name).parts) < 2:
            return self._reject(name, "no_class", "lies beside the class folders, not in one")
        return None

    def _item(self, name: str, data: bytes) -> Item:
        path = _path(name)
        return Item(
            key=name,
            location=f"{self.location}!{name}",
            data=data,
            filename=path.name,
            label_text=path.parts[0],
            wnid=as_wnid(path.parts[0]),
        )

    def _tarred(self) -> Iterator[Item | Rejected]:
        name = ""
        try:
            with tarfile.open(self._path, "r|*") as tar:
                for info in tar:
                    name = info.name
                    if info.isdir() or _path(name).name.startswith("."):
                        continue
                    if not info.isfile():
                        kind = "link" if info.issym() or info.islnk() else "special file"
                        yield self._reject(name, f"unsafe_{kind.split()[0]}", f"is a {kind}")
                    elif refused := self._check(name, info.size):
                        yield refused
                    else:
                        file = tar.extractfile(info)
                        yield self._item(name, file.read() if file else b"")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            yield self._reject(name, "damaged_archive", f"nothing after it can be read: {error}")

    def _zipped(self) -> Iterator[Item | Rejected]:
        with zipfile.ZipFile(self._path) as archive:
            for info in archive.infolist():
                name = info.filename
                if info.is_dir() or _path(name).name.startswith("."):
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    yield self._reject(name, "unsafe_link", "is a link")
                elif refused := self._check(name, info.file_size):
                    yield refused
                elif info.file_size > self._limits.max_ratio * max(info.compress_size, 4096):
                    yield self._reject(name, "archive_bomb", "expands beyond all measure")
                else:
                    try:
                        yield self._item(name, archive.read(info))
                    except (zipfile.BadZipFile, RuntimeError, OSError, zlib.error) as error:
                        yield self._reject(name, "damaged_archive", str(error))


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name)


def _unsafe(name: str) -> str:
    """Why a member's path is refused; empty for a safe one."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return "its path contains ../"
    return "its path is absolute" if not parts[0] or ":" in parts[0] else ""
