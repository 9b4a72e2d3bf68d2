"""Text from outside, made such that every catalog, page and terminal takes it."""

from __future__ import annotations

import re

# C0, DEL and C1: what a terminal takes for commands; and what turns the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def storable(text: str) -> str:
    """The text on one line, with what is no UTF-8 or no visible character written as an escape.

    File names are bytes: those that are not UTF-8 come as lone surrogates, which no database
    stores. PostgreSQL stores no NUL, and no terminal should be given an escape sequence.

    Example:
        >>> storable("caf\\udce9.jpg") == "caf\\\\xe9.jpg"
        True
    """
    if text.isprintable() and text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        raw = text.encode("utf-8", "backslashreplace")
    found = raw.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), found)
