"""Perceptual fingerprints: 64 bits that survive resizing and recompression.

    grey 32 x 32 -> DCT-II -> 8 x 8 lowest frequencies -> bit = above the median (without DC)

Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from imagetree.images import kernel
from imagetree.images.decode import DEFAULT_LIMITS, ImageInfo, Limits, open_checked, to_rgb
from imagetree.images.thumbnails import SIZE_PX, thumbnail

SIDE = 32
KEPT = 8
_K, _N = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
_DCT = np.cos(np.pi * (2 * _N + 1) * _K / (2 * SIDE))  # (KEPT, SIDE)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What collecting needs to know of an image; `thumbnail` is an encoded JPEG or PNG."""

    sha256: str
    info: ImageInfo
    fingerprint: int
    thumbnail: bytes


def fingerprint(grey: NDArray[np.uint8]) -> int:
    """The 64-bit perceptual hash of grey pixels (H, W), as a signed integer.

    Example:
        >>> fingerprint(np.zeros((32, 32), dtype=np.uint8))
        0
    """
    if grey.shape != (SIDE, SIDE):
        image = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX)
        grey = np.asarray(image)
    waves = _DCT @ (grey.astype(np.float64) - float(grey.mean())) @ _DCT.T  # (KEPT, KEPT)
    flat = waves.ravel()
    # The middle one of 63 is their median, found without the time that numpy's takes.
    middle = float(np.partition(flat[1:], (KEPT * KEPT - 1) // 2)[(KEPT * KEPT - 1) // 2])
    # The tolerance keeps a plain image from being a hash of rounding errors.
    bits = flat > max(middle, 1e-6)
    return int(np.packbits(bits).view(">i8")[0])


def hamming(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint8]:
    """Number of differing bits, 0 to 64, of fingerprints; broadcasts as numpy does."""
    left = np.asarray(a, dtype=np.int64).view(np.uint64)
    right = np.asarray(b, dtype=np.int64).view(np.uint64)
    counts: NDArray[np.uint8] = np.bitwise_count(left ^ right)
    return counts


def prepare(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Prepared:
    """Hash, header, fingerprint and thumbnail of an image, from one decode.

    A JPEG is decoded at the DCT scale next above twice the thumbnail, by the native kernel where
    it can: the fingerprint is the same either way. DamagedImage on failure.
    """
    opened, info = open_checked(data, limits=limits)
    made = kernel.thumbnail_and_grey(data, info, side_px=SIDE)
    if made is None:
        image = to_rgb(opened, orientation=info.orientation, draft_px=2 * SIZE_PX)
        small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        made = thumbnail(image), np.asarray(small)
    return Prepared(
        sha256=hashlib.sha256(data).hexdigest(),
        info=info,
        fingerprint=fingerprint(made[1]),
        thumbnail=made[0],
    )
