"""`Release`: a frozen set of images with labels and splits, read from its manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from imagetree.core.errors import Conflict, IntegrityFailure, NotFound
from imagetree.release.loader import Loader
from imagetree.release.manifest import manifest_id, read_manifest
from imagetree.release.packed import Packed, PackedCopy, find_copies
from imagetree.release.record import ReleaseImage
from imagetree.release.source import ImageSource, Originals


class Release:
    """One release. It never changes: its id is the hash of all that it says.

    `classes` are wnids in the order of the labels' numbers (sorted), `class_names` their first
    words; `fractions` are the shares that the splits were made by, `splits` the images in each.

    Example:
        release = db.release("v1")
        for batch in release.loader("train", batch_size=256, image_size=224, seed=0):
            batch.images, batch.labels
    """

    def __init__(
        self,
        name: str,
        release_id: str,
        *,
        header: Mapping[str, Any],
        records: tuple[ReleaseImage, ...],
        read_many: Callable[[Sequence[str]], list[bytes]],
        folder: Path,
    ) -> None:
        self.name = name
        self.release_id = release_id
        self.folder = folder
        self.classes: tuple[str, ...] = tuple(one["wnid"] for one in header["classes"])
        self.class_names: tuple[str, ...] = tuple(one["words"][0] for one in header["classes"])
        self.fractions: dict[str, float] = dict(header["splits"])
        self.seed: int = header["seed"]
        self._records = records
        self._originals = Originals(read_many)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        name: str,
        release_id: str,
        read_many: Callable[[Sequence[str]], list[bytes]],
    ) -> Release:
        """The release of a manifest; `read_many` gives images' bytes by their SHA-256.

        NotFound without the file; IntegrityFailure when it is not the one that was frozen.
        """
        lines = read_manifest(path)
        header = next(lines)
        records = tuple(ReleaseImage.of_line(one) for one in lines)
        found = manifest_id(path)
        if found != release_id:
            raise IntegrityFailure(
                f"The manifest of release {name} has the hash {found[:16]}, not {release_id[:16]}.",
                hint=f"Bring {path} back from a backup.",
            )
        return cls(
            name,
            release_id,
            header=header,
            records=records,
            read_many=read_many,
            folder=path.parent,
        )

    @property
    def n_images(self) -> int:
        """Images in all splits."""
        return len(self._records)

    @cached_property
    def splits(self) -> dict[str, int]:
        """Images of each split, the largest share first."""
        counts = Counter(one.split for one in self._records)
        order = sorted(self.fractions, key=lambda name: (-self.fractions[name], name))
        return {name: counts[name] for name in order}

    def images(self, split: str | None = None) -> list[ReleaseImage]:
        """The images of a split (of all without one), in the order of SHA-256; or NotFound."""
        if split is None:
            return list(self._records)
        if split not in self.fractions:
            raise NotFound(
                f"Release {self.name} has no split {split!r}.",
                hint=f"It has: {', '.join(self.splits)}.",
            )
        return [one for one in self._records if one.split == split]

    def image_bytes(self, sha256: str) -> bytes:
        """The untouched bytes of an image."""
        return self._originals.read_many([sha256])[0]

    def read_many(self, sha256s: Sequence[str]) -> list[bytes]:
        """The untouched bytes of images, in the order asked for."""
        return self._originals.read_many(sha256s)

    def packed_copies(self) -> list[PackedCopy]:
        """The packed copies that there are, the one nearest to the originals first."""
        return find_copies(self.folder)

    def source(self, reads: str | None = None) -> ImageSource:
        """What a loader reads: 'originals' (also for None), 'packed', or a copy by its name.

        'packed' is the only copy, or of several the one nearest to the originals. A copy's whole
        description, as a run's record tells it, means exactly those bytes: Conflict where the copy
        was made again since and came out otherwise. NotFound where there is none.
        """
        if reads in (None, "originals"):
            return self._originals
        copies = self.packed_copies()
        name = str(reads).split(" ")[0]
        found = [one for one in copies if name in ("packed", one.name)]
        if not found:
            there = f"It has: {', '.join(one.name for one in copies)}."
            raise NotFound(
                f"Release {self.name} has no packed copy{'' if name == 'packed' else f' {name}'}.",
                hint=there if copies else f"Make one: imagetree release pack DATABASE {self.name}",
            )
        source = Packed(self.folder / found[0].name)
        if source.facts.release_id != self.release_id:
            raise IntegrityFailure(
                f"{found[0].name} was packed from another release.",
                hint="Remove it and make it again: imagetree release pack.",
            )
        if reads not in ("packed", name, source.description):
            raise Conflict(
                f"{name} has changed: it is {source.description} now, not {reads}.",
                hint="Start a new run, or bring that copy back.",
            )
        return source

    def loader(
        self,
        split: str,
        *,
        training: bool | None = None,
        packed: bool | str = False,
        source: ImageSource | None = None,
        **options: Any,
    ) -> Loader:
        """Batches of a split: numpy images and integer labels; see `Loader` for the options.

        `training` (random crops and flips, shuffled) is by default what the split's name says:
        true for names that begin with `train`. Images that only have absent labels are left out.
        `packed` reads a packed copy instead of the originals, as `source` finds it: true for the
        nearest to the originals, or a name. Images that could not be packed are then left out, and
        the loader's `source` tells how many. `source` is any other source.
        """
        if training is None:
            training = split.startswith("train")
        images = self.images(split)
        if packed:
            source = self.source("packed" if packed is True else packed)
        if isinstance(source, Packed):
            images = self._packed_images(images, source, split=split)
        return Loader(
            images,
            self.classes,
            source or self._originals,
            training=training,
            **options,
        )

    def _packed_images(
        self, images: list[ReleaseImage], source: Packed, *, split: str
    ) -> list[ReleaseImage]:
        if split not in source.facts.splits:
            raise NotFound(
                f"{source.facts.name} has no images of {split}, only of "
                f"{', '.join(source.facts.splits)}.",
                hint="Load the originals, or remove the copy and pack it with this --split.",
            )
        held = source.holds([one.sha256 for one in images])
        return [one for one, is_held in zip(images, held.tolist(), strict=True) if is_held]

    def as_dict(self) -> dict[str, Any]:
        """The release as JSON takes it, without its images."""
        return {
            "name": self.name,
            "release_id": self.release_id,
            "seed": self.seed,
            "n_images": self.n_images,
            "splits": self.splits,
            "fractions": self.fractions,
            "classes": dict(zip(self.classes, self.class_names, strict=True)),
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {n:,}" for name, n in self.splits.items())
        shown = ", ".join(self.class_names[:5])
        more = f" and {len(self.classes) - 5:,} more" if len(self.classes) > 5 else ""
        return (
            f"Release {self.name} ({self.release_id[:12]}), seed {self.seed}\n"
            f"{self.n_images:,} images: {counts}\n"
            f"{len(self.classes):,} classes: {shown}{more}"
        )

    def __repr__(self) -> str:
        return f"<imagetree.Release {self.name} {self.release_id[:12]}>"
