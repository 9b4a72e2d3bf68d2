"""What is done to an image's pixels for training and for evaluation, as tiles of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import InvalidInput
from imagetree.images.tiles import centre_tiles, crop_tiles

SMALL_PX = 64
_ASPECTS = (math.log(3 / 4), math.log(4 / 3))
_N_TRIES = 10
# Random numbers an image and epoch: area, aspect, left, top for each try, and the mirror.
_N_DRAWS = 4 * _N_TRIES + 1


class Pixels:
    """The steps from a picture to a square of `image_size` pixels; see `Loader` for the options."""

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

    def tiles(
        self, sizes: NDArray[np.int32], keys: NDArray[np.uint64], *, seed: int, epoch: int
    ) -> NDArray[np.void]:
        """The tile of each picture (N,), by its size (N, 2) and its key (N,).

        The key is made of the image itself, so its crops do not depend on its place in a batch.
        """
        small = sizes.min(axis=1) < SMALL_PX
        crop = ~small if self._crop is None else np.full(len(sizes), self._crop)
        flip = ~small if self._flip is None else np.full(len(sizes), self._flip)
        whole = np.concatenate([np.zeros_like(sizes), sizes], axis=1)
        if not self.training:
            tiles = centre_tiles(sizes, resize_px=self.resize_px, size_px=self.side_px)
            tiles[~crop] = crop_tiles(whole[~crop])
            return tiles
        draws = random_draws(keys, seed=seed, epoch=epoch, n_draws=_N_DRAWS)
        boxes = random_boxes(sizes, draws[:, 1:], scale=self.crop_scale)
        boxes = np.where(crop[:, None], boxes, whole)
        return crop_tiles(boxes, flip=flip & (draws[:, 0] < 0.5))


def image_keys(sha256s: Sequence[str]) -> NDArray[np.uint64]:
    """64 bits of each hash (N,), which random crops follow from."""
    return np.array([int(sha256[:16], 16) for sha256 in sha256s], dtype=np.uint64)


def random_draws(
    keys: NDArray[np.uint64], *, seed: int, epoch: int, n_draws: int
) -> NDArray[np.float64]:
    """Numbers in [0, 1), shape (N, n_draws), a pure function of (key, seed, epoch).

    SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014) begun
    at a mix of the three: no state to share between threads, any image's numbers alone.

    Example:
        >>> random_draws(np.array([1, 2], np.uint64), seed=0, epoch=0, n_draws=3).shape
        (2, 3)
    """
    with np.errstate(over="ignore"):
        start = _mixed(np.array([seed % 2**64], np.uint64) + _mixed(np.array([epoch], np.uint64)))
        start = _mixed(keys ^ start)
        steps = np.arange(1, n_draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = _mixed(start[:, None] + steps[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function; wraps by design."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def random_boxes(
    sizes: NDArray[np.int32], draws: NDArray[np.float64], *, scale: tuple[float, float]
) -> NDArray[np.int64]:
    """Random boxes (N, 4), xyxy in whole pixels, with area `scale` and aspect 3/4 to 4/3.

    `draws` (N, 4 * tries) are uniform in [0, 1). Where no try fits, the largest centred box of an
    allowed aspect (Szegedy et al., Going deeper with convolutions, 2015, section 6).
    """
    width, height = (sizes[:, i, None].astype(np.float64) for i in (0, 1))
    area_draw, aspect_draw, left_draw, top_draw = (draws[:, i::4] for i in range(4))
    area = width * height * (scale[0] + (scale[1] - scale[0]) * area_draw)
    aspect = np.exp(_ASPECTS[0] + (_ASPECTS[1] - _ASPECTS[0]) * aspect_draw)
    wide, high = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits: NDArray[np.bool_] = (wide >= 1) & (wide <= width) & (high >= 1) & (high <= height)
    first = (np.arange(len(sizes)), fits.argmax(axis=1))
    wide, high = wide[first], high[first]
    left = np.floor(left_draw[first] * (width[:, 0] - wide + 1))
    top = np.floor(top_draw[first] * (height[:, 0] - high + 1))
    boxes = np.stack([left, top, left + wide, top + high], axis=1)
    wide = np.minimum(width, np.rint(height * 4 / 3))[:, 0]
    high = np.minimum(height, np.rint(width * 4 / 3))[:, 0]
    left, top = (width[:, 0] - wide) // 2, (height[:, 0] - high) // 2
    centred = np.stack([left, top, left + wide, top + high], axis=1)
    return np.where(fits.any(axis=1, keepdims=True), boxes, centred).astype(np.int64)
