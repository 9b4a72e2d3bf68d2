"""Near duplicates: pHash distance <= 4, confirmed on thumbnails, in stars and never chains.

64 bits are cut into five bands: two fingerprints that differ in at most four bits agree in at
least one band whole (pigeonhole), so only fingerprints that share a band are compared.
Source: Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing, 2012.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetree.images.fingerprints import hamming

MAX_DISTANCE = 4
BANDS = ((0, 13), (13, 26), (26, 39), (39, 52), (52, 64))
SIDE = 48
MARGINS = (0.0, 0.02, 0.04)
MIN_CORRELATION = 0.90
_BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An image to compare: its SHA-256 and its signed 64-bit fingerprint."""

    sha256: str
    fingerprint: int


@dataclass(frozen=True, kw_only=True)
class Near:
    """`sha256` is a near duplicate of `centre`, at this distance in bits."""

    sha256: str
    centre: str
    distance: int


def candidate_pairs(fingerprints: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index pairs (P, 2), i < j, sorted, of all fingerprints (N,) at distance <= 4."""
    codes = fingerprints.view(np.uint64)
    found: list[NDArray[np.int64]] = [np.empty((0, 2), dtype=np.int64)]
    for first, last in BANDS:
        band = (codes >> np.uint64(first)) & np.uint64((1 << (last - first)) - 1)
        order = np.argsort(band, kind="stable")
        bounds = np.flatnonzero(np.diff(band[order])) + 1
        for group in np.split(order, bounds):
            found.extend(_close(fingerprints, group))
    pairs: NDArray[np.int64] = np.unique(np.concatenate(found), axis=0)
    return pairs


def _close(
    fingerprints: NDArray[np.int64], group: NDArray[np.int64]
) -> Iterable[NDArray[np.int64]]:
    """Pairs within one band's bucket, block by block so that memory stays small."""
    if len(group) < 2:
        return
    rows = max(1, _BLOCK * _BLOCK // 4 // len(group))
    for start in range(0, len(group), rows):
        block = group[start : start + rows]
        near = hamming(fingerprints[block][:, None], fingerprints[group][None, :])
        left, right = np.nonzero(near <= MAX_DISTANCE)
        pairs = np.stack([block[left], group[right]], axis=1)
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def similarity(a: bytes, b: bytes) -> float:
    """Highest correlation, -1 to 1, of two thumbnails, over crops of up to 4% a side."""
    left, right = _views(a), _views(b)
    return float(max((left[0] @ right.T).max(), (left @ right[0]).max()))


def _views(data: bytes) -> NDArray[np.float64]:
    image = Image.open(io.BytesIO(data)).convert("L")
    width, height = image.size
    views = []
    for margin in MARGINS:
        box = (width * margin, height * margin, width * (1 - margin), height * (1 - margin))
        small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
        view = np.asarray(small, dtype=np.float64).ravel()
        view = view - view.mean()
        # A plain picture has no pattern to compare: it is like nothing but its exact copy.
        views.append(view / max(float(np.linalg.norm(view)), 1e-9))
    return np.stack(views)


def clusters(pairs: Iterable[tuple[int, int]], order: Sequence[str]) -> list[tuple[int, int]]:
    """(member, centre) indices: stars, made greedily in the order of the SHA-256 in `order`."""
    near: dict[int, set[int]] = defaultdict(set)
    for left, right in pairs:
        near[left].add(right)
        near[right].add(left)
    taken: set[int] = set()
    stars = []
    for centre in sorted(near, key=lambda index: order[index]):
        if centre in taken:
            continue
        taken.add(centre)
        for member in sorted(near[centre] - taken, key=lambda index: order[index]):
            taken.add(member)
            stars.append((member, centre))
    return stars


def find_stars(
    candidates: Sequence[Candidate],
    *,
    read_thumbnail: Callable[[str], bytes],
    min_correlation: float = MIN_CORRELATION,
) -> list[Near]:
    """The images that are near duplicates of another, each with its centre.

    The same for any order of `candidates`. Errors of `read_thumbnail` pass through.
    """
    codes = np.array([one.fingerprint for one in candidates], dtype=np.int64)
    names = [one.sha256 for one in candidates]
    confirmed = [
        (int(left), int(right))
        for left, right in candidate_pairs(codes)
        if similarity(read_thumbnail(names[left]), read_thumbnail(names[right])) >= min_correlation
    ]
    return [
        Near(
            sha256=names[member],
            centre=names[centre],
            distance=int(hamming(codes[member], codes[centre])),
        )
        for member, centre in clusters(confirmed, names)
    ]
