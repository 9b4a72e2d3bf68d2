"""One image of a release, as its line in the manifest tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Label:
    """What an image shows, or was verified not to show; `confidence` from 0 to 1 or None."""

    wnid: str
    state: str
    confidence: float | None
    method: str


@dataclass(frozen=True, slots=True)
class Box:
    """A box: xyxy in pixels of the image as shown, half-open."""

    wnid: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseImage:
    """One image; width and height in pixels as shown, `length` of its file in bytes."""

    sha256: str
    split: str
    width_px: int
    height_px: int
    length: int
    labels: tuple[Label, ...]
    boxes: tuple[Box, ...] = ()

    @classmethod
    def of_line(cls, line: Mapping[str, Any]) -> ReleaseImage:
        """The image of a manifest's line, the opposite of `as_line`."""
        return cls(
            sha256=line["sha256"],
            split=line["split"],
            width_px=line["width_px"],
            height_px=line["height_px"],
            length=line["length"],
            labels=tuple(Label(*one) for one in line["labels"]),
            boxes=tuple(Box(*one) for one in line["boxes"]),
        )

    def in_split(self, split: str) -> ReleaseImage:
        """The same image in a split."""
        return ReleaseImage(
            sha256=self.sha256,
            split=split,
            width_px=self.width_px,
            height_px=self.height_px,
            length=self.length,
            labels=self.labels,
            boxes=self.boxes,
        )

    def as_line(self) -> dict[str, Any]:
        """The manifest's line.

        Example:
            >>> shown = (Label("n01", "present", None, "imported"),)
            >>> image = ReleaseImage(
            ...     sha256="aa", split="train", width_px=4, height_px=3, length=9, labels=shown
            ... )
            >>> image.as_line()["labels"]
            [['n01', 'present', None, 'imported']]
        """
        return {
            "sha256": self.sha256,
            "split": self.split,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "length": self.length,
            "labels": [[one.wnid, one.state, one.confidence, one.method] for one in self.labels],
            "boxes": [
                [one.wnid, one.xmin, one.ymin, one.xmax, one.ymax, one.state] for one in self.boxes
            ],
        }

    @property
    def present(self) -> tuple[str, ...]:
        """The wnids that the image shows."""
        return tuple(one.wnid for one in self.labels if one.state == "present")
