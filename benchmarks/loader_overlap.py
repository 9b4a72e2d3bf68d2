"""Does the loader keep up? Waits of a consumer that takes 90% of the loader's own rate.

    python benchmarks/loader_overlap.py [PHOTOS] [--image-size 224] [--batch-size 64] [--share 0.9]

Without a folder of photos it draws 512 of its own. First the rate is measured: batches taken as
fast as they come. Then each step of the consumer lasts what makes 90% of that rate, and every
next() is timed: a batch that is ready costs microseconds, a starved consumer waits milliseconds.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from imagetree.images.decode import read_info
from imagetree.release.loader import Loader
from imagetree.release.record import Label, ReleaseImage
from imagetree.release.source import Originals

N_DRAWN = 512
WAITED_S = 0.001


def drawn_photos(folder: Path, n_images: int = N_DRAWN) -> None:
    """Draws photos of 500 x 375 px: patches of colour under noise, about 100 kB each."""
    generator = np.random.default_rng(0)
    for number in range(n_images):
        patches = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(patches.resize((500, 375), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + generator.normal(0, 12, smooth.shape)
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05d}.jpg", quality=92)


def photo_loader(folder: Path, *, max_images: int = 2000, **options: object) -> Loader:
    """A training loader of the photos in a folder, read from their files."""
    paths: dict[str, Path] = {}
    records = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg"}):
        data = path.read_bytes()
        info = read_info(data)
        sha256 = hashlib.sha256(data).hexdigest()
        paths[sha256] = path
        records.append(
            ReleaseImage(
                sha256=sha256,
                split="train",
                width_px=info.width_px,
                height_px=info.height_px,
                length=len(data),
                labels=(Label("n02084071", "present", None, "imported"),),
            )
        )
        if len(records) == max_images:
            break

    def read_many(sha256s: Sequence[str]) -> list[bytes]:
        return [paths[one].read_bytes() for one in sha256s]

    return Loader(records, ("n02084071",), Originals(read_many), training=True, **options)  # type: ignore[arg-type]


def rate(loader: Loader, *, seconds: float) -> float:
    """Images a second, taken as fast as they come."""
    batches = loader.epochs()
    for _ in range(loader.n_ahead + 2):
        next(batches)
    started, n_images = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        n_images += len(next(batches).labels)
    return n_images / (time.perf_counter() - started)


def waits(loader: Loader, *, images_per_s: float, seconds: float) -> list[float]:
    """Seconds that each next() took of a consumer with steps of even length, the first left out."""
    found: list[float] = []
    batches = loader.epochs()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        asked = time.perf_counter()
        batch = next(batches)
        found.append(time.perf_counter() - asked)
        time.sleep(len(batch.labels) / images_per_s)
    return found[1:]


def main() -> None:
    """Prints the rate, and for two depths of reading ahead what the consumer waited."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.photos or Path(name)
        if given.photos is None:
            drawn_photos(folder)
        for n_ahead in (2, 4):
            loader = photo_loader(
                folder,
                image_size=given.image_size,
                batch_size=given.batch_size,
                n_ahead=n_ahead,
            )
            own = rate(loader, seconds=given.seconds)
            found = waits(loader, images_per_s=given.share * own, seconds=given.seconds)
            late = [one for one in found if one > WAITED_S]
            print(
                f"n_ahead {n_ahead}: {own:6.0f} images/s; at {given.share:.0%} of it "
                f"{len(found)} batches: median next() {1e6 * float(np.median(found)):.0f} us, "
                f"{len(late) / len(found):.1%} over 1 ms, "
                f"{sum(late) / given.seconds:.2%} of the time waited"
            )


if __name__ == "__main__":
    main()
