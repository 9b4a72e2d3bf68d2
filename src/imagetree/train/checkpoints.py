"""Checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from imagetree.core.errors import IntegrityFailure, OutOfSpace


def write(path: Path, state: dict[str, Any]) -> None:
    """Stores the state (tensors, numbers, strings, lists, dicts) at `path`, atomically.

    A kill at any moment leaves the old checkpoint or the new one. Errors: OutOfSpace.
    """
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise OutOfSpace(
                f"No space left for the checkpoint {path}.",
                hint="Free some and start the run again: it resumes at the last checkpoint.",
            ) from error
        raise
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> dict[str, Any] | None:
    """The stored state, or None when there is none. Errors: IntegrityFailure when damaged."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise IntegrityFailure(
            f"The checkpoint {path} cannot be read.",
            hint="Remove it to start the run from the beginning.",
        ) from error
    return state
