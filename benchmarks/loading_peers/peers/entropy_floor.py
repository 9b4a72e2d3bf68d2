"""The entropy-decode floor: libjpeg-turbo's Huffman decoding alone, no pixels.

Huffman codes have no marks to jump to: whoever wants a crop has to decode every code above its
last row. "crop" does just that; "whole" decodes the file to its end and keeps the coefficients,
as every use of them begins.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loading_peers.work import Epoch, Work, slices

SOURCE = Path(__file__).parent.parent / "entropy.c"


def _library(work: Work) -> ctypes.CDLL:
    path = work.folder / "entropy.so"
    command = ["gcc", "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(path), "-ljpeg"]
    subprocess.run(command, check=True, capture_output=True)
    library = ctypes.CDLL(str(path))
    library.decode_coefficients.argtypes = (ctypes.c_char_p, ctypes.c_ulong, ctypes.c_uint)
    return library


def _open(work: Work, *, to_crop: bool) -> Epoch:
    decode = _library(work).decode_coefficients
    blobs = work.blobs()
    pool = ThreadPoolExecutor(work.n_threads) if work.n_threads > 1 else None

    def one(item: int) -> None:
        data = blobs[item % work.n_photos]
        last_row = int(work.boxes[item, 3]) if to_crop else 0
        if decode(data, len(data), last_row) != 0:
            raise RuntimeError(f"refused: {work.files[item % work.n_photos].name}")

    def epoch() -> Iterator[range]:
        for part in slices(work.n_items):
            items = range(part.start, part.stop)
            if pool is None:
                for item in items:
                    one(item)
            else:
                list(pool.map(one, items))
            yield items

    return epoch


VARIANTS = {
    "whole": lambda work: _open(work, to_crop=False),
    "crop": lambda work: _open(work, to_crop=True),
}
