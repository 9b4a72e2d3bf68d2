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
PHOTO, GAP, MARGIN, CAPTION, BAR, BAR_GAP = 220, 28, 32, 34, 24, 4
INK, PAPER, RED, BLUE, TRACK = "#23262b", "#ffffff", "#b4331f", "#a9c1dc", "#f1f3f5"
N_LABELS = 5
CELL_HEIGHT = PHOTO + CAPTION + N_LABELS * (BAR + BAR_GAP)


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
    caption = _fitted(pen, row.truth, 14 * SCALE, room=side)
    middle = (left + side // 2, top + side + CAPTION * SCALE // 2)
    pen.text(middle, caption[0], font=caption[1], fill=INK, anchor="mm")
    for i, (name, probability) in enumerate(row.guesses[:N_LABELS]):
        y = top + (PHOTO + CAPTION + i * (BAR + BAR_GAP)) * SCALE
        box = (left, y, left + side, y + BAR * SCALE)
        pen.rectangle(box, fill=TRACK)
        right = name == row.truth
        filled = max(SCALE, round(side * probability))
        pen.rectangle((left, y, left + filled, y + BAR * SCALE), fill=RED if right else BLUE)
        text, font = _fitted(pen, name, 12 * SCALE, room=side - 16 * SCALE)
        place = (left + 8 * SCALE, y + BAR * SCALE // 2)
        _label(sheet, text, font, place, box_right=left + filled, on_red=right)


def _label(
    sheet: Image.Image,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    place: tuple[int, int],
    *,
    box_right: int,
    on_red: bool,
) -> None:
    """Dark text, but white on the part of it that lies on the red bar."""
    pen = ImageDraw.Draw(sheet)
    pen.text(place, text, font=font, fill=RED if on_red else INK, anchor="lm")
    if on_red:
        mask = Image.new("L", sheet.size, 0)
        ImageDraw.Draw(mask).text(place, text, font=font, fill=255, anchor="lm")
        mask.paste(0, (box_right + 1, 0, sheet.width, sheet.height))
        sheet.paste("#ffffff", (0, 0), mask)


def _photo(image: NDArray[Any], side: int) -> Image.Image:
    photo = Image.fromarray(image).convert("RGB")
    scale = side / max(photo.size)
    # small scans stay crisp squares; a photo is resampled
    method = Image.Resampling.NEAREST if max(photo.size) <= 48 else Image.Resampling.LANCZOS
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    framed = Image.new("RGB", (side, side), TRACK)
    framed.paste(photo.resize(size, method), ((side - size[0]) // 2, (side - size[1]) // 2))
    return framed


def _fitted(
    pen: ImageDraw.ImageDraw, text: str, size: int, *, room: int
) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """The text, shortened to fit the room, and its font."""
    font = ImageFont.load_default(size)
    if pen.textlength(text, font=font) <= room:
        return text, font
    while text and pen.textlength(text + "...", font=font) > room:
        text = text[:-1]
    return text.rstrip() + "...", font
