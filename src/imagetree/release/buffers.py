"""Memory for batches that is used again once nobody holds it.

A fresh batch of 256 photos is 38 MB that the kernel has to clear page by page; used again it
costs nothing. A buffer comes back only when the last view of its array is gone, so a consumer
may keep batches as long as it likes.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Allocate = Callable[[int], NDArray[np.uint8]]


def _ordinary(n_bytes: int) -> NDArray[np.uint8]:
    return np.empty(n_bytes, dtype=np.uint8)


class BatchBuffers:
    """Arrays of up to `n_bytes` each; at most `n_kept` wait to be used again.

    `allocate` gives the memory, for instance pinned where a GPU reads it.

    Example:
        >>> buffers = BatchBuffers(n_bytes=12, n_kept=1)
        >>> buffers.array((2, 2, 3), np.uint8).shape
        (2, 2, 3)
    """

    def __init__(self, *, n_bytes: int, n_kept: int, allocate: Allocate | None = None) -> None:
        self._n_bytes, self._n_kept = n_bytes, n_kept
        self._allocate = allocate or _ordinary
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of that shape with whatever is in it."""
        with self._lock:
            memory = self._free.pop() if self._free else None
        if memory is None:
            memory = self._allocate(self._n_bytes)
        kind = np.dtype(dtype)
        count = int(np.prod(shape))
        # Behind a memoryview, so that every view of the batch keeps exactly this array alive.
        array = np.frombuffer(memory.data, dtype=kind, count=count)
        weakref.finalize(array, self._take_back, memory).atexit = False
        return array.reshape(shape)

    def _take_back(self, memory: NDArray[np.uint8]) -> None:
        with self._lock:
            if len(self._free) < self._n_kept:
                self._free.append(memory)
