"""From stored bytes to a batch: the native kernel's face, with Pillow where it does not apply.

    (buffer, offset, length) + tile  ->  decode, resize, flip, turn upright  ->  out[i]

A tile (`images.tiles`) says what is wanted of an image; drawing it is the caller's part. The
kernel decodes only the rows and columns of the JPEG that the tile needs, at the smallest DCT
scale that is enough, in threads of its own with the GIL released. What it does not handle (PNG,
CMYK, 12 bits, damaged files) Pillow decodes here, so the caller sees one result and the same
errors either way.

The kernel is the extension module `imagetree.images._kernel`. pip builds it where a C++ compiler
and libjpeg-turbo are; `setup/kernel` builds it in place, for a checkout on PYTHONPATH. Without
it everything works, slower.
"""

from __future__ import annotations

import atexit
import functools
import logging
import mmap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import ImagetreeError, InvalidInput
from imagetree.images.decode import DEFAULT_LIMITS, ImageInfo, Limits, draft_reduction
from imagetree.images.thumbnails import LOSSLESS_BELOW_PX, QUALITY, SIZE_PX, thumbnail_size
from imagetree.images.tiles import TILE, tile_by_pillow

try:
    from imagetree.images import _kernel
except ImportError as error:
    _absence = str(error)
else:
    _absence = ""
    # Threads that run while the interpreter is taken down would be killed in the middle.
    atexit.register(_kernel.end_pool)

Bytes = bytes | bytearray | memoryview | mmap.mmap
Buffer = Bytes | tuple[Bytes, int, int]
Layout = Literal["uint8", "float32", "bfloat16"]
Engine = Literal["auto", "turbo", "own"]
Colour = tuple[float, float, float]

# What became of an image.
BY_KERNEL, BY_PILLOW, BAD = 0, 1, 2

HOW_TO_GET = "apt-get install g++ libjpeg62-turbo-dev; pip install --force-reinstall imagetree"
GREY_SIDE_PX = 32
_LAYOUTS = {"uint8": 0, "float32": 1, "bfloat16": 2}
_DTYPES = {"uint8": np.uint8, "float32": np.float32, "bfloat16": np.uint16}
_ENGINES = {"auto": 0, "turbo": 1, "own": 2}


def available() -> bool:
    """Whether the native kernel is there."""
    return not _absence


def instructions() -> str:
    """The set of instructions that the kernel uses here, such as AVX2; empty without kernel."""
    return "" if _absence else _kernel.instructions()


def absence() -> str:
    """Why the native kernel is not there; empty where it is."""
    return _absence


def fill(
    buffers: Sequence[Buffer],
    tiles: NDArray[np.void],
    out: NDArray[Any],
    *,
    layout: Layout = "uint8",
    mean: Colour = (0.0, 0.0, 0.0),
    std: Colour = (1.0, 1.0, 1.0),
    n_threads: int = 1,
    engine: Engine = "auto",
    limits: Limits = DEFAULT_LIMITS,
    on_bad: Callable[[int, ImagetreeError], None] | None = None,
) -> NDArray[np.int32]:
    """What became of each image (N,): BY_KERNEL, BY_PILLOW or BAD; the pixels are in `out`.

    Each buffer holds one file, or is (buffer, offset, length) of a shard; it must not change
    meanwhile. `tiles` (N,) is a TILE array. `out` is C-contiguous and decides the size:

        layout     dtype     shape         values
        uint8      uint8     (N, H, W, C)  0 to 255
        float32    float32   (N, C, H, W)  (value / 255 - mean) / std
        bfloat16   uint16    (N, C, H, W)  the same as bfloat16 bits, ties to even

    with C = 3 (red, green, blue) or 1 (grey by Pillow's weights, mean[0] and std[0]). The bytes
    do not depend on `n_threads`, nor on the set of instructions. `engine` is for comparing.

    An image that cannot be decoded raises DamagedImage, and one that has no such tile
    InvalidInput; with `on_bad` it is called with the image's number and the error instead,
    and that image becomes black.

    Example:
        out = np.empty((len(files), 224, 224, 3), np.uint8)
        fill(files, crop_tiles(boxes, flip=flips), out, n_threads=2)
    """
    _check(buffers, tiles, out, layout=layout, n_threads=n_threads, engine=engine, std=std)
    status = np.full(len(buffers), BY_PILLOW, dtype=np.int32)
    if available():
        _kernel.fill(
            list(buffers),
            np.ascontiguousarray(tiles).view(np.uint8).reshape(len(tiles), TILE.itemsize),
            out,
            status,
            layout=_LAYOUTS[layout],
            mean=mean,
            std=std,
            max_pixels=limits.max_pixels,
            max_bytes=limits.max_bytes,
            n_threads=n_threads,
            engine=_ENGINES[engine],
        )
    else:
        _say_that_it_is_slow()
    left = np.flatnonzero(status)
    if len(left):
        rest = _Rest(buffers, tiles, out, mean=mean, std=std, limits=limits)
        rest.fill(left, status, n_threads=n_threads, on_bad=on_bad)
    return status


def _check(
    buffers: Sequence[Buffer],
    tiles: NDArray[np.void],
    out: NDArray[Any],
    *,
    layout: str,
    n_threads: int,
    engine: str,
    std: Colour,
) -> None:
    """InvalidInput unless everything fits together."""
    n_images, planes = len(buffers), layout != "uint8"
    if (
        layout not in _LAYOUTS
        or out.dtype != _DTYPES[layout]
        or out.ndim != 4
        or out.shape[0] != n_images
        or out.shape[1 if planes else 3] not in (1, 3)
        or 0 in out.shape[1:]
        or not (out.flags.c_contiguous and out.flags.writeable)
        or tiles.dtype != TILE
        or tiles.shape != (n_images,)
    ):
        raise InvalidInput(
            f"{n_images} buffers and {len(tiles)} tiles do not fit a batch of {out.dtype} "
            f"{out.shape} in the layout {layout!r}.",
            hint="See the table of layouts at imagetree.images.kernel.fill.",
        )
    if n_threads < 1 or engine not in _ENGINES or 0 in std:
        raise InvalidInput(
            f"No batch with {n_threads} threads, the engine {engine!r} and deviations of {std}."
        )


@functools.cache
def _say_that_it_is_slow() -> None:
    """Once a process, where images are loaded: pip hides what the build said."""
    logging.getLogger("imagetree").warning(
        "Loading without the native kernel, at less than half of the speed. To get it: %s",
        HOW_TO_GET,
    )


def thumbnail_and_grey(
    data: bytes, info: ImageInfo, *, side_px: int, limits: Limits = DEFAULT_LIMITS
) -> tuple[bytes, NDArray[np.uint8]] | None:
    """The thumbnail's JPEG and the box-resized grey square (side, side) of an upright picture.

    Both from one decode, at the DCT scale that Pillow would take: the grey values are Pillow's to
    the last bit, the thumbnail's within rounding. None where Pillow has to do it: there is no
    kernel, the file is no plain JPEG or is damaged, the thumbnail would be a PNG.
    """
    size = (info.width_px, info.height_px)
    if (
        not available()
        or side_px != GREY_SIDE_PX
        or info.format != "JPEG"
        or info.mode not in ("RGB", "L")
        or min(size) < LOSSLESS_BELOW_PX
    ):
        return None
    reduction = draft_reduction(*size, draft_px=2 * SIZE_PX)
    width, height = thumbnail_size(-(-size[0] // reduction), -(-size[1] // reduction))
    status, jpeg, grey = _kernel.prepare(
        data,
        orientation=info.orientation,
        eighths=8 // reduction,
        width=width,
        height=height,
        quality=QUALITY,
        max_pixels=limits.max_pixels,
    )
    if status != BY_KERNEL:
        return None
    return jpeg, np.frombuffer(grey, dtype=np.uint8).reshape(side_px, side_px)


class _Rest:
    """The images of a batch that the kernel has left, by Pillow."""

    def __init__(
        self,
        buffers: Sequence[Buffer],
        tiles: NDArray[np.void],
        out: NDArray[Any],
        *,
        mean: Colour,
        std: Colour,
        limits: Limits,
    ) -> None:
        self._buffers, self._tiles, self._out, self._limits = buffers, tiles, out, limits
        planes = out.dtype != np.uint8
        height, width = out.shape[2:] if planes else out.shape[1:3]
        self._size_px = (int(width), int(height))
        self._grey = out.shape[1 if planes else 3] == 1
        self._tables = _tables(mean, std, out.dtype) if planes else None

    def fill(
        self,
        numbers: NDArray[np.intp],
        status: NDArray[np.int32],
        *,
        n_threads: int,
        on_bad: Callable[[int, ImagetreeError], None] | None,
    ) -> None:
        """Fills those images and their status; the first error in their order is raised."""
        if min(n_threads, len(numbers)) == 1:
            errors = [self._one(number) for number in numbers.tolist()]
        else:
            with ThreadPoolExecutor(min(n_threads, len(numbers))) as pool:
                errors = list(pool.map(self._one, numbers.tolist()))
        for number, error in zip(numbers.tolist(), errors, strict=True):
            status[number] = BY_PILLOW if error is None else BAD
            if error is not None:
                if on_bad is None:
                    raise error
                self._out[number] = 0
                on_bad(number, error)

    def _one(self, number: int) -> ImagetreeError | None:
        try:
            image = tile_by_pillow(
                _read(self._buffers[number]),
                self._tiles[number],
                size_px=self._size_px,
                limits=self._limits,
            )
        except ImagetreeError as error:
            return error
        pixels = np.asarray(image.convert("L") if self._grey else image)
        if self._grey:
            pixels = pixels[:, :, None]
        if self._tables is None:
            self._out[number] = pixels
        else:
            for channel in range(pixels.shape[2]):
                self._out[number, channel] = self._tables[channel][pixels[:, :, channel]]
        return None


def _read(buffer: Buffer) -> bytes:
    if not isinstance(buffer, tuple):
        return bytes(buffer)
    whole, offset, length = buffer
    view = memoryview(whole).cast("B")
    if offset < 0 or length < 0 or offset + length > len(view):
        raise InvalidInput(f"There are no bytes {offset} to {offset + length} in {len(view)}.")
    return bytes(view[offset : offset + length])


def _tables(mean: Colour, std: Colour, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The normalised value of each byte, (3, 256), as the kernel has it too."""
    values = np.arange(256) / 255.0
    tables: NDArray[Any] = (values - np.array(mean)[:, None]) / np.array(std)[:, None]
    tables = tables.astype(np.float32)
    if dtype == np.uint16:
        bits = tables.view(np.uint32)
        tables = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return tables
