"""Tar and zip archives, read as a stream; nothing is ever written outside the database."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self

from imagetree.collect.layout import Parts, as_wnid, class_depth, class_of, split_of
from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import InvalidInput, NotFound
from imagetree.core.text import storable


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may hold, so that a bomb ends a collect and not the machine."""

    max_members: int = 20_000_000
    max_member_bytes: int = 200_000_000
    max_total_bytes: int = 4_000_000_000_000
    # Expanded bytes over packed ones, for a member and, from 1 GB on, for the whole.
    max_ratio: int = 200


DEFAULT_LIMITS = ArchiveLimits()
# A whole archive may expand to this without being asked for its ratio.
FREE_BYTES = 1_000_000_000
# A header that holds long names or comments; more than this is held in memory by nobody.
MAX_HEADER_BYTES = 1_000_000
_HEADER_TYPES = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)
_TAR_DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)
_ZIP_DAMAGE = (
    zipfile.BadZipFile,
    RuntimeError,  # wants a password; NotImplementedError, its child: packed in an unknown way
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
)


class _Header(tarfile.TarInfo):
    """A tar header that is refused where the standard reader would trust it or end silently."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: Any, errors: str) -> Self:
        """The header in 512 bytes; ReadError for a damaged one and for a bomb of a header."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged header: {error}") from error
        if header.type in _HEADER_TYPES and header.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


class _Budget:
    """Counts what an archive expands to; InvalidInput when that is beyond the limits."""

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        self._path, self._limits = path, limits
        self._packed_bytes = path.stat().st_size
        self._n_members = 0
        self._total_bytes = 0

    def spend(self, size_bytes: int) -> None:
        """Counts one more member."""
        self._n_members += 1
        self._total_bytes += size_bytes
        limits = self._limits
        if self._n_members > limits.max_members:
            raise InvalidInput(f"{self._path} has over {limits.max_members:,} members.")
        if self._total_bytes > limits.max_total_bytes:
            raise InvalidInput(f"{self._path} expands to over {limits.max_total_bytes:,} bytes.")
        if self._total_bytes > max(FREE_BYTES, limits.max_ratio * self._packed_bytes):
            raise InvalidInput(
                f"{self._path} expands to over {limits.max_ratio} times its size, as no archive "
                "of photos does.",
                hint="Unpack it by hand where it can be trusted, and collect the folder.",
            )


class ArchiveFolder:
    """A tar (also gz, bz2, xz) or zip with one folder a class, as in `ImageFolder`.

    Its headers are read once before its members, for the classes and how deep they lie.
    """

    kind = "archive"
    n_total = None

    def __init__(self, path: Path, *, limits: ArchiveLimits = DEFAULT_LIMITS) -> None:
        if not path.is_file():
            raise NotFound(f"There is no file {path}.", hint="Check the path.")
        self._path, self._limits = path, limits
        self.location = str(path)
        self._zip = zipfile.is_zipfile(path)
        if not self._zip and not tarfile.is_tarfile(path):
            raise InvalidInput(
                f"{path} is neither a tar nor a zip archive.",
                hint="It may be cut short or empty: get it again.",
            )
        if self._zip:
            self._open_zip().close()

    def _open_zip(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except _ZIP_DAMAGE as error:
            raise InvalidInput(
                f"{self._path} is a damaged zip archive: {error}.",
                hint="Get it again, or mend it with: zip -FF",
            ) from error

    def _open_tar(self) -> tarfile.TarFile:
        return tarfile.open(self._path, "r|*", tarinfo=_Header)

    @cached_property
    def _folders(self) -> set[Parts]:
        """The safe members' paths, one a folder: that of a file `x` in it."""
        names: set[str] = set()
        budget = _Budget(self._path, self._limits)
        if self._zip:
            with self._open_zip() as archive:
                files = (info.filename for info in archive.infolist() if not info.is_dir())
                names = {str(_path(name).parent / "x") for name in files}
        else:
            try:
                with self._open_tar() as tar:
                    for info in tar:
                        budget.spend(info.size)
                        if info.isfile():
                            names.add(str(_path(info.name).parent / "x"))
            except _TAR_DAMAGE as error:
                raise InvalidInput(f"{self._path} cannot be read to its end: {error}.") from error
        return {_path(name).parts for name in names if not _unsafe(name)}

    @cached_property
    def _depth(self) -> int:
        return class_depth(self._folders)

    def _classes(self) -> set[str]:
        found = {class_of(parts, self._depth) for parts in self._folders}
        return {name for name in found if name}

    def labels(self) -> set[str]:
        """The class folders that are not wnids."""
        return {storable(name) for name in self._classes() if not as_wnid(name)}

    def wnids(self) -> set[str]:
        """The class folders that are wnids."""
        return {name for name in self._classes() if as_wnid(name)}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The members in the archive's order; unsafe ones as rejects."""
        for one in self._zipped() if self._zip else self._tarred():
            if isinstance(one, Rejected) or not skip(one.key):
                yield one

    def _reject(self, name: str, code: str, reason: str) -> Rejected:
        return Rejected(location=f"{self.location}!{name}", code=code, reason=reason)

    def _check(self, name: str, size: int) -> Rejected | None:
        if reason := _unsafe(name):
            return self._reject(name, "unsafe_path", reason)
        if size > self._limits.max_member_bytes:
            return self._reject(name, "too_many_bytes", f"has {size:,} bytes")
        if not class_of(_path(name).parts, self._depth):
            return self._reject(name, "no_class", "lies beside the class folders, not in one")
        return None

    def _item(self, name: str, data: bytes) -> Item:
        path = _path(name)
        top = class_of(path.parts, self._depth) or ""
        return Item(
            key=name,
            location=f"{self.location}!{name}",
            data=data,
            filename=path.name,
            label_text=top,
            wnid=as_wnid(top),
            split=split_of(path.parts, self._depth, around=self._path.name.split(".")[0]),
        )

    def _tarred(self) -> Iterator[Item | Rejected]:
        name = ""
        budget = _Budget(self._path, self._limits)
        try:
            with self._open_tar() as tar:
                for info in tar:
                    name = info.name
                    budget.spend(info.size)
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
        except _TAR_DAMAGE as error:
            yield self._reject(name, "damaged_archive", f"nothing after it can be read: {error}")

    def _zipped(self) -> Iterator[Item | Rejected]:
        budget = _Budget(self._path, self._limits)
        with self._open_zip() as archive:
            for info in archive.infolist():
                name = info.filename
                budget.spend(info.file_size)
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
                    except _ZIP_DAMAGE as error:
                        yield self._reject(name, "damaged_archive", str(error))


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name)


def _unsafe(name: str) -> str:
    """Why a member's path is refused; empty for a safe one."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return "its path contains ../"
    return "its path is absolute" if not parts[0] or ":" in parts[0] else ""
