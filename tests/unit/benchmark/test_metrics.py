from __future__ import annotations

import numpy as np
import pytest

from imagetree.benchmark import metrics
from imagetree.core.errors import InvalidInput


def test_errors_by_hand() -> None:
    p = np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2], [0.2, 0.3, 0.5]])
    truth = np.array([1, 1, 0])
    guesses = metrics.top_guesses(p, 2)
    assert guesses.tolist() == [[1, 2], [0, 1], [2, 1]]  # a tie goes to the lower index
    assert metrics.top_k_error(guesses, truth, k=1) == pytest.approx(2 / 3)
    assert metrics.top_k_error(guesses, truth, k=2) == pytest.approx(1 / 3)
    missed = metrics.wrong(guesses, truth, k=1)
    each = metrics.class_errors(missed, truth, n_classes=3)
    assert each[:2].tolist() == [1.0, 0.5]
    assert np.isnan(each[2])
    assert metrics.confusion(truth, guesses[:, 0], n_classes=3).tolist() == [
        [0, 0, 1],
        [1, 1, 0],
        [0, 0, 0],
    ]


def test_intervals_agree_and_cover() -> None:
    missed = np.arange(2000) < 500
    wilson, resampled = metrics.wilson(0.25, 2000), metrics.bootstrap(missed, 0, n_resamples=20000)
    assert wilson.low < 0.25 < wilson.high
    assert wilson.low == pytest.approx(resampled.low, abs=0.004)
    assert wilson.high == pytest.approx(resampled.high, abs=0.004)
    assert metrics.bootstrap(missed, 3) == metrics.bootstrap(missed, 3)
    assert metrics.wilson(0.0, 50).low == 0.0


def test_no_images_is_refused() -> None:
    with pytest.raises(InvalidInput):
        metrics.top_k_error(np.zeros((0, 5), np.int64), np.zeros(0, np.int64), k=1)
