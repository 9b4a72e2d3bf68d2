"""Folders of images: one sub-folder a class, or one flat folder with a CSV of labels."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from imagetree.collect.layout import as_wnid, class_depth, class_of, split_of
from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import InvalidInput, NotFound
from imagetree.core.text import storable


def _files(root: Path) -> Iterator[Path]:
    """Files below `root`, relative, sorted by their parts; hidden ones are left out.

    Folders that cannot be walked into come as well, so that they can be refused: links, and
    those that may not be read. InvalidInput where that is `root` itself.
    """
    unread: list[Path] = []

    def note(error: OSError) -> None:
        if Path(error.filename) == root:
            raise InvalidInput(
                f"{root} cannot be read: {error.strerror}.", hint="Check its permissions."
            ) from error
        unread.append(Path(error.filename).relative_to(root))

    for folder, names, files in os.walk(root, onerror=note):
        here = Path(folder).relative_to(root)
        names[:] = sorted(name for name in names if not name.startswith("."))
        links = [name for name in names if (root / here / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not name.startswith("."):
                yield here / name
    yield from sorted(unread)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise NotFound(f"There is no folder {path}.", hint="Check the path.")
    return path


def _size_bytes(root: Path, relative: Path) -> int | Rejected:
    """A file's size; a reject for a link that leads out of the folder or nowhere, and the like."""
    path = root / relative
    try:
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            # Not Path.resolve, which raises on a link that leads back to itself.
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                reason = "a symbolic link that leads out of the folder"
                return Rejected(location=str(path), code="unsafe_link", reason=reason)
            about = path.stat()
    except PermissionError as error:
        reason = f"could not be read: {error.strerror}"
        return Rejected(location=str(path), code="unreadable", reason=reason)
    except OSError as error:
        reason = f"not a regular file: {error.strerror}"
        return Rejected(location=str(path), code="not_a_file", reason=reason)
    if stat.S_ISDIR(about.st_mode) and not path.is_symlink():
        reason = "the folder could not be read, nor what is in it"
        return Rejected(location=str(path), code="unreadable", reason=reason)
    if not stat.S_ISREG(about.st_mode):
        return Rejected(location=str(path), code="not_a_file", reason="not a regular file")
    return about.st_size


class ImageFolder:
    """One sub-folder a class, named by wnid or word; files deeper down belong to the top one.

    Class folders may lie further down, under `train`, `val` and `test`: see `class_depth`.
    """

    kind = "folder"

    def __init__(self, path: Path) -> None:
        self._root = _folder(path)
        self.location = str(path)

    @cached_property
    def _paths(self) -> list[Path]:
        found = list(_files(self._root))
        if not any(len(path.parts) > 1 for path in found):
            raise InvalidInput(
                f"{self.location} holds no images in sub-folders: one sub-folder a class was "
                "looked for, named by a wnid or a word.",
                hint="For one folder of images without classes use --layout flat.",
            )
        return found

    @property
    def n_total(self) -> int:
        """How many files there are."""
        return len(self._paths)

    @cached_property
    def _depth(self) -> int:
        return class_depth([path.parts for path in self._paths])

    def _class(self, path: Path) -> str | None:
        return class_of(path.parts, self._depth)

    def labels(self) -> set[str]:
        """Names of the class folders that hold files and are not wnids."""
        names = {self._class(path) for path in self._paths}
        return {storable(name) for name in names if name and not as_wnid(name)}

    def wnids(self) -> set[str]:
        """Names of the class folders that are wnids."""
        names = {self._class(path) for path in self._paths}
        return {name for name in names if name and as_wnid(name)}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The files, folder by folder in sorted order."""
        for relative in self._paths:
            key, path = relative.as_posix(), self._root / relative
            if skip(key):
                continue
            size_bytes = _size_bytes(self._root, relative)
            if isinstance(size_bytes, Rejected):
                yield size_bytes
            elif not (top := self._class(relative)):
                reason = "lies beside the class folders, not in one"
                yield Rejected(location=str(path), code="no_class", reason=reason)
            else:
                yield Item(
                    key=key,
                    location=str(path),
                    data=path.read_bytes,
                    filename=relative.name,
                    size_bytes=size_bytes,
                    label_text=top,
                    wnid=as_wnid(top),
                    split=split_of(relative.parts, self._depth, around=self._root.resolve().name),
                )


class FlatFolder:
    """One folder of images, with a CSV of filename, label[, split, licence, author] or without."""

    kind = "flat"

    def __init__(self, path: Path, csv: Path | None = None) -> None:
        self._root = _folder(path)
        self._csv = csv
        self.location = str(path)

    @cached_property
    def _rows(self) -> dict[str, dict[str, str]]:
        if self._csv is None:
            return {}
        rows: dict[str, dict[str, str]] = {}
        try:
            with self._csv.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                if not {"filename", "label"} <= set(reader.fieldnames or ()):
                    raise InvalidInput(
                        f"{self._csv}, line 1: the columns filename and label are needed.",
                        hint="Begin the file with: filename,label,split,licence,author",
                    )
                for row in reader:
                    where = f"{self._csv}, line {reader.line_num}"
                    name = (row["filename"] or "").strip()
                    if not name or None in row:
                        raise InvalidInput(f"{where}: no filename, or too many columns.")
                    if name in rows:
                        raise InvalidInput(f"{where}: {name} stands there twice.")
                    rows[name] = {key: (value or "").strip() for key, value in row.items()}
                    rows[name]["where"] = where
        except FileNotFoundError as error:
            raise NotFound(f"There is no file {self._csv}.") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidInput(f"{self._csv} is not a CSV in UTF-8: {error}.") from error
        return rows

    @cached_property
    def _paths(self) -> list[Path]:
        inside = self._csv.resolve() if self._csv else None
        found = [path for path in _files(self._root) if (self._root / path).resolve() != inside]
        if not found:
            raise InvalidInput(
                f"{self.location} is empty: image files were looked for.", hint="Check the path."
            )
        return found

    @property
    def n_total(self) -> int:
        """How many files there are, and rows without a file."""
        return len(self._paths) + len(self._lost())

    def _lost(self) -> list[str]:
        return sorted(set(self._rows) - {path.as_posix() for path in self._paths})

    def labels(self) -> set[str]:
        """The labels in the CSV that are not wnids."""
        found = {row["label"] for row in self._rows.values() if row["label"]}
        return {storable(label) for label in found if not as_wnid(label)}

    def wnids(self) -> set[str]:
        """The labels in the CSV that are wnids."""
        return {row["label"] for row in self._rows.values() if as_wnid(row["label"])}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The files in sorted order, then the rows that have none."""
        for relative in self._paths:
            key, path = relative.as_posix(), self._root / relative
            if skip(key):
                continue
            row = self._rows.get(key, {})
            size_bytes = _size_bytes(self._root, relative)
            if isinstance(size_bytes, Rejected):
                yield size_bytes
            elif self._csv and not row:
                reason = f"has no row in {self._csv}"
                yield Rejected(location=str(path), code="no_row", reason=reason)
            else:
                label = row.get("label") or None
                read: Callable[[], bytes] = path.read_bytes
                yield Item(
                    key=key,
                    location=str(path),
                    data=read,
                    filename=relative.name,
                    size_bytes=size_bytes,
                    label_text=label,
                    wnid=as_wnid(label or ""),
                    split=row.get("split") or split_of((), 0, around=self._root.resolve().name),
                    licence=row.get("licence") or None,
                    author=row.get("author") or None,
                )
        for name in self._lost():
            reason = f"{self._rows[name]['where']}: there is no such file"
            yield Rejected(location=str(self._root / name), code="no_file", reason=reason)
