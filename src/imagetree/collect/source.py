"""What every source yields: items to store, or rejects with a code and a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from imagetree.core.progress import Report
from imagetree.core.text import storable

Skip = Callable[[str], bool]


def skip_nothing(key: str) -> bool:
    """False: every item is wanted."""
    return False


# Which of the given locations are stored already.
Done = Callable[[Sequence[str]], set[str]]


def nothing_done(locations: Sequence[str]) -> set[str]:
    """None of them: a new collection."""
    return set()


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image of a source; `data` may be a function that reads the bytes when called.

    `size_bytes` is given with such a function where it is known without reading.
    `location` says where it is for people, `key` names it within the source for resuming.
    `claim` (label or candidate) overrules what the collect was asked to make of a class.
    `split` is the split that the source puts the image in, such as train.
    """

    key: str
    location: str
    data: bytes | Callable[[], bytes]
    filename: str
    size_bytes: int | None = None
    label_text: str | None = None
    wnid: str | None = None
    split: str | None = None
    licence: str | None = None
    author: str | None = None
    retrieved_at: str | None = None
    claim: str | None = None

    def __post_init__(self) -> None:
        _make_storable(self, "location", "label_text", "split", "licence", "author")


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Something in a source that cannot be an image here: where, a stable code, and why."""

    location: str
    code: str
    reason: str

    def __post_init__(self) -> None:
        _make_storable(self, "location", "reason")


def _make_storable(one: Item | Rejected, *names: str) -> None:
    """Whatever the names of files hold, it must not end a collect."""
    for name in names:
        text = getattr(one, name)
        if text is not None:
            object.__setattr__(one, name, storable(text))


class Source(Protocol):
    """Images in a fixed order; the same source always yields the same sequence."""

    @property
    def kind(self) -> str:
        """The kind of source: folder, flat, archive, urls, ilsvrc, digits."""

    @property
    def location(self) -> str:
        """The path or address, as the user gave it."""

    @property
    def n_total(self) -> int | None:
        """How many items there are; None where only reading them all would tell."""

    def labels(self) -> set[str]:
        """The class names, where they are cheap to know; else none."""

    def wnids(self) -> set[str]:
        """The synsets that the source names by wnid by itself."""

    def items(self) -> Iterator[Item | Rejected]:
        """The items and rejects in order."""


@runtime_checkable
class Remote(Protocol):
    """A source whose items have to be fetched before the first one is known."""

    def fetch_next(
        self, n_urls: int, *, done: Done, should_stop: Callable[[], bool], report: Report
    ) -> bool:
        """Whether everything is fetched, after up to `n_urls` more URLs were."""

    def settle(self) -> None:
        """Ends fetching: `items` takes what there is."""

    def close(self) -> None:
        """Stops what is being fetched."""
