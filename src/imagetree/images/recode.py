"""Photos stored again for training: shrunk, upright, and in the JPEG that decodes fastest.

An image becomes a baseline JPEG with the default Huffman tables: 4:2:0 for colour, one component
for grey. Its longer side is at most the side asked for; nothing is enlarged. Two exceptions:

kept      A baseline JPEG that is upright and not too large stays as it was coded, without its
          metadata, unless coding it again saves at least a tenth of its bytes: a second lossy
          coding costs quality, so it has to bring something.
lossless  Below 64 px on the shorter side JPEG would smear the few pixels there are: PNG.

Colours are those that every loader here sees: an embedded profile is dropped, not applied.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from imagetree.images.decode import DEFAULT_LIMITS, ImageInfo, Limits, open_checked, to_rgb
from imagetree.images.thumbnails import LOSSLESS_BELOW_PX

_MIN_SAVING = 0.1
_GREY_MODES = ("1", "L")
_BASELINE, _START_OF_SCAN, _COMMENT = 0xC0, 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)
# JFIF and Adobe tell how colours are stored; all other segments tell about the photo.
_COLOUR_SEGMENTS = (0xE0, 0xEE)


@dataclass(frozen=True, slots=True)
class Recoded:
    """An image as it is stored now: `extension` jpg or png, and whether its coding was kept."""

    data: bytes
    extension: str
    width_px: int
    height_px: int
    kept: bool


def shrunk_size(width_px: int, height_px: int, *, max_side_px: int) -> tuple[int, int]:
    """(width, height) with the longer side at most `max_side_px`, never enlarged.

    Example:
        >>> shrunk_size(500, 375, max_side_px=400), shrunk_size(300, 200, max_side_px=400)
        ((400, 300), (300, 200))
    """
    scale = max_side_px / max(width_px, height_px)
    if scale >= 1:
        return width_px, height_px
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def recode(
    data: bytes, *, max_side_px: int, quality: int, limits: Limits = DEFAULT_LIMITS
) -> Recoded:
    """The image stored again by the rules above; DamagedImage when it cannot be decoded.

    `quality` is libjpeg's, 1 to 95. The same bytes give the same bytes with one version of Pillow.

    Example:
        small = recode(path.read_bytes(), max_side_px=400, quality=90)
    """
    image, info = open_checked(data, limits=limits)
    size = shrunk_size(info.width_px, info.height_px, max_side_px=max_side_px)
    shrinks = size != (info.width_px, info.height_px)
    may_keep = not shrinks and _is_plain(image, info)
    # Twice the size leaves the antialiased resize enough to work with (as Pillow's thumbnail).
    upright = to_rgb(image, orientation=info.orientation, draft_px=2 * min(size))
    if upright.size != size:
        upright = upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if info.mode in _GREY_MODES:
        upright = upright.convert("L")
    stored, extension = _coded(upright, quality=quality)
    if may_keep:
        same = _without_metadata(data)
        if same is not None and len(stored) > (1 - _MIN_SAVING) * len(same):
            return Recoded(same, "jpg", *size, kept=True)
    return Recoded(stored, extension, *size, kept=False)


def _coded(image: Image.Image, *, quality: int) -> tuple[bytes, str]:
    target = io.BytesIO()
    image.info.clear()  # Pillow would write comments and profiles that the original carried
    if min(image.size) < LOSSLESS_BELOW_PX:
        image.save(target, "PNG")
        return target.getvalue(), "png"
    image.save(target, "JPEG", quality=quality, subsampling="4:2:0")
    return target.getvalue(), "jpg"


def _is_plain(image: Image.Image, info: ImageInfo) -> bool:
    """Whether it is an upright JPEG of grey or YCbCr, which says so itself."""
    return (
        image.format == "JPEG"
        and info.orientation == 1
        and (
            info.mode == "L"
            or (
                info.mode == "RGB"
                and ("jfif" in image.info or image.info.get("adobe_transform") == 1)
            )
        )
    )


def _without_metadata(data: bytes) -> bytes | None:
    """A baseline JPEG's bytes without comments, EXIF, profiles; None for other kinds of JPEG.

    Source: ITU-T T.81, annex B: every segment before the scan is FF, marker, length, payload.
    """
    parts, at, baseline = [data[:2]], 2, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            return b"".join([*parts, data[at:]]) if baseline else None
        if marker == 0xFF or length < 2:
            return None
        baseline = baseline or marker == _BASELINE
        if not (marker == _COMMENT or marker in _APPLICATION) or marker in _COLOUR_SEGMENTS:
            parts.append(data[at : at + 2 + length])
        at += 2 + length
    return None
