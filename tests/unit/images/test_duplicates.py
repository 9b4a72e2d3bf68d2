"""Near duplicates: all pairs are found, planted copies recalled, stars never chain."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from imagetree.images.duplicates import Candidate, candidate_pairs, clusters, find_stars
from imagetree.images.fingerprints import hamming, prepare


def test_bands_find_what_brute_force_finds() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-(2**63), 2**63, 300, dtype=np.int64)
    flips = [1 << int(bit) for bit in rng.integers(0, 63, 4)]
    codes = np.concatenate([codes, codes[:50] ^ flips[0] ^ flips[1], codes[50:90] ^ sum(flips[:1])])
    near = np.argwhere(np.triu(hamming(codes[:, None], codes[None, :]) <= 4, 1))
    assert len(near) >= 90
    assert candidate_pairs(codes).tolist() == near.tolist()


def test_stars_do_not_chain() -> None:
    order = ["a", "b", "c", "d"]
    assert clusters([(0, 1), (1, 2), (2, 3)], order) == [(1, 0), (3, 2)]


def copies(data: bytes) -> list[bytes]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    edge = round(0.01 * width)
    made = []
    for copy, quality in (
        (image, 50),
        (image.resize((width * 2 // 3, height * 2 // 3)), 85),
        (image.crop((edge, edge, width - edge, height - edge)), 85),
    ):
        target = io.BytesIO()
        copy.save(target, "JPEG", quality=quality)
        made.append(target.getvalue())
    return made


def test_planted_copies(data_folder: Path) -> None:
    files = sorted((data_folder / "imagenette" / "val").glob("*/*.JPEG"))[::20]
    n_found = [0, 0, 0]
    prepared = [prepare(path.read_bytes()) for path in files]
    planted: dict[str, tuple[str, int]] = {}
    for path, one in zip(files, list(prepared), strict=True):
        for number, data in enumerate(copies(path.read_bytes())):
            copy = prepare(data)
            prepared.append(copy)
            planted[copy.sha256] = (one.sha256, number)
    thumbs = {one.sha256: one.thumbnail for one in prepared}
    stars = find_stars(
        [Candidate(sha256=one.sha256, fingerprint=one.fingerprint) for one in prepared],
        read_thumbnail=thumbs.__getitem__,
    )
    root = {one.sha256: planted.get(one.sha256, (one.sha256, 0))[0] for one in prepared}
    linked = {name for star in stars for name in (star.sha256, star.centre)}
    n_false = sum(root[star.sha256] != root[star.centre] for star in stars)
    for sha256, (_, number) in planted.items():
        n_found[number] += sha256 in linked
    recall = np.array(n_found) / len(files)
    assert n_false == 0
    assert recall[:2].min() >= 0.9
