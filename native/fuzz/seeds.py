"""Writes seed files for the fuzzer: small JPEGs of every kind, each behind a tile's twelve bytes.

    python native/fuzz/seeds.py FOLDER
"""

from __future__ import annotations

import io
import itertools
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((1, 1), (7, 9), (16, 16), (33, 21), (64, 48))
MODES = ("RGB", "L", "CMYK")


def seeds() -> list[bytes]:
    """Each mode, size, subsampling, quality, restart interval and progression that Pillow writes."""
    generator = np.random.default_rng(0)
    found = []
    kinds = itertools.product(MODES, SIZES, (0, 1, 2), (30, 92, 100), (0, 1, 3), (False, True))
    for mode, (width, height), subsampling, quality, restart, progressive in kinds:
        n_channels = {"RGB": 3, "L": 1, "CMYK": 4}[mode]
        coarse = generator.integers(0, 256, (height // 4 + 1, width // 4 + 1, n_channels))
        pixels = np.kron(coarse, np.ones((4, 4, 1)))[:height, :width]
        pixels = np.clip(pixels + generator.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels[:, :, 0] if n_channels == 1 else pixels, mode)
        target = io.BytesIO()
        options = {"restart_marker_blocks": restart} if restart else {}
        image.save(
            target,
            "JPEG",
            quality=quality,
            subsampling=subsampling,
            progressive=progressive,
            optimize=quality == 92,
            **options,
        )
        found.append(generator.integers(0, 256, 12, dtype=np.uint8).tobytes() + target.getvalue())
    return found


def main() -> None:
    """Writes them as 0000, 0001, ..."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds()):
        (folder / f"{number:04}").write_bytes(data)
    print(f"{number + 1} seeds in {folder}")


if __name__ == "__main__":
    main()
