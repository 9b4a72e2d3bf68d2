"""Memory that decoders leave with the allocator, given back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Returns freed memory to the system, where the C library can (glibc).

    A large image is decoded into blocks that glibc keeps for its thread: 800 MB a thread after
    images of 100 million pixels.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
