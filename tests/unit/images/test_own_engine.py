"""The own engine against Pillow, and its two builds against one another.

Tolerances. The inverse DCT is libjpeg's to the last bit. Colour is changed and chroma enlarged
without rounding in between, so a pixel differs by 1 where nothing is subsampled and by 3 where it
is; where colours leave the gamut, libjpeg clips before the resize and this engine behind it, so
that there only the mean is bounded.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.conftest import ROOT, absent
from tests.unit.images.sampled_jpeg import sampled_jpeg
from tests.unit.images.test_kernel import (
    SAMPLINGS,
    damaged,
    encode,
    photo,
    psnr,
    random_crops,
    some_box,
)

from imagetree.core.errors import ImagetreeError
from imagetree.images import kernel
from imagetree.images.decode import decode
from imagetree.images.kernel import BY_KERNEL, BY_PILLOW
from imagetree.images.tiles import centre_tiles, crop_tiles

fill = functools.partial(kernel.fill, engine="own")
FINDINGS = ROOT / "tests" / "golden" / "fuzz"


@pytest.fixture(autouse=True)
def native() -> None:
    """These tests are about the kernel: without it they skip, in the continuous run they fail."""
    if not kernel.available():
        absent(f"The native kernel is not built: {kernel.absence()}")


def soft_photo(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """A photo whose colours stay inside the gamut, so that nothing is clipped."""
    pixels = np.asarray(photo(width, height, seed=seed), dtype=np.float64)
    return Image.fromarray((96 + pixels / 4).astype(np.uint8))


def tile(
    data: bytes,
    box: tuple[int, int, int, int],
    size: tuple[int, int] | None = None,
    *,
    flip: bool = False,
    orientation: int = 1,
) -> NDArray[np.uint8]:
    width, height = size or (box[2] - box[0], box[3] - box[1])
    out = np.empty((1, height, width, 3), np.uint8)
    status = fill([data], crop_tiles([box], flip=flip, orientation=orientation), out)
    assert status.tolist() == [BY_KERNEL]
    return out[0]


def pillows(
    data: bytes, box: tuple[int, int, int, int], size: tuple[int, int], *, flip: bool = False
) -> NDArray[np.uint8]:
    image = Image.fromarray(decode(data)).crop(box).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image)


def worst(found: NDArray[Any], right: NDArray[Any]) -> int:
    return int(np.abs(found.astype(int) - right).max())


# Where libjpeg enlarges chroma by its triangle, or not at all. 4:1:1 is enlarged by repeating.
@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411", "grey", "grey 2x2"])
@pytest.mark.parametrize("restart_interval", [0, 1, 3, 7])
def test_crops_of_every_sampling(sampling: str, restart_interval: int) -> None:
    generator = np.random.default_rng(7)
    most = 1 if sampling in ("444", "grey", "grey 2x2") else 3
    for width, height in [(123, 77), (64, 64), (33, 17), (40, 8), (9, 50)]:
        data = sampled_jpeg(
            soft_photo(width, height),
            factors=SAMPLINGS[sampling],
            restart_interval=restart_interval,
        )
        whole = decode(data)
        boxes = [(0, 0, width, height)] + [some_box(generator, width, height) for _ in range(12)]
        for box in boxes:
            left, top, right, bottom = box
            assert worst(tile(data, box), whole[top:bottom, left:right]) <= most, box
            resized = tile(data, box, (31, 24))
            if min((right - left) / 31, (bottom - top) / 24) < 2:
                assert worst(resized, pillows(data, box, (31, 24))) <= most + 1, box


@pytest.mark.parametrize("side", range(1, 65))
def test_small_pictures(side: int) -> None:
    for width, height in [(side, side), (side, 24), (24, side)]:
        for subsampling in (0, 1, 2):
            data = encode(soft_photo(width, height), quality=90, subsampling=subsampling)
            assert worst(tile(data, (0, 0, width, height)), decode(data)) <= 3
        grey = encode(soft_photo(width, height).convert("L"), quality=90)
        assert worst(tile(grey, (0, 0, width, height)), decode(grey)) <= 1


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
@pytest.mark.parametrize("optimise", [False, True])
def test_qualities(quality: int, optimise: bool) -> None:
    data = encode(soft_photo(200, 150), quality=quality, optimize=optimise, subsampling=0)
    box = (13, 9, 180, 141)
    assert worst(tile(data, box, (96, 96)), pillows(data, box, (96, 96))) <= 2
    # Hard colours: clipped in another place, so the mean alone is bounded.
    data = encode(photo(200, 150), quality=quality, optimize=optimise, subsampling=2)
    assert psnr(tile(data, box, (96, 96)), pillows(data, box, (96, 96))) > 33


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("flip", [False, True])
def test_orientation_and_flip(orientation: int, flip: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(soft_photo(90, 60), quality=95, exif=exif)
    box = (5, 11, 53, 58)
    for size in [(48, 47), (31, 40), (64, 80)]:
        right = pillows(data, box, size, flip=flip)
        assert worst(tile(data, box, size, flip=flip, orientation=orientation), right) <= 4
        # The file says it itself.
        assert worst(tile(data, box, size, flip=flip, orientation=0), right) <= 4


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_reduced_tiles_are_close(reduction: int, subsampling: int) -> None:
    data = encode(soft_photo(640, 480), quality=92, subsampling=subsampling)
    size = (640 // reduction, 480 // reduction)
    found = tile(data, (0, 0, 640, 480), size)
    assert psnr(found, pillows(data, (0, 0, 640, 480), size)) > 34


def test_centre_tiles() -> None:
    for width, height in [(90, 60), (61, 97), (40, 40)]:
        data = encode(soft_photo(width, height), quality=95, subsampling=0)
        out = np.empty((1, 28, 28, 3), np.uint8)
        fill([data], centre_tiles([(width, height)], resize_px=33, size_px=28), out)
        scale = 33 / min(width, height)
        size = (max(33, round(width * scale)), max(33, round(height * scale)))
        image = Image.fromarray(decode(data)).resize(size, Image.Resampling.BILINEAR)
        left, top = (size[0] - 28) // 2, (size[1] - 28) // 2
        right = np.asarray(image.crop((left, top, left + 28, top + 28)))
        assert worst(out[0], right) <= 2


def compare(files: list[Path]) -> NDArray[np.float64]:
    blobs, tiles, boxes = random_crops(files)
    out = np.empty((len(blobs), 224, 224, 3), np.uint8)
    status = fill(blobs, tiles, out, n_threads=2)
    assert (status == BY_KERNEL).mean() > 0.98
    found = []
    for i, data in enumerate(blobs):
        right = pillows(data, tuple(boxes[i].tolist()), (224, 224), flip=bool(tiles["flip"][i]))
        found.append(psnr(out[i], right))
    return np.array(found)


def test_real_photos(data_folder: Path) -> None:
    originals = sorted((data_folder / "imagenet_val" / "images").glob("*.JPEG"))[::6]
    small = sorted((data_folder / "imagenette").rglob("*.JPEG"))[::100]
    found = compare([*originals, *small])
    assert found.mean() > 50
    assert found.min() > 33


@pytest.mark.slow
def test_all_real_photos(data_folder: Path) -> None:
    found = compare(sorted((data_folder / "imagenet_val" / "images").glob("*.JPEG")))
    assert found.mean() > 52
    assert compare(sorted((data_folder / "imagenette").rglob("*.JPEG"))).mean() > 50


def test_the_rest_is_left_to_others() -> None:
    image = photo(64, 48)
    box = (4, 5, 60, 40)
    for data in (encode(image, progressive=True), encode(image.convert("CMYK"))):
        out = np.empty((1, 35, 56, 3), np.uint8)
        assert fill([data], crop_tiles([box]), out).tolist() == [BY_PILLOW]
        assert np.array_equal(out[0], decode(data)[5:40, 4:60])


def outcome(data: bytes, box: tuple[int, int, int, int], engine: kernel.Engine) -> object:
    out = np.zeros((1, 24, 24, 3), np.uint8)
    try:
        kernel.fill([data], crop_tiles([box]), out, engine=engine)
    except ImagetreeError as error:
        return type(error), getattr(error, "reason_code", "")
    return out


@pytest.mark.parametrize("engine", ["own", "auto"])
def test_damaged_files_end_as_with_pillow(
    engine: kernel.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same error, or pixels; these are close unless the damage itself is clipped."""
    generator = np.random.default_rng(5)
    whole = [
        sampled_jpeg(soft_photo(96, 64), factors=one, restart_interval=2)
        for one in SAMPLINGS.values()
    ]
    whole += [encode(soft_photo(96, 64), quality=50), encode(soft_photo(96, 64).convert("L"))]
    kinds, close = set(), []
    for _ in range(600):
        data = damaged(generator, whole[int(generator.integers(len(whole)))])
        box = some_box(generator, 96, 64)
        found = outcome(data, box, engine)
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "_absence", "for this test")
            right = outcome(data, box, engine)
        kinds.add(type(right))
        if isinstance(found, np.ndarray) and isinstance(right, np.ndarray):
            close.append(psnr(found, right) > 25)
        else:
            assert found == right, (box, data)
    assert kinds == {tuple, np.ndarray}
    assert np.mean(close) > 0.97


_DIGEST = """
import hashlib, sys
import numpy as np
from imagetree.images import kernel
from imagetree.images.tiles import crop_tiles
from tests.unit.images.test_own_engine import mixture
files, boxes = mixture()
digest = hashlib.sha256()
for side in (17, 40, 96, 131, 230):
    out = np.empty((len(files), side, side + 3, 3), np.uint8)
    status = kernel.fill(files, crop_tiles(boxes), out, engine="own", n_threads=2)
    digest.update(out[status == 0])
    digest.update(status)
sys.stdout.write(f"{kernel.instructions()} {digest.hexdigest()}")
"""


def mixture() -> tuple[list[bytes], list[tuple[int, int, int, int]]]:
    """Files of every sampling, whole and damaged, with a box each."""
    generator = np.random.default_rng(9)
    files, boxes = [], []
    for number, factors in enumerate(SAMPLINGS.values()):
        data = sampled_jpeg(photo(150, 110, seed=number), factors=factors, restart_interval=5)
        for _ in range(6):
            files += [data, damaged(generator, data)]
            boxes += [some_box(generator, 150, 110)] * 2
    # A damaged header may promise another size: those with no such box are errors, not tiles.
    kept = [
        i for i, data in enumerate(files) if not isinstance(outcome(data, boxes[i], "own"), tuple)
    ]
    return [files[i] for i in kept], [boxes[i] for i in kept]


def test_both_builds_give_the_same_bytes() -> None:
    said = []
    for wanted in ("", "portable"):
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env=dict(os.environ, IMAGETREE_INSTRUCTIONS=wanted),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.rsplit(" ", 1))
    assert said[1][0] == "portable C++"
    assert said[0][1] == said[1][1]


def test_findings_of_the_fuzzer_are_mended() -> None:
    """Each file once crashed or differed; the first twelve bytes chose the fuzzer's tile."""
    for file in sorted(FINDINGS.glob("*.bin")):
        data = file.read_bytes()[12:]
        for size in [(16, 16), (40, 7)]:
            out = np.empty((1, size[1], size[0], 3), np.uint8)
            kernel.fill(
                [data], crop_tiles([[0, 0, 8, 8]]), out, engine="own", on_bad=lambda *_: None
            )


def test_threads_give_the_same_bytes() -> None:
    files, boxes = mixture()
    digests = set()
    for n_threads in (1, 2, 4):
        out = np.empty((len(files), 50, 60, 3), np.uint8)
        fill(files, crop_tiles(boxes), out, n_threads=n_threads)
        digests.add(hashlib.sha256(out).hexdigest())
    assert len(digests) == 1
