"""Tiles: what is wanted of an image, and how Pillow makes one.

A tile is a box in pixels of the upright picture (EXIF orientation applied), which becomes the
whole output; output pixel i has its centre at x0 + (i + 0.5) * (x1 - x0) / width. Filter taps
stay inside `clamp`: the crop itself for crop-then-resize, the whole picture for resize-then-crop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from imagetree.core.errors import InvalidInput
from imagetree.images.decode import Limits, open_checked, to_rgb

SLACK_PX = 0.02
# A row of native/batch.hpp's TileRow: boxes are (x0, y0, x1, y1).
TILE = np.dtype(
    [("box", "<f4", (4,)), ("clamp", "<i4", (4,)), ("flip", "<i4"), ("orientation", "<i4")]
)


def crop_tiles(
    boxes: ArrayLike, *, flip: ArrayLike = False, orientation: ArrayLike = 0
) -> NDArray[np.void]:
    """Tiles (N,) for `image.crop(box).resize(size)`, boxes (N, 4) in whole upright pixels.

    `flip` mirrors left-right after the resize; `orientation` is EXIF's, 1 to 8, of the stored
    picture, or 0 for what the file itself says. Both are one value or (N,).

    Example:
        >>> crop_tiles([[0, 0, 80, 60]], flip=True)["clamp"].tolist()
        [[0, 0, 80, 60]]
    """
    corners = np.asarray(boxes)
    tiles = np.zeros(len(corners), dtype=TILE)
    tiles["box"] = tiles["clamp"] = corners
    tiles["flip"], tiles["orientation"] = flip, orientation
    return tiles


def centre_tiles(
    sizes: ArrayLike, *, resize_px: int, size_px: int, orientation: ArrayLike = 0
) -> NDArray[np.void]:
    """Tiles (N,) for resizing the shorter side to `resize_px` and cutting the centre square.

    `sizes` (N, 2) are (width, height) of the upright pictures. The same pixels as resizing the
    whole picture with Pillow and cropping (torchvision's evaluation).
    """
    whole = np.asarray(sizes, dtype=np.float64)
    tiles = np.zeros(len(whole), dtype=TILE)
    resized = np.maximum(resize_px, np.rint(whole * (resize_px / whole.min(axis=1, keepdims=True))))
    corner = (resized - size_px) // 2
    scale = whole / resized
    tiles["box"] = np.concatenate([corner * scale, (corner + size_px) * scale], axis=1)
    tiles["clamp"][:, 2:] = whole
    tiles["orientation"] = orientation
    return tiles


def tile_by_pillow(
    data: bytes, tile: np.void, *, size_px: tuple[int, int], limits: Limits
) -> Image.Image:
    """The tile as Pillow makes it, RGB of (width, height) `size_px`.

    DamagedImage when the bytes cannot be decoded, InvalidInput when the picture has no such tile.
    """
    image, info = open_checked(data, limits=limits)
    orientation = int(tile["orientation"]) or info.orientation
    box, clamp = _checked(tile, image.size[::-1] if orientation >= 5 else image.size)
    reduction = _draft(image, box, size_px)
    image = to_rgb(image, orientation=orientation)
    left, top = clamp[0] // reduction, clamp[1] // reduction
    right, bottom = -(-clamp[2] // reduction), -(-clamp[3] // reduction)
    if (left, top, right, bottom) != (0, 0, *image.size):
        image = image.crop((left, top, right, bottom))
    inside = (
        max(0.0, box[0] / reduction - left),
        max(0.0, box[1] / reduction - top),
        min(float(image.width), box[2] / reduction - left),
        min(float(image.height), box[3] / reduction - top),
    )
    image = image.resize(size_px, Image.Resampling.BILINEAR, box=inside)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if tile["flip"] else image


def _checked(tile: np.void, size: tuple[int, int]) -> tuple[list[float], list[int]]:
    """Box and clamp of a tile that a picture of that upright size has."""
    box, clamp = tile["box"].tolist(), tile["clamp"].tolist()
    # Boxes are 32-bit floats: the rounding of a computed corner is no error.
    inside = all(
        0 <= clamp[i] < clamp[i + 2] <= size[i]
        and clamp[i] - SLACK_PX <= box[i] < box[i + 2] <= clamp[i + 2] + SLACK_PX
        for i in (0, 1)
    )
    if not (inside and 0 <= int(tile["orientation"]) <= 8):
        raise InvalidInput(
            f"A picture of {size[0]} x {size[1]} pixels has no tile {tile}.",
            hint="Take size and orientation from the picture itself: read_info tells them.",
        )
    return box, clamp


def _draft(image: Image.Image, box: list[float], size_px: tuple[int, int]) -> int:
    """By how much a JPEG will be decoded smaller: 1, 2, 4 or 8, with enough left for the tile."""
    wide, high = (box[2] - box[0]) / size_px[0], (box[3] - box[1]) / size_px[1]
    reduction = 1
    while reduction < 8 and min(wide, high) >= 2 * reduction:
        reduction *= 2
    if reduction == 1 or image.format not in ("JPEG", "MPO"):
        return 1
    width, height = image.size
    image.draft(None, (width // reduction, height // reduction))
    return reduction if image.size == (-(-width // reduction), -(-height // reduction)) else 1
