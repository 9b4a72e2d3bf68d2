"""Is the loader's memory flat? Resident memory after each of ten epochs, by depth of reading ahead.

    python benchmarks/loading_memory.py [PHOTOS] [--image-size 224] [--batch-size 64]

Each depth runs in a process of its own. What may grow is bounded by n_ahead: n_ahead + 2 sets of
files and n_ahead + 3 batches of pixels.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from pathlib import Path

from loader_overlap import drawn_photos, photo_loader

N_EPOCHS = 10


def resident_mb() -> float:
    """Resident memory of this process in MB, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(folder: Path, image_size: int, batch_size: int, n_ahead: int) -> None:
    """Prints one line: resident memory before, and the highest seen in each epoch."""
    loader = photo_loader(folder, image_size=image_size, batch_size=batch_size, n_ahead=n_ahead)
    before = resident_mb()
    seen = []
    for epoch in range(N_EPOCHS):
        highest = 0.0
        for _ in loader.epoch(epoch):
            highest = max(highest, resident_mb())
        seen.append(highest - before)
    batch_mb = batch_size * image_size * image_size * 3 / 1e6
    bound = (n_ahead + 3) * batch_mb
    told = " ".join(f"{one:5.0f}" for one in seen)
    print(
        f"n_ahead {n_ahead}: {told} MB above the start; pixels at most {bound:.0f} MB", flush=True
    )


def main() -> None:
    """Measures three depths, one process each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.photos or Path(name)
        if given.photos is None:
            drawn_photos(folder)
        for n_ahead in (1, 2, 4):
            arguments = (folder, given.image_size, given.batch_size, n_ahead)
            process = multiprocessing.get_context("spawn").Process(target=measure, args=arguments)
            process.start()
            process.join()


if __name__ == "__main__":
    main()
