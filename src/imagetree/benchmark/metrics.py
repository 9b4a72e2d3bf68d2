"""Scores of classification, from arrays alone.

The error of ILSVRC is flat: a list of k labels is wrong by the minimum over the list of
d(label, truth), which is 0 when they are equal and 1 when not; the score is the mean over images.
Intervals are of 99.9% (z = 3.2905), as the challenge reported them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagetree.core.errors import InvalidInput

Z_999 = 3.2905
CONFIDENCE_999 = 0.999

# N images, C classes, k guesses
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Bounds of a share, both from 0 to 1."""

    low: float
    high: float


def top_guesses(probabilities: NDArray[np.floating], k: int) -> Ints:
    """The k most probable classes of each image, best first; (N, C) gives (N, min(k, C)).

    Ties go to the lower index, so that a score never depends on a sort's mood.

    Example:
        >>> top_guesses(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
        [[1, 2]]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return order[:, :k].astype(np.int64)


def wrong(guesses: Ints, truth: Ints, *, k: int) -> NDArray[np.bool_]:
    """Which images have no right label among the first k guesses; (N, >=k) and (N,) give (N,)."""
    if guesses.ndim != 2 or len(guesses) != len(truth):
        raise InvalidInput("guesses must be (N, k) and truth (N,), for the same images.")
    if k < 1:
        raise InvalidInput("k must be 1 or more.")
    different = guesses[:, :k] != truth[:, None]
    missed: NDArray[np.bool_] = different.min(axis=1)
    return missed


def top_k_error(guesses: Ints, truth: Ints, *, k: int) -> float:
    """The share of images, 0 to 1, without the right label among the first k guesses.

    Example:
        >>> top_k_error(np.array([[1, 2], [0, 1]]), np.array([2, 2]), k=2)
        0.5
    """
    missed = wrong(guesses, truth, k=k)
    if not len(missed):
        raise InvalidInput("There are no images to score.", hint="Choose a split that has some.")
    return float(missed.mean())


def wilson(share: float, n: int, *, z: float = Z_999) -> Interval:
    """Wilson's score interval of a share of n independent images; within 0 and 1 at the ends too.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Wilson, JASA 22 (1927).

    Example:
        >>> round(wilson(0.0, 100).high, 4)
        0.0977
    """
    if n < 1 or not 0.0 <= share <= 1.0:
        raise InvalidInput("An interval needs at least one image and a share from 0 to 1.")
    middle = share + z * z / (2 * n)
    reach = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    low = 0.0 if share == 0 else max(0.0, (middle - reach) / scale)  # rounding leaves 1e-17
    return Interval(low=low, high=min(1.0, (middle + reach) / scale))


def bootstrap(
    missed: NDArray[np.bool_],
    seed: int,
    *,
    n_resamples: int = 2000,
    confidence: float = CONFIDENCE_999,
) -> Interval:
    """The percentile interval of the mean of (N,) flags over resamples drawn by the seed.

    A resample of N flags is a binomial draw, so no (n_resamples, N) array is made.
    """
    n = len(missed)
    if n < 1:
        raise InvalidInput("There are no images to score.")
    means = np.random.default_rng(seed).binomial(n, float(missed.mean()), n_resamples) / n
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def confusion(truth: Ints, guessed: Ints, *, n_classes: int) -> Ints:
    """(C, C) counts: row the right class, column the first guess."""
    flat = np.bincount(truth * n_classes + guessed, minlength=n_classes * n_classes)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def class_errors(missed: NDArray[np.bool_], truth: Ints, *, n_classes: int) -> Floats:
    """(C,) error of each class, 0 to 1; NaN for a class without images."""
    n_images = np.bincount(truth, minlength=n_classes)
    n_wrong = np.bincount(truth, weights=missed, minlength=n_classes)
    with np.errstate(invalid="ignore"):
        return np.asarray(n_wrong / n_images, dtype=np.float64)
