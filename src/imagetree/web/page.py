"""What a page is: an address, a template, the dataclass it shows and how that is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetree.core.errors import InvalidInput

if TYPE_CHECKING:
    from imagetree.database import Database

Params = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page; `build` reads `context` from the path's parameters and those of `query`."""

    path: str
    template: str
    context: type
    build: Callable[[Database, Params], Any]
    query: tuple[str, ...] = ()


def whole_number(params: Params, name: str) -> int:
    """A parameter as a whole number from 0 on, 0 where it is not given; else InvalidInput."""
    text = params.get(name, "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput(f"{name}={text[:40]} is not a whole number.", hint="Leave it out.")
    return int(text)
