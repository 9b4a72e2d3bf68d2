"""A small baseline JPEG encoder for files that Pillow does not write: any sampling, any restarts.

Huffman codes are of one length each, which is valid and short: 4 bits for the 12 DC symbols, 8
bits for the 162 AC symbols. Source: ITU-T T.81, annexes A, B and F.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_K, _N = np.arange(8)[:, None], np.arange(8)[None, :]
_DCT = np.where(_K == 0, np.sqrt(1 / 8), 0.5 * np.cos(np.pi * (2 * _N + 1) * _K / 16))
_ZIGZAG = sorted(
    range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8))
)
_DC_SYMBOLS = list(range(12))
_AC_SYMBOLS = [0x00, 0xF0] + [run << 4 | size for run in range(16) for size in range(1, 11)]
_DC_CODE = {symbol: (code, 4) for code, symbol in enumerate(_DC_SYMBOLS)}
_AC_CODE = {symbol: (code, 8) for code, symbol in enumerate(_AC_SYMBOLS)}
_STEP = 6


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


class _Bits:
    """Bits of one restart interval, with the stuffing that 0xFF needs."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def put(self, value: int, n_bits: int) -> None:
        if n_bits:
            self._parts.append(format(value, f"0{n_bits}b"))

    def close(self) -> bytes:
        text = "".join(self._parts)
        text += "1" * (-len(text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
        return data.replace(b"\xff", b"\xff\x00")


def _put_number(bits: _Bits, code: dict[int, tuple[int, int]], run: int, value: int) -> None:
    size = abs(value).bit_length()
    bits.put(*code[run << 4 | size])
    bits.put(value if value >= 0 else value + (1 << size) - 1, size)


def _put_block(bits: _Bits, levels: NDArray[np.int64], before: int) -> int:
    """Writes 64 levels in zigzag order; the DC level, for the next block's difference."""
    numbers = levels.tolist()
    _put_number(bits, _DC_CODE, 0, numbers[0] - before)
    run = 0
    last = max((i for i in range(1, 64) if numbers[i]), default=0)
    for value in numbers[1 : last + 1]:
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits.put(*_AC_CODE[0xF0])
            run -= 16
        _put_number(bits, _AC_CODE, run, value)
        run = 0
    if last < 63:
        bits.put(*_AC_CODE[0x00])
    return int(numbers[0])


def _levels(plane: NDArray[np.float64]) -> NDArray[np.int64]:
    """Quantised blocks (rows, columns, 64) in zigzag order."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    blocks = plane.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3) - 128.0
    waves = np.rint(_DCT @ blocks @ _DCT.T / _STEP).astype(np.int64)
    return waves.reshape(rows, columns, 64)[:, :, _ZIGZAG]


def sampled_jpeg(
    image: Image.Image, *, factors: list[tuple[int, int]], restart_interval: int = 0
) -> bytes:
    """The image as a baseline JPEG; one (horizontal, vertical) sampling factor a component."""
    width, height = image.size
    data = _head(width, height, factors, restart_interval)
    if len(factors) == 1:
        factors = [(1, 1)]  # a component alone is coded block by block, whatever its factors
    planes = image.convert("YCbCr" if len(factors) == 3 else "L").split()
    most_h, most_v = max(h for h, _ in factors), max(v for _, v in factors)
    columns, rows = -(-width // (8 * most_h)), -(-height // (8 * most_v))
    levels = []
    for plane, (h, v) in zip(planes, factors, strict=True):
        size = (-(-width * h // most_h), -(-height * v // most_v))
        small = np.asarray(plane.resize(size, Image.Resampling.BOX), dtype=np.float64)
        pad = ((0, rows * 8 * v - size[1]), (0, columns * 8 * h - size[0]))
        levels.append(_levels(np.pad(small, pad, mode="edge")))
    bits, before, n_restarts = _Bits(), [0] * len(factors), 0
    for number in range(rows * columns):
        if restart_interval and number and number % restart_interval == 0:
            data += bits.close() + bytes([0xFF, 0xD0 + n_restarts % 8])
            bits, before, n_restarts = _Bits(), [0] * len(factors), n_restarts + 1
        row, column = divmod(number, columns)
        for i, (h, v) in enumerate(factors):
            for y in range(row * v, row * v + v):
                for x in range(column * h, column * h + h):
                    before[i] = _put_block(bits, levels[i][y, x], before[i])
    return data + bits.close() + b"\xff\xd9"


def _head(width: int, height: int, factors: list[tuple[int, int]], restart_interval: int) -> bytes:
    n_parts = len(factors)
    frame = struct.pack(">BHHB", 8, height, width, n_parts)
    frame += b"".join(bytes([i + 1, h << 4 | v, 0]) for i, (h, v) in enumerate(factors))
    scan = bytes([n_parts, *(byte for i in range(n_parts) for byte in (i + 1, 0)), 0, 63, 0])
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xDB, bytes([0] + [_STEP] * 64)),
            _segment(0xC0, frame),
            _segment(0xC4, bytes([0x00, *([0] * 3), 12, *([0] * 12), *_DC_SYMBOLS])),
            _segment(0xC4, bytes([0x10, *([0] * 7), 162, *([0] * 8), *_AC_SYMBOLS])),
            _segment(0xDD, struct.pack(">H", restart_interval)) if restart_interval else b"",
            _segment(0xDA, scan),
        ]
    )
