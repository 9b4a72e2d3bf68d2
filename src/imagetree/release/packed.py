"""Packed copies of a release: smaller files for training, beside the release's manifest.

    releases/v1/packed-400-q90/
      train-000000.tar   members <sha256>.jpg and <sha256>.cls (the class's number), about 1 GB
      val-000000.tar     a series of its own for each split, which WebDataset reads as it is
      index.npz          where each image lies and its size in pixels, by SHA-256
      packed.json        what it is made of and how, its classes, and what could not be packed

A folder of this name is whole: it is written under another one and renamed at the end. Packed
copies hold bytes of images, so whoever erases an image looks for them with `find_folders`.
"""

from __future__ import annotations

import copy
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import IntegrityFailure, NotFound
from imagetree.images.place_index import PlaceIndex
from imagetree.images.shard_reading import ShardReader
from imagetree.release.record import ReleaseImage

FORMAT = "imagetree-packed-1"
FACTS, INDEX = "packed.json", "index.npz"
_NAME = re.compile(r"packed-(\d+)-q(\d+)")


def copy_name(*, max_side_px: int, quality: int) -> str:
    """The folder's name of a packed copy.

    Example:
        >>> copy_name(max_side_px=400, quality=90)
        'packed-400-q90'
    """
    return f"packed-{max_side_px}-q{quality}"


@dataclass(frozen=True, kw_only=True)
class PackedCopy:
    """What a packed copy is; `copy_id` is a hash of all that lies in its shards.

    `splits` has the images of each split; `rejects` are (SHA-256, code, reason) of the images
    that could not be packed; `made_with` names the versions that the bytes depend on.
    """

    name: str
    copy_id: str
    release_id: str
    max_side_px: int
    quality: int
    n_images: int
    n_kept: int
    n_bytes: int
    splits: dict[str, int]
    classes: tuple[str, ...]
    shards: tuple[str, ...]
    rejects: tuple[tuple[str, str, str], ...]
    made_with: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> PackedCopy:
        """What the copy in a folder says of itself; NotFound or IntegrityFailure."""
        try:
            facts: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))
            if facts.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            for key in ("classes", "shards"):
                facts[key] = tuple(facts[key])
            facts["rejects"] = tuple((one[0], one[1], one[2]) for one in facts["rejects"])
            return cls(name=folder.name, **facts)
        except FileNotFoundError as error:
            raise NotFound(f"There is no packed copy at {folder}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityFailure(
                f"{folder / FACTS} cannot be read: {error}.",
                hint="Remove the packed copy and make it again: imagetree release pack.",
            ) from error

    @property
    def description(self) -> str:
        """Its name and the beginning of its id, as a run's record tells it.

        The same description always means the same bytes.
        """
        n_missing = len(self.rejects)
        missing = f", {n_missing:,} could not be packed" if n_missing else ""
        return f"{self.name} ({self.copy_id[:12]}{missing})"

    def as_dict(self) -> dict[str, Any]:
        """The copy as JSON takes it, without its classes and shards."""
        left_out = ("classes", "shards")
        return {key: value for key, value in vars(self).items() if key not in left_out}


def find_copies(release_folder: Path) -> list[PackedCopy]:
    """The packed copies of a release, the one nearest to the originals first."""
    folders = [one for one in release_folder.glob("packed-*") if _NAME.fullmatch(one.name)]
    copies = [PackedCopy.read(one) for one in folders]
    return sorted(copies, key=lambda one: (-one.max_side_px, -one.quality))


def find_folders(release_folder: Path, name: str = "packed-*") -> list[Path]:
    """Every folder that holds bytes of packed images: whole, unfinished and half deleted ones."""
    shapes = (name, f".{name}.part", f".{name}.gone")
    return sorted(one for shape in shapes for one in release_folder.glob(shape))


class Packed:
    """A packed copy as a loader's source. `description` has its name and id.

    Example:
        source = Packed(Path("birds.imagetree/releases/v1/packed-400-q90"))
        loader = release.loader("train", source=source)
    """

    def __init__(self, folder: Path) -> None:
        self.facts = PackedCopy.read(folder)
        self.description = self.facts.description
        try:
            with np.load(folder / INDEX, allow_pickle=False) as arrays:
                places = {key: arrays[key] for key in ("sha256", "shard", "offset", "length")}
                self._sizes: NDArray[np.int32] = arrays["size"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise IntegrityFailure(
                f"{folder / INDEX} cannot be read: {error}.",
                hint="Remove the packed copy and make it again: imagetree release pack.",
            ) from error
        self._index = PlaceIndex(shards=self.facts.shards, **places)
        self._reader = ShardReader(folder)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reader = copy.copy(self._reader)  # with a lock and descriptors of its own

    def __len__(self) -> int:
        return len(self._index)

    def holds(self, sha256s: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each image is in it, (N,)."""
        return self._index.find(sha256s) >= 0

    def read_many(self, sha256s: Sequence[str]) -> list[bytes]:
        """The packed files, in the order asked for."""
        return self._index.read_many(sha256s, self._reader)

    def sizes(self, records: Sequence[ReleaseImage]) -> NDArray[np.int32]:
        """(N, 2): width and height of the packed pictures, in pixels."""
        return self._sizes[self._index.rows([one.sha256 for one in records])]


def write_index(path: Path, index: PlaceIndex, sizes: NDArray[np.int32]) -> None:
    """Writes the index of a copy; `sizes` (N, 2) are in the order of its rows."""
    arrays: Mapping[str, NDArray[Any]] = {
        "sha256": index.sha256,
        "shard": index.shard,
        "offset": index.offset,
        "length": index.length,
        "size": sizes,
    }
    np.savez(path, allow_pickle=False, **arrays)
