"""Images per second: `prepare` with one and two threads against a plain Pillow loop.

    python benchmarks/collecting.py PHOTOS [N]

Both hash, decode, fingerprint and make a thumbnail; the plain loop decodes in full. Neither stores.
"""

from __future__ import annotations

import hashlib
import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn

from imagetree.images.fingerprints import prepare


def plain(data: bytes) -> None:
    """What a short script does with each image."""
    hashlib.sha256(data).hexdigest()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    grey = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    waves = dctn(np.asarray(grey, dtype=np.float64))[:8, :8]
    np.packbits(waves > np.median(waves))
    image.thumbnail((160, 160))
    image.save(io.BytesIO(), "JPEG", quality=82)


def rate(work: Callable[[bytes], object], blobs: list[bytes], *, n_threads: int) -> float:
    """Images per second."""
    start = time.perf_counter()
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, blobs))
    return len(blobs) / (time.perf_counter() - start)


def main() -> None:
    """Prints the rates and their ratios, the best of three rounds in turn."""
    n_images = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    files = sorted(Path(sys.argv[1]).rglob("*.JPEG"))[:n_images]
    blobs = [path.read_bytes() for path in files]
    cases = {"plain loop": (plain, 1), "prepare": (prepare, 1), "prepare, 2 threads": (prepare, 2)}
    best = dict.fromkeys(cases, 0.0)
    for _ in range(3):
        for name, (work, n_threads) in cases.items():
            best[name] = max(best[name], rate(work, blobs, n_threads=n_threads))
    for name, value in best.items():
        print(f"{name:20} {value:8.0f} images/s  {value / best['plain loop']:.2f}x")


if __name__ == "__main__":
    main()
