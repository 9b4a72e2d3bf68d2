from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from imagetree.benchmark.figure import (
    CAPTION,
    LABEL_HEIGHT,
    MARGIN,
    PHOTO,
    RED,
    SCALE,
    FigureRow,
    _fitted,
    draw,
)
from imagetree.core.errors import InvalidInput


def red_share(path: Path) -> float:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return float((pixels == ImageColor.getrgb(RED)).all(axis=2).mean())


def test_only_the_right_label_is_red(tmp_path: Path) -> None:
    image = np.full((8, 8), 90, np.uint8)
    guesses = [("church", 0.6), ("tench, a long name " * 5, 0.3), ("golf ball", 0.1)]
    right = draw([FigureRow(image=image, truth="church", guesses=guesses)] * 8, tmp_path / "a.png")
    none = draw([FigureRow(image=image, truth="gas pump", guesses=guesses)] * 8, tmp_path / "b.png")
    assert red_share(right) > 0.003
    assert red_share(none) == 0
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]


def label_band(path: Path) -> NDArray[np.uint8]:
    """The pixels of the first cell's first label, left of its probability, above its bar."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    left, top = MARGIN * SCALE, (MARGIN + PHOTO + CAPTION) * SCALE
    right = left + (PHOTO - 60) * SCALE
    return pixels[top : top + LABEL_HEIGHT * SCALE, left:right]


def test_a_label_is_whole_and_readable_however_short_its_bar(tmp_path: Path) -> None:
    image = np.full((96, 96, 3), 90, np.uint8)
    drawn = []
    for number, share in enumerate((0.001, 0.12, 1.0)):
        row = FigureRow(image=image, truth="golf ball", guesses=[("golf ball", share)])
        drawn.append(label_band(draw([row], tmp_path / f"{number}.png")))
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])
    inked = (drawn[0] != 255).any(axis=2)
    assert inked.any()
    assert not inked[0].any()
    assert not inked[-1].any()  # neither cut above nor under the bar


def test_a_long_name_ends_before_its_probability(tmp_path: Path) -> None:
    pen = ImageDraw.Draw(Image.new("RGB", (10, 10)))
    for name in ("tench", "Old English sheepdog, bobtail " * 3, "W" * 80):
        text, font = _fitted(pen, name, 30, room=300)
        assert pen.textlength(text, font=font) <= 300
        assert text == name or text.endswith("...")


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        draw([], tmp_path / "a.png")
