"""PyTurboJPEG: Debian's libturbojpeg through ctypes; OpenCV resizes."""

from __future__ import annotations

import cv2
from turbojpeg import TJPF_RGB, TurboJPEG

from loading_peers.peers.opencv import resize
from loading_peers.work import Array, Epoch, Work, epochs_of

PACKAGES = ("PyTurboJPEG", "opencv-python-headless")


def area(work: Work) -> Epoch:
    """Full decode, area resize."""
    cv2.setNumThreads(0)
    library = TurboJPEG()

    def cut(data: bytes, box: tuple[int, int, int, int], flip: bool, out: Array) -> None:
        pixels = library.decode(data, pixel_format=TJPF_RGB)
        resize(pixels, box, flip, out, method=cv2.INTER_AREA)

    return epochs_of(work, cut)


VARIANTS = {"area": area}
