"""Eight test images with their five most probable labels, as in figure 4 of AlexNet's paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from imagetree.core.errors import InvalidInput

SCALE = 2  # drawn at twice the size, so that it is sharp on dense screens
COLUMNS, ROWS = 4, 2
PHOTO, GAP, MARGIN, CAPTION = 220, 32, 28, 44
CAPTION_TEXT, LABEL_TEXT, LABEL_HEIGHT, BAR, BAR_GAP = 18, 15, 22, 6, 9
INK, QUIET, PAPER, RED, BLUE, TRACK = (
    "#23262b", "#6b7280", "#ffffff", "#b4331f", "#8fb0d6", "#eceff2",
)  # fmt: skip
BOLD = 0.3  # the font has one weight: a stroke of this many pixels makes it bold
N_LABELS = 5
ROW_HEIGHT = LABEL_HEIGHT + BAR + BAR_GAP
CELL_HEIGHT = PHOTO + CAPTION + N_LABELS * ROW_HEIGHT
SMALL_PX = 48  # scans up to this size stay crisp squares, larger photos are resampled

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, kw_only=True)
class FigureRow:
    """One test image: uint8 (H, W, 3) or (H, W), its right name, (name, probability) best first."""

    image: NDArray[Any]
    truth: str
    guesses: Sequence[tuple[str, float]]


def draw(rows: Sequence[FigureRow], target: Path) -> Path:
    """The path of the PNG written: up to eight images, four a row, the right label in red.

    Errors: InvalidInput without rows.
    """
    if not rows:
        raise InvalidInput("There is no image to draw.", hint="Evaluate a split that has some.")
    shown = rows[: COLUMNS * ROWS]
    n_rows = -(-len(shown) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * PHOTO + (COLUMNS - 1) * GAP
    height = 2 * MARGIN + n_rows * CELL_HEIGHT + (n_rows - 1) * GAP
    sheet = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    for i, row in enumerate(shown):
        left = MARGIN + (i % COLUMNS) * (PHOTO + GAP)
        top = MARGIN + (i // COLUMNS) * (CELL_HEIGHT + GAP)
        _cell(sheet, row, left * SCALE, top=top * SCALE)
    fresh = target.with_name(f".{target.name}.new")
    sheet.save(fresh, format="PNG", optimize=True)
    fresh.replace(target)
    return target


def _cell(sheet: Image.Image, row: FigureRow, left: int, *, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    side = PHOTO * SCALE
    sheet.paste(_photo(row.image, side), (left, top))
    text, font = _fitted(pen, row.truth, CAPTION_TEXT * SCALE, room=side)
    middle = (left + side // 2, top + side + (CAPTION - 4) * SCALE // 2)
    pen.text(middle, text, font=font, fill=INK, anchor="mm")
    for i, (name, probability) in enumerate(row.guesses[:N_LABELS]):
        y = top + (PHOTO + CAPTION + i * ROW_HEIGHT) * SCALE
        _guess(pen, name, probability, place=(left, y), right=name == row.truth)


def _guess(
    pen: ImageDraw.ImageDraw,
    name: str,
    probability: float,
    *,
    place: tuple[int, int],
    right: bool,
) -> None:
    """A label and its probability, both above the bar: no bar is too short for its label."""
    left, top = place
    side, middle = PHOTO * SCALE, top + LABEL_HEIGHT * SCALE // 2
    share = _percent(probability)
    size, stroke = LABEL_TEXT * SCALE, BOLD * SCALE if right else 0.0
    number = ImageFont.load_default(size)
    wide = pen.textlength("100%", font=number) + 12 * SCALE
    text, font = _fitted(pen, name, size, room=round(side - wide))
    colour = RED if right else INK
    pen.text((left, middle), text, font=font, fill=colour, anchor="lm", stroke_width=stroke)
    colour = RED if right else QUIET
    edge = (left + side, middle)
    pen.text(edge, share, font=number, fill=colour, anchor="rm", stroke_width=stroke)
    y = top + LABEL_HEIGHT * SCALE
    bottom = y + BAR * SCALE - 1
    pen.rectangle((left, y, left + side - 1, bottom), fill=TRACK)
    filled = max(SCALE, round(side * probability))
    pen.rectangle((left, y, left + filled - 1, bottom), fill=RED if right else BLUE)


def _percent(probability: float) -> str:
    """A probability as people read it: never 100% or 0% for what is only near.

    Example:
        >>> _percent(0.873), _percent(0.999), _percent(0.0001)
        ('87%', '>99%', '<1%')
    """
    if 0.995 <= probability < 1:
        return ">99%"
    if 0 < probability < 0.005:
        return "<1%"
    return f"{probability:.0%}"


def _photo(image: NDArray[Any], side: int) -> Image.Image:
    photo = Image.fromarray(image).convert("RGB")
    scale = side / max(photo.size)
    small = max(photo.size) <= SMALL_PX
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    framed = Image.new("RGB", (side, side), TRACK)
    framed.paste(photo.resize(size, method), ((side - size[0]) // 2, (side - size[1]) // 2))
    return framed


def _fitted(pen: ImageDraw.ImageDraw, text: str, size: int, *, room: int) -> tuple[str, Font]:
    """The text and its font: a little smaller where that fits the room, else shortened."""
    for smaller in (1.0, 0.92, 0.85):
        font = ImageFont.load_default(round(size * smaller))
        if pen.textlength(text, font=font) <= room:
            return text, font
    while text and pen.textlength(text + "...", font=font) > room:
        text = text[:-1]
    return text.rstrip(" ,") + "...", font
