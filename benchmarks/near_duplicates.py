"""Recall and false pairs of near duplicates: 100 planted copies of each kind among real photos.

    python benchmarks/near_duplicates.py PHOTOS [N_PHOTOS]

Each copy is of a photo of its own. A copy is found when it lies in one star with its original.
A pair of two photos that were not planted is printed with its files: a person has to say
whether it is a false pair, or whether the folder held near duplicates before.
"""

from __future__ import annotations

import io
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from imagetree.images.duplicates import Candidate, candidate_pairs, find_stars
from imagetree.images.fingerprints import Prepared, prepare

N_COPIES = 100
SEED = 0
Change = Callable[[Image.Image, random.Random], tuple[Image.Image, int]]


def recompressed(image: Image.Image, chance: random.Random) -> tuple[Image.Image, int]:
    """The photo, to be saved at a quality of 20 to 60."""
    return image, chance.randint(20, 60)


def resized(image: Image.Image, chance: random.Random) -> tuple[Image.Image, int]:
    """The photo at 0.4 to 0.9 of its size, with the sides' ratio changed by up to 2%."""
    scale, stretch = chance.uniform(0.4, 0.9), chance.uniform(0.98, 1.02)
    size = (round(image.width * scale * stretch), round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC), 90


def cropped(share: float) -> Change:
    """A change that cuts up to this share off each of the four sides."""

    def crop(image: Image.Image, chance: random.Random) -> tuple[Image.Image, int]:
        left, top, right, bottom = (chance.uniform(0, share) for _ in range(4))
        box = (left, top, 1 - right, 1 - bottom)
        sides = (image.width, image.height) * 2
        edges = [round(part * side) for part, side in zip(box, sides, strict=True)]
        return image.crop((edges[0], edges[1], edges[2], edges[3])), 90

    return crop


KINDS: dict[str, Change] = {
    "recompressed": recompressed,
    "resized": resized,
    "cropped by up to 2% a side": cropped(0.02),
    "cropped by up to 4% a side": cropped(0.04),
    "cropped by up to 8% a side": cropped(0.08),
}


def changed(data: bytes, change: Change, chance: random.Random) -> bytes:
    """The bytes of a changed copy."""
    image, quality = change(Image.open(io.BytesIO(data)).convert("RGB"), chance)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return target.getvalue()


def main() -> None:
    """Prints recall by kind, and all pairs that were not planted."""
    files = sorted(Path(sys.argv[1]).rglob("*.JPEG"))
    chance = random.Random(SEED)
    if len(sys.argv) > 2:
        files = sorted(chance.sample(files, int(sys.argv[2])))
    if len(files) < N_COPIES * len(KINDS):
        sys.exit(f"{N_COPIES * len(KINDS)} photos are needed, {len(files)} were found.")
    start = time.perf_counter()
    chosen = chance.sample(range(len(files)), N_COPIES * len(KINDS))
    names = [str(path) for path in files]
    blobs = [path.read_bytes() for path in files]
    original_of: dict[int, int] = {}
    kind_of: dict[int, str] = {}
    for number, original in enumerate(chosen):
        kind = list(KINDS)[number // N_COPIES]
        original_of[len(blobs)], kind_of[len(blobs)] = original, kind
        names.append(f"{names[original]} ({kind})")
        blobs.append(changed(blobs[original], KINDS[kind], chance))
    with ThreadPoolExecutor() as pool:
        prepared = list(pool.map(prepare, blobs))
    prepare_s = time.perf_counter() - start
    report(prepared, names, original_of, kind_of, prepare_s=prepare_s)


def report(
    prepared: list[Prepared],
    names: list[str],
    original_of: dict[int, int],
    kind_of: dict[int, str],
    *,
    prepare_s: float,
) -> None:
    """Looks for the stars and prints what was found."""
    start = time.perf_counter()
    index = {one.sha256: number for number, one in enumerate(prepared)}
    stars = find_stars(
        [Candidate(sha256=one.sha256, fingerprint=one.fingerprint) for one in prepared],
        read_thumbnail=lambda sha256: prepared[index[sha256]].thumbnail,
    )
    search_s = time.perf_counter() - start
    star_of = {index[one.sha256]: index[one.centre] for one in stars}
    found = dict.fromkeys(KINDS, 0)
    for copy, original in original_of.items():
        found[kind_of[copy]] += star_of.get(copy, copy) == star_of.get(original, original)
    print(f"{len(names):,} images, seed {SEED}: prepared in {prepare_s:.1f} s, ", end="")
    print(f"compared in {search_s:.1f} s")
    for kind, count in found.items():
        print(f"recall  {kind:28} {count:3} of {N_COPIES}")
    others = [
        (member, centre)
        for member, centre in star_of.items()
        if original_of.get(member, member) != original_of.get(centre, centre)
    ]
    codes = np.array([one.fingerprint for one in prepared], dtype=np.int64)
    n_close = sum(
        original_of.get(int(a), int(a)) != original_of.get(int(b), int(b))
        for a, b in candidate_pairs(codes)
    )
    print(f"pairs of different photos: {len(others)} kept of {n_close} within 4 bits")
    for member, centre in others:
        print(f"  {names[member]}\n  = {names[centre]}")


if __name__ == "__main__":
    main()
