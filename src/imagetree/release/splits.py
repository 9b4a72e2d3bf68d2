"""Which split an image goes to: by hash, balanced per class, duplicates never apart."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Mapping

from imagetree.core.errors import InvalidInput

_EPSILON = 1e-9
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def check_fractions(splits: Mapping[str, float]) -> None:
    """Returns nothing; InvalidInput when a name or a fraction cannot be used."""
    if not splits:
        raise InvalidInput("No split is named.", hint="Give splits such as train=0.7,test=0.3.")
    for name, fraction in splits.items():
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name!r} is no name for a split.",
                hint="Use up to 32 lower-case letters, digits, _ and -.",
            )
        if not 0 < fraction <= 1 + _EPSILON:
            raise InvalidInput(
                f"The split {name} is to have {fraction} of the images.",
                hint="Give a number above 0 and up to 1.",
            )
    if sum(splits.values()) > 1 + _EPSILON:
        raise InvalidInput(
            f"The splits add up to {sum(splits.values()):g}.", hint="Let them add up to 1 or less."
        )


def assign(
    centres: Mapping[str, str],
    classes: Mapping[str, Collection[str]],
    *,
    splits: Mapping[str, float],
    seed: int,
) -> dict[str, str]:
    """The split of each SHA-256; images left over by fractions below 1 in all are not in it.

    `centres` has the centre of its star for every image (its own SHA-256 when alone), `classes`
    its classes (none counts as a class of its own). Clusters go in the order of
    SHA-256("seed:smallest SHA-256"), each whole to the split that its classes lack most, so the
    answer depends on no order of rows. InvalidInput for bad fractions.

    Example:
        >>> assign({"aa": "aa", "ab": "aa"}, {}, splits={"train": 1.0}, seed=0)
        {'aa': 'train', 'ab': 'train'}
    """
    check_fractions(splits)
    shares = {name: float(splits[name]) for name in sorted(splits)}
    rest = 1.0 - sum(shares.values())
    if rest > _EPSILON:
        shares[""] = rest
    clusters: dict[str, list[str]] = defaultdict(list)
    for sha256 in sorted(centres):
        clusters[centres[sha256]].append(sha256)
    ordered = sorted(
        clusters.values(), key=lambda one: hashlib.sha256(f"{seed}:{one[0]}".encode()).digest()
    )
    seen: dict[str, int] = defaultdict(int)
    given: dict[tuple[str, str], int] = defaultdict(int)
    found: dict[str, str] = {}
    for members in ordered:
        counts: dict[str, int] = defaultdict(int)
        for sha256 in members:
            for wnid in classes.get(sha256) or ("",):
                counts[wnid] += 1
        wanted = sorted(counts.items())
        for wnid, n in wanted:
            seen[wnid] += n
        # max() keeps the first of equals, and the names are sorted.
        best = max(
            shares,
            key=lambda name: sum(
                n * (shares[name] * seen[wnid] - given[name, wnid]) for wnid, n in wanted
            ),
        )
        for wnid, n in wanted:
            given[best, wnid] += n
        if best:
            found.update(dict.fromkeys(members, best))
    return dict(sorted(found.items()))
