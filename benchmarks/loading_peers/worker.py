"""A process that holds one peer, runs a round when told so, and is stopped in between.

    python -m loading_peers.worker MODULE VARIANT FOLDER CORES

Answers lines of JSON on the standard output that it was started with. Whatever the peer itself
prints goes to the standard error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from loading_peers.work import Epoch, Work, as_pixels, read_work


def run_round(epoch: Epoch, *, seconds: float) -> dict[str, Any]:
    """Images and seconds of all items once, and again until `seconds` have passed.

    Each epoch is begun and used up inside the measured time: nothing that a peer prepares ahead
    is carried from one round into the next. It is long, for what begins an epoch (a pipeline's
    buffers, say) would count for little in training.
    """
    n_images = 0
    gc.collect()
    start = time.perf_counter()
    while True:
        for batch in epoch():
            n_images += len(batch)
        elapsed_s = time.perf_counter() - start
        if elapsed_s >= seconds:
            return {"n_images": n_images, "elapsed_s": elapsed_s}


def difference(epoch: Epoch, work: Work) -> float | None:
    """Mean absolute difference from Pillow's pixels; None where there are no pixels.

    An epoch of wrong length is an error: a peer that leaves photos out would look fast.
    """
    n_seen, total = 0, 0.0
    compared = True
    for batch in epoch():
        expected = work.reference[n_seen : n_seen + len(batch)]
        if isinstance(batch, range):
            compared = False
        elif len(expected):
            apart = np.abs(as_pixels(batch[: len(expected)]) - expected)
            total += float(apart.mean(axis=(1, 2, 3)).sum())
        n_seen += len(batch)
    if n_seen != work.n_items:
        raise RuntimeError(f"{n_seen} of {work.n_items} images came back")
    return total / work.n_photos if compared else None


def main() -> None:
    """Opens the peer, says how it went, then answers each line with a round."""
    module, variant, folder, cores = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    chosen = [int(core) for core in cores.split(",")]
    os.sched_setaffinity(0, chosen)

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers)

    try:
        work = read_work(Path(folder), n_threads=len(chosen))
        peer = importlib.import_module(f"loading_peers.peers.{module}")
        epoch = peer.VARIANTS[variant](work)
        facts = {"difference": difference(epoch, work), "version": version(peer)}
        facts["note"] = getattr(peer, "NOTE", "")
        facts["stands_in"] = getattr(peer, "STANDS_IN", False)
        answer(facts)
    # A peer may fail in any way on a machine that is not its own; that is a row of the table.
    except BaseException as error:
        answer({"error": last_line(error)})
        raise
    for line in sys.stdin:
        order = json.loads(line)
        answer(run_round(epoch, seconds=order["seconds"]))


def version(peer: Any) -> str:
    """Names and versions of the packages that the peer says it stands on."""
    from importlib.metadata import version as version_of

    return ", ".join(f"{name} {version_of(name)}" for name in getattr(peer, "PACKAGES", ()))


def last_line(error: BaseException) -> str:
    """The error as Python prints it last, cut to what fits into a table."""
    text = f"{type(error).__name__}: {error}".strip().splitlines()
    return text[-1 if len(text) > 1 and text[-1].strip() else 0].strip()[:200]


if __name__ == "__main__":
    main()
