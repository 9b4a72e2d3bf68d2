"""simplejpeg: a thin face of libjpeg-turbo; OpenCV resizes."""

from __future__ import annotations

import cv2
import simplejpeg

from loading_peers.peers.opencv import resize
from loading_peers.work import Array, Epoch, Work, epochs_of

PACKAGES = ("simplejpeg", "opencv-python-headless")


def area(work: Work) -> Epoch:
    """Full decode, area resize."""
    cv2.setNumThreads(0)

    def cut(data: bytes, box: tuple[int, int, int, int], flip: bool, out: Array) -> None:
        pixels = simplejpeg.decode_jpeg(data, "RGB")
        resize(pixels, box, flip, out, method=cv2.INTER_AREA)

    return epochs_of(work, cut)


VARIANTS = {"area": area}
