"""Numbers, times and addresses as pages write them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from imagetree.catalog.statements.event import EventRow


def number(value: float) -> str:
    """7,000 for 7000."""
    return f"{value:,.0f}"


def size(n_bytes: int) -> str:
    """412 MB for 412,345,678 bytes."""
    value = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def percent(share: float) -> str:
    """28.5% for 0.285."""
    return f"{100 * share:.1f}%"


def when(time: str | None) -> str:
    """2026-03-04 10:11 UTC, from the catalog's text."""
    return f"{time[:10]} {time[11:16]} UTC" if time else ""


def segment(text: str) -> str:
    """A name as one part of an address, slashes and all."""
    return quote(text, safe="")


def duration(seconds: float | None) -> str:
    """17 min, 42 s or 3.2 h."""
    if seconds is None:
        return "not known yet"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def setting(value: object) -> str:
    """A value of a recipe or protocol in words: yes for True, 0.8, 1.0 for [0.8, 1.0]."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {setting(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(setting(one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def plural(n: int, noun: str, many: str = "") -> str:
    """1 photo, 2 photos, 1,200 classes."""
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"


def typed(path: Path) -> str:
    """A path as one types it in a shell where the server was started."""
    try:
        return shlex.quote(str(path.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))


def inside(location: str, folder: str) -> str:
    """A file's place without the folder that it was collected from, where it lies in it."""
    return location.removeprefix(folder.rstrip("/") + "/")


def by_day(events: Sequence[EventRow]) -> list[tuple[str, list[EventRow]]]:
    """Events in their order, in groups of one day each."""
    return [(day, list(group)) for day, group in groupby(events, key=lambda one: one.at[:10])]


FILTERS = {
    "number": number,
    "size": size,
    "percent": percent,
    "when": when,
    "segment": segment,
    "duration": duration,
    "plural": plural,
    "inside": inside,
    "shell": shlex.quote,
    "by_day": by_day,
    "setting": setting,
}
