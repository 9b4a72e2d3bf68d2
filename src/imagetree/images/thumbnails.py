"""Thumbnails: small JPEGs for grids and for confirming near duplicates."""

from __future__ import annotations

import io

from PIL import Image

from imagetree.images.decode import open_checked, to_rgb

SIZE_PX = 160
LONGEST = 3
LOSSLESS_BELOW_PX = 64
QUALITY = 82


def thumbnail_size(width_px: int, height_px: int, *, size_px: int = SIZE_PX) -> tuple[int, int]:
    """(width, height) of the thumbnail of a picture.

    Example:
        >>> thumbnail_size(500, 375), thumbnail_size(100, 90)
        ((213, 160), (100, 90))
    """
    scale = min(
        1.0, size_px / min(width_px, height_px), LONGEST * size_px / max(width_px, height_px)
    )
    if scale == 1.0:
        return width_px, height_px
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def thumbnail(image: Image.Image | bytes, *, size_px: int = SIZE_PX) -> bytes:
    """A JPEG with the shorter side at `size_px`, the longer at most three times that.

    Grids crop squares, hence the shorter side. Nothing is enlarged; images below 64 px on the
    shorter side stay as they are, as PNG, since JPEG would smear the few pixels they have.
    """
    if isinstance(image, bytes):
        opened, info = open_checked(image)
        image = to_rgb(opened, orientation=info.orientation, draft_px=2 * size_px)
    width, height = image.size
    target = io.BytesIO()
    size = thumbnail_size(width, height, size_px=size_px)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if min(width, height) < LOSSLESS_BELOW_PX:
        image.save(target, "PNG")
    else:
        image.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()
