"""Numbers as people read them: counts with their noun, sizes, times, shares."""

from __future__ import annotations


def count(n: int, noun: str = "", plural: str = "") -> str:
    """`n` with thousands separated and its noun in the right number.

    Example:
        >>> count(7000, "image"), count(1, "image"), count(2, "class", "classes")
        ('7,000 images', '1 image', '2 classes')
    """
    if not noun:
        return f"{n:,}"
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def size(n_bytes: float) -> str:
    """A size in decimal units, as disks are sold.

    Example:
        >>> size(1_234_567), size(900)
        ('1.2 MB', '900 bytes')
    """
    if n_bytes < 1000:
        return f"{int(n_bytes)} bytes"
    for unit in ("kB", "MB", "GB"):
        n_bytes /= 1000
        if n_bytes < 1000:
            return f"{n_bytes:.1f} {unit}"
    return f"{n_bytes / 1000:.1f} TB"


def duration(seconds: float) -> str:
    """A time that passed.

    Example:
        >>> duration(0.04), duration(12.34), duration(754), duration(7300)
        ('0.04 s', '12.3 s', '12 min 34 s', '2 h 1 min')
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def share(value: float) -> str:
    """A share of 1 as a percentage with one decimal."""
    return f"{100 * value:.1f}%"


def shorten(text: str, n_characters: int) -> str:
    """`text` cut at a word to at most `n_characters`, with an ellipsis where it was cut."""
    if len(text) <= n_characters:
        return text
    cut = text[: n_characters - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > n_characters // 2 else cut).rstrip(" ,;:") + "…"
