"""The photos, and the boxes and flips that all peers use, drawn once with a seed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetree.release.pixels import random_box
from loading_peers.peers.pillow import cut
from loading_peers.work import SIDE_PX

SEED, N_DRAWS = 0, 4
SCALE = (0.08, 1.0)
PACKED_SIDE_PX, PACKED_QUALITY = 400, 90


def find_photos(folder: Path) -> list[Path]:
    """The JPEGs at or under a folder, in the order of their names."""
    endings = {".jpg", ".jpeg"}
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings)


def draw_boxes(
    sizes: Sequence[tuple[int, int]], *, n_draws: int = N_DRAWS, seed: int = SEED
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Boxes (I, 4) as left, top, right, bottom, and flips (I,), where I is n_draws * N.

    `sizes` N x (width, height) of the photos; item i is of photo i % N.
    """
    generator = np.random.default_rng(seed)
    boxes = [
        random_box(generator, width=width, height=height, scale=SCALE)
        for width, height in [*sizes] * n_draws
    ]
    return np.array(boxes, np.int32), generator.random(len(boxes)) < 0.5


def pack(data: bytes) -> bytes:
    """The photo with its longer side at most 400 px, quality 90, 4:2:0."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = PACKED_SIDE_PX / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=PACKED_QUALITY, subsampling="4:2:0")
    return target.getvalue()


def prepare(photos: Sequence[Path], *, cache: Path, packed: bool) -> Path:
    """The folder with the work (see `work.read_work`); the same files give the same folder."""
    names = "\n".join(f"{path} {path.stat().st_size}" for path in photos)
    digest = hashlib.sha256(f"{names} {SEED} {N_DRAWS} {packed}".encode()).hexdigest()[:12]
    folder = cache / f"{'packed' if packed else 'originals'}-{digest}"
    if (folder / "files.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    files = list(photos)
    if packed:
        (folder / "files").mkdir(exist_ok=True)
        files = [folder / "files" / f"{number:06d}.jpg" for number in range(len(photos))]
        for source, target in zip(photos, files, strict=True):
            target.write_bytes(pack(source.read_bytes()))
    sizes = [_size(path) for path in files]
    boxes, flips = draw_boxes(sizes)
    reference = np.empty((len(files), SIDE_PX, SIDE_PX, 3), np.uint8)
    for number, path in enumerate(files):
        box = tuple(boxes[number].tolist())
        cut(path.read_bytes(), box, bool(flips[number]), reference[number])
    for name, array in (("boxes", boxes), ("flips", flips), ("reference", reference)):
        np.save(folder / f"{name}.npy", array)
    # Written last: it says that the folder is whole.
    (folder / "files.json").write_text(json.dumps([str(path.resolve()) for path in files]))
    return folder


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size
