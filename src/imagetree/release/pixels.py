"""What is done to an image's pixels for training and for evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetree.core.errors import InvalidInput
from imagetree.images.decode import open_checked, to_rgb

SMALL_PX = 64
KEPT_SCALE = 1.15
_ASPECTS = (math.log(3 / 4), math.log(4 / 3))
_N_TRIES = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """A decoded image, uint8 (H, W, C), and whether it may be cropped and mirrored."""

    pixels: NDArray[np.uint8]
    crop: bool
    flip: bool


class Pixels:
    """The steps from bytes to a square of `image_size` pixels; see `Loader` for the options."""

    def __init__(
        self,
        *,
        image_size: int,
        training: bool,
        channels: int = 3,
        views: int = 1,
        resize_px: int | None = None,
        crop_scale: tuple[float, float] = (0.08, 1.0),
        crop: bool | None = None,
        flip: bool | None = None,
    ) -> None:
        resize = round(image_size * 256 / 224) if resize_px is None else resize_px
        low, high = crop_scale
        if image_size < 1 or channels not in (1, 3) or views not in (1, 2, 10):
            raise InvalidInput(
                f"No images of {image_size} px, {channels} channels and {views} views.",
                hint="Use a positive size, 1 or 3 channels, and 1, 2 or 10 views.",
            )
        if resize < image_size or not 0 < low <= high <= 1:
            raise InvalidInput(
                f"A crop of {image_size} px cannot be cut after resizing to {resize} px, or not "
                f"with areas from {low} to {high}.",
                hint="Let resize_px be at least image_size, and areas lie between 0 and 1.",
            )
        self.image_size, self.resize_px, self.crop_scale = image_size, resize, (low, high)
        self.training, self.channels, self.views = training, channels, views
        self._crop, self._flip = crop, flip
        self.kept_px = round(KEPT_SCALE * resize)
        # Ten views are cut later, from a square as large as the resize.
        self.side_px = resize if views == 10 and not training else image_size

    @property
    def protocol(self) -> str:
        """What is done, in one line."""
        size = self.image_size
        if self.training:
            low, high = self.crop_scale
            done = (
                f"random crop of {100 * low:g} to {100 * high:g}% resized to {size}"
                if self._crop is not False
                else f"resize to {size} x {size}"
            ) + ("" if self._flip is False else ", random flip")
        elif self._crop is False:
            done = f"resize to {self.side_px} x {self.side_px}"
        else:
            done = f"resize {self.resize_px}, centre crop {self.side_px}"
        rules = [
            text
            for given, text in ((self._crop, "resized to the square"), (self._flip, "no flip"))
            if given is None and (self.training or text != "no flip")
        ]
        if rules:
            done += f" (below {SMALL_PX} px: {', '.join(rules)})"
        return done + (", grey" if self.channels == 1 else "")

    def empty(self, n_images: int) -> NDArray[np.uint8]:
        """A batch to be filled, uint8 (N, H, W, C)."""
        return np.empty((n_images, self.side_px, self.side_px, self.channels), np.uint8)

    def keep(self, data: bytes) -> Kept:
        """What is kept of an image; DamagedImage when it cannot be decoded.

        JPEGs are decoded at a DCT scale that leaves them at least as large as is kept.
        """
        image, info = open_checked(data)
        small = min(info.width_px, info.height_px) < SMALL_PX
        crop = not small if self._crop is None else self._crop
        flip = not small if self._flip is None else self._flip
        # Scores are compared between programs: evaluation leaves more to the exact filter.
        draft_px = self.kept_px if self.training else 2 * self.resize_px
        upright = to_rgb(image, orientation=info.orientation, draft_px=draft_px)
        if self.channels == 1:
            upright = upright.convert("L")
        if not crop:
            upright = _resized(upright, (self.side_px, self.side_px))
        elif self.training:
            if min(upright.size) > self.kept_px:
                upright = _resized(upright, _shorter_side(upright.size, self.kept_px))
        else:
            upright = _resized(upright, _shorter_side(upright.size, self.resize_px))
            left = (upright.width - self.side_px) // 2
            top = (upright.height - self.side_px) // 2
            upright = upright.crop((left, top, left + self.side_px, top + self.side_px))
        return Kept(self._array(upright), crop, flip)

    def cut(self, kept: Kept, generator: np.random.Generator, *, out: NDArray[np.uint8]) -> None:
        """Fills `out`, uint8 (image_size, image_size, C), with a random crop, perhaps mirrored."""
        pixels = kept.pixels
        mirrored = generator.random() < 0.5
        if kept.crop:
            left, top, right, bottom = random_box(
                generator, width=pixels.shape[1], height=pixels.shape[0], scale=self.crop_scale
            )
            part = np.ascontiguousarray(pixels[top:bottom, left:right])
            image = Image.fromarray(part if self.channels == 3 else part[:, :, 0])
            size = (self.image_size, self.image_size)
            pixels = self._array(_resized(image, size))
        out[...] = pixels[:, ::-1] if kept.flip and mirrored else pixels

    def _array(self, image: Image.Image) -> NDArray[np.uint8]:
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _shorter_side(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    scale = side_px / min(size)
    return max(side_px, round(size[0] * scale)), max(side_px, round(size[1] * scale))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at that size; bilinear over all pixels that fall together, so antialiased."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def random_box(
    generator: np.random.Generator, *, width: int, height: int, scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """A random box (left, top, right, bottom) with area `scale` and aspect 3/4 to 4/3.

    Where ten tries give none that fits, the largest centred box of an allowed aspect
    (Szegedy et al., Going deeper with convolutions, 2015, section 6).
    """
    for _ in range(_N_TRIES):
        area = width * height * generator.uniform(*scale)
        aspect = math.exp(generator.uniform(*_ASPECTS))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left = int(generator.integers(0, width - wide + 1))
            top = int(generator.integers(0, height - high + 1))
            return left, top, left + wide, top + high
    wide, high = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high
