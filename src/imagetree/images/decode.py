"""Decodes images that strangers made: limits before pixels, one error for all failures."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from imagetree.core.errors import DamagedImage

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112
# The limits below are stricter and are errors; Pillow's own would be a warning to the user.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is still decoded: pixels a frame, size in bytes, shorter side in pixels."""

    max_pixels: int = 100_000_000
    max_bytes: int = 200_000_000
    min_side_px: int = 1


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What the header says; width and height are those after the EXIF orientation (1 to 8)."""

    format: str
    mode: str
    width_px: int
    height_px: int
    orientation: int
    n_frames: int


@contextmanager
def _one_error() -> Iterator[None]:
    """Turns whatever a decoder raises into DamagedImage."""
    try:
        yield
    except DamagedImage:
        raise
    except MemoryError as error:
        raise DamagedImage(
            "The image needs more memory than there is.", reason_code="too_many_pixels"
        ) from error
    # Decoders raise nearly anything on hostile bytes: SyntaxError, struct.error, IndexError.
    except Exception as error:
        text = str(error)
        torn = any(word in text.lower() for word in ("truncated", "unexpected end", "not enough"))
        raise DamagedImage(
            f"The image is {'cut short' if torn else 'damaged'}: {text or type(error).__name__}.",
            reason_code="truncated" if torn else "damaged",
        ) from error


def open_checked(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Image.Image, ImageInfo]:
    """The opened, not yet decoded image and its header, within the limits."""
    if not data:
        raise DamagedImage("The file is empty.", reason_code="empty")
    if len(data) > limits.max_bytes:
        raise DamagedImage(
            f"The file has {len(data):,} bytes, more than {limits.max_bytes:,}.",
            reason_code="too_many_bytes",
        )
    with _one_error():
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError as error:
            raise DamagedImage(
                "The bytes are not an image in a known format.", reason_code="not_an_image"
            ) from error
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        if kind not in FORMATS:
            raise DamagedImage(
                f"{kind} images are not accepted, only {', '.join(FORMATS)}.",
                reason_code="unsupported_format",
            )
        width, height = image.size
        if width * height > limits.max_pixels:
            raise DamagedImage(
                f"The image has {width:,} x {height:,} pixels, more than {limits.max_pixels:,}.",
                reason_code="too_many_pixels",
            )
        if min(width, height) < limits.min_side_px:
            raise DamagedImage(
                f"The image has only {width} x {height} pixels.", reason_code="too_small"
            )
        turn = _orientation(image)
        if turn >= 5:
            width, height = height, width
        info = ImageInfo(
            format=kind,
            mode=image.mode,
            width_px=width,
            height_px=height,
            orientation=turn,
            n_frames=int(getattr(image, "n_frames", 1)),
        )
    return image, info


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where EXIF is absent or broken: the pixels may be whole all the same."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def read_info(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> ImageInfo:
    """The header of an image, without decoding its pixels; DamagedImage when it has none."""
    return open_checked(data, limits=limits)[1]


def to_rgb(image: Image.Image, *, orientation: int, draft_px: int | None = None) -> Image.Image:
    """The image upright, in 8-bit RGB, on white where it is transparent.

    With `draft_px` a JPEG is decoded at the smallest DCT scale whose shorter side is not below.
    """
    with _one_error():
        if draft_px and image.format in ("JPEG", "MPO"):
            width, height = image.size
            scale = draft_px / min(width, height)
            image.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
        image.load()
        image = _eight_bit(image)
        return _UPRIGHT[orientation](image)


def draft_reduction(width_px: int, height_px: int, *, draft_px: int) -> int:
    """By how much `to_rgb` decodes a JPEG of that size smaller with `draft_px`: 1, 2, 4 or 8.

    Example:
        >>> draft_reduction(1400, 1000, draft_px=320), draft_reduction(500, 375, draft_px=320)
        (2, 1)
    """
    scale = draft_px / min(width_px, height_px)
    wanted = math.ceil(width_px * scale), math.ceil(height_px * scale)
    ratio = min(width_px // wanted[0], height_px // wanted[1])
    return next(reduction for reduction in (8, 4, 2, 1) if ratio >= reduction or reduction == 1)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image).astype(np.float64) / 257.0)
    if image.mode in ("I", "F"):
        pixels = np.nan_to_num(np.asarray(image).astype(np.float64))
        low, high = float(pixels.min()), float(pixels.max())
        # Integers of 16 bits have a known range; all other numbers are spread over theirs.
        if image.mode == "I" and low >= 0 and high <= 65535:
            return _grey(pixels / 257.0)
        return _grey((pixels - low) * (255.0 / max(high - low, 1e-12)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(pixels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8)).convert("RGB")


class _Upright:
    def __init__(self, method: Image.Transpose | None) -> None:
        self._method = method

    def __call__(self, image: Image.Image) -> Image.Image:
        return image if self._method is None else image.transpose(self._method)


_UPRIGHT = {
    1: _Upright(None),
    2: _Upright(Image.Transpose.FLIP_LEFT_RIGHT),
    3: _Upright(Image.Transpose.ROTATE_180),
    4: _Upright(Image.Transpose.FLIP_TOP_BOTTOM),
    5: _Upright(Image.Transpose.TRANSPOSE),
    6: _Upright(Image.Transpose.ROTATE_270),
    7: _Upright(Image.Transpose.TRANSVERSE),
    8: _Upright(Image.Transpose.ROTATE_90),
}


def decode(
    data: bytes,
    *,
    mode: str = "RGB",
    limits: Limits = DEFAULT_LIMITS,
    draft_px: int | None = None,
) -> NDArray[np.uint8]:
    """Pixels, uint8 (H, W, 3) for mode RGB or (H, W) for L, upright; DamagedImage on failure."""
    image, info = open_checked(data, limits=limits)
    image = to_rgb(image, orientation=info.orientation, draft_px=draft_px)
    return np.array(image if mode == "RGB" else image.convert(mode), dtype=np.uint8)
