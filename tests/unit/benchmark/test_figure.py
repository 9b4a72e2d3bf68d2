from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from imagetree.benchmark.figure import RED, FigureRow, draw
from imagetree.core.errors import InvalidInput


def red_share(path: Path) -> float:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return float((pixels == ImageColor.getrgb(RED)).all(axis=2).mean())


def test_only_the_right_label_is_red(tmp_path: Path) -> None:
    image = np.full((8, 8), 90, np.uint8)
    guesses = [("church", 0.6), ("tench, a long name " * 5, 0.3), ("golf ball", 0.1)]
    right = draw([FigureRow(image=image, truth="church", guesses=guesses)] * 8, tmp_path / "a.png")
    none = draw([FigureRow(image=image, truth="gas pump", guesses=guesses)] * 8, tmp_path / "b.png")
    assert red_share(right) > 0.01
    assert red_share(none) == 0
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        draw([], tmp_path / "a.png")
