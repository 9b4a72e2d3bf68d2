"""ImageNet's own archives: a tar a synset, a tar of such tars, the validation images."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from imagetree.collect.layout import SPLITS, as_wnid
from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import InvalidInput, NotFound

_DAMAGE = (tarfile.TarError, EOFError, OSError)


class SynsetArchive:
    """`<wnid>.tar` of one synset's images, or a tar of such tars, read as one stream."""

    kind = "ilsvrc"
    n_total = None

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"There is no file {path}.", hint="Check the path.")
        self._path = path
        self.location = str(path)
        # ILSVRC2012_img_train.tar, or a synset's tar in a folder `train`.
        named = [*path.stem.split("_")[::-1], path.resolve().parent.name]
        self._split = next((word for word in named if word in SPLITS), None)

    def labels(self) -> set[str]:
        """None: the synsets are named by wnid."""
        return set()

    def wnids(self) -> set[str]:
        """The synset of the file's name, or those of the tars within."""
        if wnid := as_wnid(self._path.stem):
            return {wnid}
        try:
            with tarfile.open(self._path) as tar:
                stems = {PurePosixPath(info.name).stem for info in tar if info.isfile()}
        except _DAMAGE as error:
            raise InvalidInput(f"{self._path} cannot be read to its end: {error}.") from error
        return {stem for stem in stems if as_wnid(stem)}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The images in the archive's order."""
        try:
            with self._path.open("rb") as file:
                if wnid := as_wnid(self._path.stem):
                    yield from self._synset(file, wnid, prefix="", skip=skip)
                else:
                    yield from self._nested(file, skip)
        except _DAMAGE as error:
            reason = f"nothing after it can be read: {error}"
            yield Rejected(location=self.location, code="damaged_archive", reason=reason)

    def _nested(self, file: IO[bytes], skip: Skip) -> Iterator[Item | Rejected]:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for info in tar:
                name = PurePosixPath(info.name)
                wnid = as_wnid(name.stem)
                inner = tar.extractfile(info) if info.isfile() else None
                if info.isdir():
                    continue
                where = f"{self.location}!{info.name}"
                if inner is None or wnid is None or name.suffix != ".tar":
                    reason = "is not the tar of a synset"
                    yield Rejected(location=where, code="not_a_synset", reason=reason)
                    continue
                try:
                    yield from self._synset(inner, wnid, prefix=f"{info.name}!", skip=skip)
                except tarfile.TarError as error:
                    yield Rejected(location=where, code="damaged_archive", reason=str(error))

    def _synset(
        self, file: IO[bytes], wnid: str, *, prefix: str, skip: Skip
    ) -> Iterator[Item | Rejected]:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for info in tar:
                key = prefix + info.name
                where = f"{self.location}!{key}"
                parts = PurePosixPath(info.name).parts
                if info.isdir() or skip(key):
                    continue
                if not info.isfile():
                    reason = "is a link or a special file"
                    yield Rejected(location=where, code="unsafe_link", reason=reason)
                elif ".." in parts or info.name.startswith("/"):
                    reason = "its path leads out of the archive"
                    yield Rejected(location=where, code="unsafe_path", reason=reason)
                else:
                    image = tar.extractfile(info)
                    yield Item(
                        key=key,
                        location=where,
                        data=image.read() if image else b"",
                        filename=parts[-1],
                        wnid=wnid,
                        split=self._split,
                    )


class ValidationImages:
    """A folder of validation images with the ground truth: one wnid, or id, a line.

    Line N belongs to the Nth file by name. With `synsets`, lines are ILSVRC ids counted from 1.
    """

    kind = "ilsvrc"

    def __init__(self, path: Path, truth: Path, *, synsets: list[str] | None = None) -> None:
        for one in (path, truth):
            if not one.exists():
                raise NotFound(f"There is no {one}.", hint="Check the path.")
        self.location = str(path)
        self._paths = sorted(one for one in path.iterdir() if one.name.endswith((".JPEG", ".jpg")))
        self._wnids = [
            _wnid(line.strip(), where=f"{truth}, line {number}", synsets=synsets)
            for number, line in enumerate(truth.read_text().splitlines(), start=1)
        ]
        if len(self._paths) != len(self._wnids):
            raise InvalidInput(
                f"{path} holds {len(self._paths)} images, {truth} has {len(self._wnids)} lines.",
                hint="Images and ground truth must be of the same set.",
            )

    @property
    def n_total(self) -> int:
        """How many images there are."""
        return len(self._paths)

    def labels(self) -> set[str]:
        """None: the synsets are named by wnid."""
        return set()

    def wnids(self) -> set[str]:
        """The synsets of the ground truth."""
        return set(self._wnids)

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The images by name."""
        for path, wnid in zip(self._paths, self._wnids, strict=True):
            if not skip(path.name):
                yield Item(
                    key=path.name,
                    location=str(path),
                    data=path.read_bytes,
                    filename=path.name,
                    size_bytes=path.stat().st_size,
                    wnid=wnid,
                    split="val",
                )


def _wnid(text: str, *, where: str, synsets: list[str] | None) -> str:
    if synsets is not None and text.isdecimal() and 1 <= int(text) <= len(synsets):
        return synsets[int(text) - 1]
    if wnid := as_wnid(text):
        return wnid
    raise InvalidInput(
        f"{where}: {text!r} is neither a wnid nor the id of a synset.",
        hint="Numbers need the list of synsets that they count.",
    )
