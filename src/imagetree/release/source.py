"""Where a loader's bytes come from: the originals, or a copy packed for training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imagetree.release.record import ReleaseImage


class ImageSource(Protocol):
    """The files of a release's images, by SHA-256 of the originals; used from several threads.

    A copy of a source has locks of its own, so that it may go to another process.
    """

    @property
    def description(self) -> str:
        """What is read, in a few words, for a run's record: 'originals'."""
        ...

    def read_many(self, sha256s: Sequence[str]) -> list[bytes]:
        """The files, in the order asked for; read in the order of the disk."""
        ...

    def sizes(self, records: Sequence[ReleaseImage]) -> NDArray[np.int32]:
        """(N, 2): width and height of each file's picture as shown, in pixels."""
        ...


class Originals:
    """The untouched files. `read_many` gives them by SHA-256.

    Example:
        >>> Originals(lambda names: [b"..." for _ in names]).description
        'originals'
    """

    description = "originals"

    def __init__(self, read_many: Callable[[Sequence[str]], list[bytes]]) -> None:
        self._read_many = read_many

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._read_many = copy.copy(state["_read_many"])

    def read_many(self, sha256s: Sequence[str]) -> list[bytes]:
        """The files, in the order asked for."""
        return self._read_many(sha256s)

    def sizes(self, records: Sequence[ReleaseImage]) -> NDArray[np.int32]:
        """Width and height as the release tells them."""
        sides = [(one.width_px, one.height_px) for one in records]
        return np.array(sides, dtype=np.int32).reshape(len(records), 2)
