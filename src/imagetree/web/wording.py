"""Numbers, times and addresses as pages write them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote


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


FILTERS = {
    "number": number,
    "size": size,
    "percent": percent,
    "when": when,
    "segment": segment,
    "duration": duration,
    "setting": setting,
}
