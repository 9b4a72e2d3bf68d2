"""The native kernel, built from native/; imagetree.images.kernel is its documented face."""

from typing import Any

from numpy.typing import NDArray

tile_bytes: int

def fill(
    buffers: list[Any],
    tiles: NDArray[Any],
    out: NDArray[Any],
    status: NDArray[Any],
    *,
    layout: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    max_pixels: int,
    max_bytes: int,
    n_threads: int,
    engine: int,
) -> None: ...
def prepare(
    data: bytes,
    *,
    orientation: int,
    eighths: int,
    width: int,
    height: int,
    quality: int,
    max_pixels: int,
) -> tuple[int, bytes, bytes]: ...
def instructions() -> str: ...
def pool_size() -> int: ...
def end_pool() -> None: ...
