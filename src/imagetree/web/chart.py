"""Line charts as the look draws them: a stretched SVG under labels in HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

N_GRID = 4


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series: its SVG path, the place of its last point in percent, and the last value."""

    css: str
    path: str
    x: float
    y: float
    last: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What the template draws; places in percent from the left and from the top."""

    lines: list[Line]
    marks_y: list[tuple[float, str]]
    marks_x: list[tuple[float, str]]


def chart(rows: list[dict[str, Any]], keys: list[str], *, share: bool = False) -> Chart | None:
    """The chart of some keys by epoch, or None where there is nothing to draw."""
    series = [_points(rows, key) for key in keys]
    every = [point for points in series for point in points]
    if not every:
        return None
    first, last = min(p[0] for p in every), max(p[0] for p in every)
    top = _round_up(max(p[1] for p in every))
    width = (last - first) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return 100 * (x - first) / width, 100 - 100 * y / top

    def text(value: float) -> str:
        return f"{100 * value:.3g}%" if share else f"{value:.3g}"

    lines = []
    for css, points in zip(("", "b", "d"), series, strict=False):
        if points:
            placed = [place(x, y) for x, y in points]
            path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in placed)
            lines.append(
                Line(css=css, path=path, x=placed[-1][0], y=placed[-1][1], last=text(points[-1][1]))
            )
    return Chart(
        lines=lines,
        marks_y=[(100 - 100 * i / N_GRID, text(top * i / N_GRID)) for i in range(N_GRID + 1)],
        marks_x=[(place(x, 0)[0], f"{x:.0f}") for x in sorted({first, last})],
    )


def _points(rows: list[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    found = []
    for i, row in enumerate(rows):
        x, y = row.get("epoch", i + 1), row.get(key)
        if isinstance(x, int | float) and isinstance(y, int | float) and math.isfinite(y):
            found.append((float(x), max(0.0, float(y))))
    return found


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(s * power for s in (1, 2, 4, 5, 8, 10) if s * power >= value * (1 - 1e-9)))
