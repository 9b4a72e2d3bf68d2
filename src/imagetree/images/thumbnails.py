"""Thumbnails: small JPEGs for grids and for confirming near duplicates."""

from __future__ import annotations

import io

from PIL import Image

from imagetree.images.decode import open_checked, to_rgb

SIZE_PX = 160
LONGEST = 3
LOSSLESS_BELOW_PX = 64


def thumbnail(image: Image.Image | bytes, *, size_px: int = SIZE_PX) -> bytes:
    """A JPEG with the shorter side at `size_px`, the longer at most three times that.

    Grids crop squares, hence the shorter side. Nothing is enlarged; images below 64 px on the
    shorter side stay as they are, as PNG, since JPEG would smear the few pixels they have.
    """
    if isinstance(image, bytes):
        opened, info = open_checked(image)
        image = to_rgb(opened, orientation=info.orientation, draft_px=2 * size_px)
    width, height = image.size
    scale = min(1.0, size_px / min(width, height), LONGEST * size_px / max(width, height))
    target = io.BytesIO()
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if min(width, height) < LOSSLESS_BELOW_PX:
        image.save(target, "PNG")
    else:
        image.save(target, "JPEG", quality=82)
    return target.getvalue()
