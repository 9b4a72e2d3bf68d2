"""OpenCV: full decode, then a resize that looks at four pixels, or at all by their area."""

from __future__ import annotations

import cv2
import numpy as np

from loading_peers.work import SIDE_PX, Array, Epoch, Work, epochs_of

PACKAGES = ("opencv-python-headless",)
# Stored pixels are what the boxes are drawn in, so no turning by EXIF.
FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def resize(
    pixels: Array, box: tuple[int, int, int, int], flip: bool, out: Array, *, method: int
) -> None:
    """The crop of a decoded photo, resized and mirrored into `out`."""
    left, top, right, bottom = box
    part = pixels[top:bottom, left:right]
    if flip:
        cv2.flip(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=method), 1, dst=out)
    else:
        cv2.resize(part, (SIDE_PX, SIDE_PX), dst=out, interpolation=method)


def _open(work: Work, method: int) -> Epoch:
    # The benchmark's threads take a photo each; OpenCV's own would share one.
    cv2.setNumThreads(0)

    def cut(data: bytes, box: tuple[int, int, int, int], flip: bool, out: Array) -> None:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS)
        resize(pixels, box, flip, out, method=method)

    return epochs_of(work, cut)


VARIANTS = {
    "plain": lambda work: _open(work, cv2.INTER_LINEAR),
    "area": lambda work: _open(work, cv2.INTER_AREA),
}
