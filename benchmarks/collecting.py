"""The main job's collect against a plain Pillow loop that does the same work, side by side.

    python benchmarks/collecting.py [PHOTOS] [--n-images N] [--rounds N] [--json]

PHOTOS is a folder of one sub-folder a class; by default `imagenette` in the folder that
IMAGETREE_TEST_DATA names, ../shared/data where it names none.

Table 1, through the product: `Database.collect` into a fresh database (hash, decode, perceptual
hash, thumbnail, shards with fsync, catalog, events, near duplicates); a plain loop in one process
(hash, full decode, perceptual hash, thumbnail, two files an image and a CSV, no fsync); and
the same folder collected a second time, under another path, into the same database.
Table 2, without storing: `prepare`, what a collect does to each image, with one and two threads.

Every case runs in a process of its own, in turn, round after round, and each figure is that of
its best round. "Per core" divides by processor seconds (user and system, children included), "by
the clock" by elapsed seconds. Memory is the highest resident set of the process.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The parent stays small: a child's highest resident set begins with what it was forked from.
ROOT = Path(__file__).resolve().parent.parent
MAX_PEAK_MB = 1500
# Below this the plain loop did not have a core to itself: the clock tells of other work.
QUIET_CORES = 0.9
Case = Callable[[Path, Path, int], dict[str, float]]


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Images, elapsed and processor seconds, and the process's peak of memory, of some work."""

    def cpu_s() -> float:
        return sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    clock, cpu = time.perf_counter(), cpu_s()
    n_images = work()
    return {
        "n_images": n_images,
        "wall_s": time.perf_counter() - clock,
        "cpu_s": cpu_s() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


# ---- the plain loop ----


def plain_prepare(data: bytes) -> tuple[str, str, bytes]:
    """What a short script makes of an image: hash, perceptual hash, thumbnail."""
    import numpy as np
    from PIL import Image
    from scipy.fft import dctn

    digest = hashlib.sha256(data).hexdigest()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    grey = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    waves = dctn(np.asarray(grey, dtype=np.float64))[:8, :8]
    bits = np.packbits(waves > np.median(waves))
    image.thumbnail((160, 160))
    target = io.BytesIO()
    image.save(target, "JPEG", quality=82)
    return digest, bits.tobytes().hex(), target.getvalue()


def plain_loop(photos: Path, folder: Path, n_images: int) -> dict[str, float]:
    """One process: reads, prepares, and stores into a folder of images and one of thumbnails."""
    plain_prepare(photo_files(photos)[0].read_bytes())  # imports are not measured

    def work() -> int:
        for name in ("images", "thumbs"):
            (folder / name).mkdir(parents=True)
        files = photo_files(photos)[:n_images]
        with (folder / "images.csv").open("w", newline="") as stream:
            rows = csv.writer(stream)
            for path in files:
                data = path.read_bytes()
                digest, bits, thumb = plain_prepare(data)
                (folder / "images" / f"{digest}.jpg").write_bytes(data)
                (folder / "thumbs" / f"{digest}.jpg").write_bytes(thumb)
                rows.writerow((digest, bits, path.parent.name, path))
        return len(files)

    return measured(work)


# ---- the product ----


def collect(photos: Path, folder: Path, n_images: int) -> dict[str, float]:
    """`Database.collect` into the database of this round."""
    import imagetree

    fresh = not folder.exists()
    db = imagetree.Database.create(folder) if fresh else imagetree.open(folder)
    len(db.taxonomy)  # WordNet is built once a machine; not measured

    def work() -> int:
        done = db.collect(photos, layout="imagefolder")
        return done.n_stored + done.n_known

    with db:
        return measured(work)


def prepare_threads(n_threads: int) -> Case:
    """A case: `prepare` by so many threads, nothing stored."""

    def case(photos: Path, folder: Path, n_images: int) -> dict[str, float]:
        from imagetree.images.fingerprints import prepare

        return spread(prepare, photos, n_images, n_threads)

    return case


def plain_unstored(photos: Path, folder: Path, n_images: int) -> dict[str, float]:
    """The plain loop's work on each image, nothing stored."""
    return spread(plain_prepare, photos, n_images, 1)


def spread(
    work: Callable[[bytes], object], photos: Path, n_images: int, n_threads: int
) -> dict[str, float]:
    """Figures of some work on the bytes of up to 2,000 images, by threads."""
    from concurrent.futures import ThreadPoolExecutor

    blobs = [path.read_bytes() for path in photo_files(photos)[: min(n_images, 2000)]]
    work(blobs[0])
    with ThreadPoolExecutor(n_threads) as pool:
        return measured(lambda: len(list(pool.map(work, blobs))))


# ---- rounds ----

STORED: dict[str, Case] = {
    "plain loop": plain_loop,
    "collect": collect,
    "collect again": collect,
}
UNSTORED: dict[str, Case] = {
    "plain loop": plain_unstored,
    "prepare": prepare_threads(1),
    "prepare, 2 threads": prepare_threads(2),
}
TABLES = {"stored": STORED, "unstored": UNSTORED}


def photo_files(photos: Path) -> list[Path]:
    """The photos' files, in a fixed order."""
    return sorted(path for path in photos.rglob("*") if path.is_file())


def in_child(
    table: str, case: str, photos: Path, folder: Path, *, n_images: int
) -> dict[str, float]:
    """A case's figures, from a fresh process."""
    command = [sys.executable, __file__, str(photos), "--n-images", str(n_images)]
    done = subprocess.run(
        [*command, "--case", table, case, str(folder)], stdout=subprocess.PIPE, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def rounds(photos: Path, *, n_images: int, n_rounds: int) -> dict[str, Any]:
    """Best figures of every case of both tables, by table and case."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        table: {case: [] for case in cases} for table, cases in TABLES.items()
    }
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        # Two paths to the same photos: to a collect these are two sources.
        first, other = few(photos, top / "first", n_images), few(photos, top / "other", n_images)
        for number in range(n_rounds):
            database = top / f"round{number}.imagetree"
            places = {
                "plain loop": (first, top / f"plain{number}"),
                "collect": (first, database),
                "collect again": (other, database),
            }
            for case, (source, folder) in places.items():
                figures = in_child("stored", case, source, folder, n_images=n_images)
                found["stored"][case].append(figures)
            for case in UNSTORED:
                figures = in_child("unstored", case, first, top / "none", n_images=n_images)
                found["unstored"][case].append(figures)
            for folder in (database, top / f"plain{number}"):
                shutil.rmtree(folder)
    return {
        table: {case: best(several) for case, several in cases.items()}
        for table, cases in found.items()
    }


def few(photos: Path, target: Path, n_images: int) -> Path:
    """A copy of the first photos, evenly over the classes' folders, read into memory on the way."""
    files = photo_files(photos)
    step = max(1, len(files) // n_images)
    for path in files[::step][:n_images]:
        copy = target / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return target


def best(several: list[dict[str, float]]) -> dict[str, float]:
    """The highest rates and the highest peak of several rounds."""
    return {
        "n_images": several[0]["n_images"],
        "per_core": max(one["n_images"] / one["cpu_s"] for one in several),
        "by_clock": max(one["n_images"] / one["wall_s"] for one in several),
        "cores_used": max(one["cpu_s"] / one["wall_s"] for one in several),
        "peak_mb": max(one["peak_mb"] for one in several),
    }


def show(title: str, cases: dict[str, dict[str, float]]) -> None:
    """Prints one table with ratios to its plain loop."""
    base = cases["plain loop"]
    print(f"{title}, images/s (ratio to the plain loop)")
    print(f"{'':20} {'per core':>16} {'by the clock':>16} {'cores':>6} {'peak':>8}")
    for case, one in cases.items():
        rates = [
            f"{one[key]:8.0f} ({one[key] / base[key]:4.2f}x)" for key in ("per_core", "by_clock")
        ]
        print(f"{case:20} {rates[0]} {rates[1]} {one['cores_used']:6.2f} {one['peak_mb']:5.0f} MB")
    print()


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    data = Path(os.environ.get("IMAGETREE_TEST_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("photos", type=Path, nargs="?", default=ROOT / data / "imagenette")
    parser.add_argument("--n-images", type=int, default=7000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Prints both tables; ends with 1 when a target is missed."""
    asked = arguments()
    if asked.case:
        table, case, folder = asked.case
        print(json.dumps(TABLES[table][case](asked.photos, Path(folder), asked.n_images)))
        return
    if not asked.photos.is_dir():
        print(f"No photos at {asked.photos}: name a folder, or set IMAGETREE_TEST_DATA. Left out.")
        return
    found = rounds(asked.photos, n_images=asked.n_images, n_rounds=asked.rounds)
    plain, product = found["stored"]["plain loop"], found["stored"]["collect"]
    found["targets"] = {
        "as fast per core as the plain loop": product["per_core"] >= plain["per_core"],
        "both cores used": (
            product["cores_used"] > 1.2 if plain["cores_used"] > QUIET_CORES else None
        ),
        f"peak memory under {MAX_PEAK_MB:,} MB": product["peak_mb"] < MAX_PEAK_MB,
    }
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        show(f"Collected and stored, {product['n_images']:,.0f} photos", found["stored"])
        show("Prepared, not stored", found["unstored"])
        for target, met in found["targets"].items():
            print({True: "met", False: "MISSED", None: "machine busy"}[met], target, sep=": ")
    if False in found["targets"].values():
        sys.exit(1)


if __name__ == "__main__":
    main()
