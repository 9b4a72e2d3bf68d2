"""The most probable classes of photos, by a weight bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetree.benchmark.metrics import top_guesses
from imagetree.core.errors import InvalidInput
from imagetree.networks.bundle import Preprocessing, load
from imagetree.train.batches import normalised
from imagetree.train.evaluation import probabilities_of


@dataclass(frozen=True, kw_only=True)
class Guess:
    """One class and its probability, 0 to 1."""

    wnid: str
    name: str
    probability: float


def predict(
    bundle_folder: Path, images: Sequence[NDArray[Any]], *, k: int = 5
) -> list[tuple[Guess, ...]]:
    """The k most probable classes of each image, best first.

    images: uint8 (H, W, 3) RGB, decoded. They are resized as the bundle says. Errors: NotFound
    and IntegrityFailure for the bundle, InvalidInput for an image of another shape.
    """
    network, bundle = load(Path(bundle_folder))
    shape = bundle.preprocessing
    found = []
    for image in images:
        x = normalised(prepared(image, shape)[None], mean=shape.mean, std=shape.std)
        p = probabilities_of(network, [x]).numpy()
        found.append(
            tuple(
                Guess(wnid=bundle.wnids[i], name=bundle.class_names[i], probability=float(p[0, i]))
                for i in top_guesses(p, k)[0]
            )
        )
    return found


def prepared(image: NDArray[Any], shape: Preprocessing) -> NDArray[np.uint8]:
    """The centre of the image after its shorter side became `resize_px`; uint8 (S, S, 3)."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InvalidInput("An image must be uint8 of shape (H, W, 3).", hint="Decode it to RGB.")
    height, width = image.shape[:2]
    scale = shape.resize_px / min(height, width)
    size = (max(shape.resize_px, round(width * scale)), max(shape.resize_px, round(height * scale)))
    method = Image.Resampling[shape.interpolation.upper()]
    photo = Image.fromarray(image).resize(size, method)
    left, top = (size[0] - shape.image_size) // 2, (size[1] - shape.image_size) // 2
    box = (left, top, left + shape.image_size, top + shape.image_size)
    return np.asarray(photo.crop(box), dtype=np.uint8)
