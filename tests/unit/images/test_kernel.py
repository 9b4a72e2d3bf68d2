"""The native kernel against Pillow: the same pixels within a tolerance, the same errors.

Tolerances. A tile of the crop's own size is Pillow's to the last bit, whatever the sampling: no
pixel at the border of a crop is guessed. A resized tile differs by the rounding of Pillow's
intermediate picture, at most 2 of 255. Where the picture is first reduced by the inverse DCT,
the filter is another one: over all tiles the mean PSNR must stay over 50 dB.
"""

from __future__ import annotations

import concurrent.futures
import functools
import io
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.conftest import ROOT, absent
from tests.unit.images.sampled_jpeg import sampled_jpeg

from imagetree.core.errors import DamagedImage, ImagetreeError, InvalidInput
from imagetree.images import kernel
from imagetree.images.decode import Limits, decode, read_info
from imagetree.images.fingerprints import hamming, prepare
from imagetree.images.kernel import BAD, BY_KERNEL, BY_PILLOW
from imagetree.images.tiles import centre_tiles, crop_tiles
from imagetree.release.pixels import random_boxes, random_draws

SAMPLINGS = {
    "444": [(1, 1)] * 3,
    "422": [(2, 1), (1, 1), (1, 1)],
    "420": [(2, 2), (1, 1), (1, 1)],
    "440": [(1, 2), (1, 1), (1, 1)],
    "411": [(4, 1), (1, 1), (1, 1)],
    "odd": [(2, 2), (2, 1), (1, 2)],
    "thirds": [(3, 1), (1, 1), (1, 1)],
    "grey": [(1, 1)],
    "grey 2x2": [(2, 2)],
}
# The own engine has tests of its own, test_own_engine.py.
fill = functools.partial(kernel.fill, engine="turbo")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(autouse=True)
def native(request: pytest.FixtureRequest) -> None:
    """These tests are about the kernel: without it they skip, in the continuous run they fail."""
    if "no_kernel" not in request.keywords and not kernel.available():
        absent(f"The native kernel is not built: {kernel.absence()}")


def photo(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """Soft patches of colour with some noise: every frequency, few clipped values."""
    generator = np.random.default_rng(seed)
    patches = Image.fromarray(generator.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noise = generator.integers(-12, 13, smooth.shape)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def encode(image: Image.Image, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", **options)
    return target.getvalue()


def tile(
    data: bytes,
    box: tuple[int, int, int, int],
    size: tuple[int, int] | None = None,
    *,
    by: int = BY_KERNEL,
    flip: bool = False,
    orientation: int = 1,
) -> NDArray[np.uint8]:
    """One tile, uint8 (H, W, 3), of the box's own size by default; asserts who made it."""
    width, height = size or (box[2] - box[0], box[3] - box[1])
    out = np.empty((1, height, width, 3), np.uint8)
    status = fill([data], crop_tiles([box], flip=flip, orientation=orientation), out)
    assert status.tolist() == [by]
    return out[0]


def some_box(generator: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    left, right = np.sort(generator.choice(width + 1, 2, replace=False)).tolist()
    top, bottom = np.sort(generator.choice(height + 1, 2, replace=False)).tolist()
    return left, top, right, bottom


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    wrong = float(((a.astype(np.float64) - b) ** 2).mean())
    return 10 * float(np.log10(255**2 / max(wrong, 1e-9)))


# ---- the same pixels ----


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("restart_interval", [0, 3])
def test_tiles_of_their_own_size_are_pillows_bits(sampling: str, restart_interval: int) -> None:
    generator = np.random.default_rng(7)
    for width, height in [(123, 77), (64, 64), (33, 17), (40, 8), (2, 9), (1, 1)]:
        data = sampled_jpeg(
            photo(width, height), factors=SAMPLINGS[sampling], restart_interval=restart_interval
        )
        whole = decode(data)
        boxes = [(0, 0, width, height)] + [some_box(generator, width, height) for _ in range(12)]
        for left, top, right, bottom in boxes:
            found = tile(data, (left, top, right, bottom))
            assert np.array_equal(found, whole[top:bottom, left:right]), (left, top, right, bottom)


@pytest.mark.parametrize("side", [*range(1, 20), 31, 32, 33, 47, 48, 49, 63, 64])
def test_small_pictures(side: int) -> None:
    for width, height in [(side, side), (side, 24), (24, side)]:
        for options in ({"subsampling": 2}, {"subsampling": 0}, {"progressive": True}):
            data = encode(photo(width, height), quality=90, **options)
            assert np.array_equal(tile(data, (0, 0, width, height)), decode(data))
            image = Image.fromarray(decode(data))
            right = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
            found = tile(data, (0, 0, width, height), (16, 16))
            if min(width, height) < 32:  # not reduced by the inverse DCT
                assert np.abs(found.astype(int) - right).max() <= 2


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_reduced_tiles_are_pillows_draft(reduction: int, subsampling: int) -> None:
    generator = np.random.default_rng(reduction)
    data = encode(photo(331, 203), quality=90, subsampling=subsampling)
    draft = Image.open(io.BytesIO(data))
    draft.draft(None, (331 // reduction, 203 // reduction))
    right = np.asarray(draft.convert("RGB"))
    for _ in range(12):
        left, top, end, bottom = some_box(generator, 331 // reduction, 203 // reduction)
        box = (left * reduction, top * reduction, end * reduction, bottom * reduction)
        found = tile(data, box, (end - left, bottom - top))
        assert np.array_equal(found, right[top:bottom, left:end])


@pytest.mark.parametrize("progressive", [False, True])
def test_resized_crops(progressive: bool) -> None:
    generator = np.random.default_rng(3)
    data = encode(photo(150, 110), quality=95, subsampling=0, progressive=progressive)
    image = Image.fromarray(decode(data))
    for size in [(96, 96), (224, 160), (33, 200), (149, 7), (1, 1)]:
        for _ in range(6):
            box = some_box(generator, 150, 110)
            if (box[2] - box[0]) >= 2 * size[0] and (box[3] - box[1]) >= 2 * size[1]:
                continue  # reduced by the inverse DCT
            right = np.asarray(image.crop(box).resize(size, Image.Resampling.BILINEAR))
            wrong = np.abs(tile(data, box, size).astype(int) - right)
            assert wrong.max() <= 2, (box, size)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("flip", [False, True])
def test_orientation_and_flip(orientation: int, flip: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo(90, 60), quality=95, exif=exif)
    upright = Image.fromarray(decode(data))
    box = (5, 11, 53, 58)
    right = upright.crop(box)
    found = tile(data, box, flip=flip, orientation=orientation)
    mirrored = right.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else right
    assert np.array_equal(found, np.asarray(mirrored))
    right = right.resize((31, 40), Image.Resampling.BILINEAR)
    mirrored = right.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else right
    found = tile(data, box, (31, 40), flip=flip, orientation=orientation)
    assert np.abs(found.astype(int) - np.asarray(mirrored)).max() <= 2


def test_centre_tiles_are_resize_then_crop() -> None:
    for width, height in [(90, 60), (61, 97), (40, 40)]:
        data = encode(photo(width, height), quality=95, subsampling=0)
        out = np.empty((1, 28, 28, 3), np.uint8)
        fill([data], centre_tiles([(width, height)], resize_px=32, size_px=28), out)
        scale = 32 / min(width, height)
        size = (max(32, round(width * scale)), max(32, round(height * scale)))
        image = Image.fromarray(decode(data)).resize(size, Image.Resampling.BILINEAR)
        left, top = (size[0] - 28) // 2, (size[1] - 28) // 2
        right = np.asarray(image.crop((left, top, left + 28, top + 28)))
        # Without a reduced decode: 2; at half size the filter is another one.
        assert np.abs(out[0].astype(int) - right).max() <= (2 if min(width, height) < 64 else 40)


def random_crops(
    files: list[Path], *, size_px: int = 224
) -> tuple[list[bytes], NDArray[np.void], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    blobs = [file.read_bytes() for file in files]
    infos = [read_info(data) for data in blobs]
    sizes = np.array([(info.width_px, info.height_px) for info in infos], dtype=np.int32)
    keys = np.arange(len(blobs), dtype=np.uint64)
    draws = random_draws(keys, seed=0, epoch=0, n_draws=40)
    boxes = random_boxes(sizes, draws, scale=(0.08, 1))
    flips = generator.random(len(blobs)) < 0.5
    turns = np.array([info.orientation for info in infos])
    return blobs, crop_tiles(boxes, flip=flips, orientation=turns), boxes


def compare_with_pillow(files: list[Path]) -> NDArray[np.float64]:
    """PSNR of each file's tile against Pillow's full decode and resize."""
    blobs, tiles, boxes = random_crops(files)
    out = np.empty((len(blobs), 224, 224, 3), np.uint8)
    status = fill(blobs, tiles, out, n_threads=2)
    found = []
    for i, data in enumerate(blobs):
        image = Image.fromarray(decode(data)).crop(tuple(boxes[i].tolist()))
        image = image.resize((224, 224), Image.Resampling.BILINEAR)
        if tiles["flip"][i]:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        right = np.asarray(image)
        found.append(psnr(out[i], right))
        width, height = boxes[i, 2:] - boxes[i, :2]
        if min(width, height) < 448:
            assert np.abs(out[i].astype(int) - right).max() <= 2, files[i]
    assert (status == BY_KERNEL).mean() > 0.99
    return np.array(found)


def test_real_photos(data_folder: Path) -> None:
    originals = sorted((data_folder / "imagenet_val" / "images").glob("*.JPEG"))[::6]
    small = sorted((data_folder / "imagenette").rglob("*.JPEG"))[::100]
    found = compare_with_pillow([*originals, *small])
    assert found.mean() > 50
    assert found.min() > 35


@pytest.mark.slow
def test_all_real_photos(data_folder: Path) -> None:
    originals = compare_with_pillow(sorted((data_folder / "imagenet_val/images").glob("*.JPEG")))
    assert originals.mean() > 55
    assert originals.min() > 38
    small = sorted((data_folder / "imagenette").rglob("*.JPEG"))
    assert compare_with_pillow(small).mean() > 55


# ---- layouts ----


def test_layouts() -> None:
    data = [encode(photo(80, 60, seed=seed), quality=90) for seed in range(3)]
    tiles = crop_tiles([[3, 4, 70, 50]] * 3, flip=[False, True, False])
    pixels = np.empty((3, 32, 40, 3), np.uint8)
    fill(data, tiles, pixels)
    floats = np.empty((3, 3, 32, 40), np.float32)
    fill(data, tiles, floats, layout="float32", mean=MEAN, std=STD)
    exact = (pixels / 255.0 - MEAN) / STD
    assert np.array_equal(floats, exact.transpose(0, 3, 1, 2).astype(np.float32))
    halves = np.empty((3, 3, 32, 40), np.uint16)
    fill(data, tiles, halves, layout="bfloat16", mean=MEAN, std=STD)
    rounded = (halves.astype(np.uint32) << 16).view(np.float32)
    low = (floats.view(np.uint32) & 0xFFFF0000).view(np.float32)
    high = ((floats.view(np.uint32) & 0xFFFF0000) + 0x10000).view(np.float32)
    assert ((rounded == low) | (rounded == high)).all()
    assert (
        np.abs(rounded - floats) <= np.minimum(np.abs(low - floats), np.abs(high - floats))
    ).all()
    torch = pytest.importorskip("torch")
    assert torch.equal(
        torch.from_numpy(halves).view(torch.bfloat16),
        torch.from_numpy(floats).to(torch.bfloat16),
    )


def test_grey_output_and_grey_files() -> None:
    colour, grey = encode(photo(64, 48)), encode(photo(64, 48).convert("L"))
    tiles = crop_tiles([[0, 0, 64, 48]] * 2)
    three = np.empty((2, 48, 64, 3), np.uint8)
    one = np.empty((2, 48, 64, 1), np.uint8)
    assert fill([colour, grey], tiles, three).tolist() == [BY_KERNEL] * 2
    assert fill([colour, grey], tiles, one).tolist() == [BY_KERNEL] * 2
    assert (three[1] == three[1, :, :, :1]).all()
    for i in range(2):
        assert np.array_equal(one[i, :, :, 0], np.asarray(Image.fromarray(three[i]).convert("L")))
    floats = np.empty((2, 1, 48, 64), np.float32)
    fill([colour, grey], tiles, floats, layout="float32")
    assert np.array_equal(floats[:, 0], (one[..., 0] / 255.0).astype(np.float32))


def test_buffers_of_every_kind(tmp_path: Path) -> None:
    import mmap

    data = encode(photo(64, 48))
    file = tmp_path / "shard"
    file.write_bytes(b"x" * 100 + data + b"y" * 100)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as shard:
        buffers: list[kernel.Buffer] = [data, bytearray(data), memoryview(data)]
        buffers += [(shard, 100, len(data)), (memoryview(shard), 100, len(data))]
        out = np.empty((5, 48, 64, 3), np.uint8)
        assert not fill(buffers, crop_tiles([[0, 0, 64, 48]] * 5), out).any()
        del buffers
    assert all(np.array_equal(one, out[0]) for one in out)


# ---- what Pillow does, and errors ----


def test_others_are_pillows() -> None:
    image = photo(64, 48)
    png, cmyk = io.BytesIO(), encode(image.convert("CMYK"))
    image.save(png, "PNG")
    for data in (png.getvalue(), cmyk):
        assert np.array_equal(tile(data, (4, 5, 60, 40), by=BY_PILLOW), decode(data)[5:40, 4:60])
    # The rows of this tile are whole, but the file is cut short: Pillow does not take it.
    with pytest.raises(DamagedImage):
        tile(encode(image)[:-2], (4, 5, 60, 20))


def outcome(data: bytes, box: tuple[int, int, int, int], size: tuple[int, int]) -> object:
    out = np.zeros((1, size[1], size[0], 3), np.uint8)
    try:
        fill([data], crop_tiles([box]), out)
    except ImagetreeError as error:
        return type(error), getattr(error, "reason_code", "")
    return out


def damaged(generator: np.random.Generator, data: bytes) -> bytes:
    """The file with up to three bits flipped, half of them in the headers, perhaps cut short."""
    raw = bytearray(data)
    for _ in range(int(generator.integers(0, 4))):
        end = len(raw) if generator.random() < 0.5 else min(700, len(raw))
        raw[int(generator.integers(end))] ^= 1 << int(generator.integers(8))
    if generator.random() < 0.2:
        raw = raw[: int(generator.integers(2, len(raw)))]
    return bytes(raw)


def compare_damaged(monkeypatch: pytest.MonkeyPatch, *, seed: int, n_files: int) -> None:
    """Damaged files have the same outcome with and without the kernel."""
    generator = np.random.default_rng(seed)
    image = photo(96, 64)
    whole = [sampled_jpeg(image, factors=one, restart_interval=2) for one in SAMPLINGS.values()]
    whole += [
        encode(image, progressive=True),
        encode(image, quality=50),
        encode(image.convert("L")),
    ]
    kinds = set()
    for _ in range(n_files):
        data = damaged(generator, whole[int(generator.integers(len(whole)))])
        box = some_box(generator, 96, 64)
        size = (box[2] - box[0], box[3] - box[1])
        found = outcome(data, box, size)
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "_absence", "for this test")
            right = outcome(data, box, size)
        kinds.add(type(right))
        assert np.array_equal(found, right), (box, data)  # type: ignore[arg-type]
    assert kinds == {tuple, np.ndarray}


def test_damaged_files_have_pillows_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_damaged(monkeypatch, seed=0, n_files=1000)


@pytest.mark.slow
def test_many_damaged_files_have_pillows_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_damaged(monkeypatch, seed=1, n_files=50_000)


def test_no_tables_are_lent_between_files() -> None:
    data = encode(photo(64, 48))
    without = data.replace(b"\xff\xdb", b"\xff\xec")  # the quantisation tables become comments
    tile(data, (0, 0, 64, 48))
    with pytest.raises(DamagedImage):
        tile(without, (0, 0, 64, 48))


def test_bad_images_are_the_callers_to_judge() -> None:
    good = encode(photo(64, 48))
    tiles = crop_tiles([[0, 0, 64, 48]] * 4)
    files = [good, good[:300], b"no image", good]
    out = np.full((4, 48, 64, 3), 7, np.uint8)
    with pytest.raises(DamagedImage) as caught:
        fill(files, tiles, out)
    assert caught.value.reason_code == "truncated"
    bad: list[tuple[int, str]] = []
    status = fill(files, tiles, out, on_bad=lambda i, error: bad.append((i, error.code)))
    assert status.tolist() == [BY_KERNEL, BAD, BAD, BY_KERNEL]
    assert bad == [(1, "damaged_image"), (2, "damaged_image")]
    assert not out[1:3].any()
    assert np.array_equal(out[0], out[3])


@pytest.mark.parametrize(
    ("box", "orientation"),
    [
        ((0, 0, 65, 48), 1),
        ((0, 0, 64, 49), 1),
        ((-1, 0, 64, 48), 1),
        ((5, 5, 5, 9), 1),
        ((0, 0, 64, 48), 6),
        ((0, 0, 64, 48), -1),
        ((0, 0, 64, 48), 9),
    ],
)
def test_tiles_that_a_picture_does_not_have(
    box: tuple[int, int, int, int], orientation: int
) -> None:
    out = np.empty((1, 8, 8, 3), np.uint8)
    with pytest.raises(InvalidInput):
        fill([encode(photo(64, 48))], crop_tiles([box], orientation=orientation), out)


def test_arguments_that_do_not_fit() -> None:
    data, tiles = encode(photo(64, 48)), crop_tiles([[0, 0, 64, 48]])
    good = np.empty((1, 8, 8, 3), np.uint8)
    calls: list[Callable[[], object]] = [
        lambda: fill([data, data], tiles, good),
        lambda: fill([data], tiles, good.astype(np.float32)),
        lambda: fill([data], tiles, good[:, ::2]),
        lambda: fill([data], tiles, np.empty((1, 8, 8, 2), np.uint8)),
        lambda: fill([data], tiles, np.empty((1, 0, 8, 3), np.uint8)),
        lambda: fill([data], tiles, good, layout="float32"),
        lambda: fill([data], tiles, good, n_threads=0),
        lambda: fill([data], tiles, good, engine="fast"),  # type: ignore[arg-type]
        lambda: fill([(data, 5, len(data))], tiles, good),
        lambda: fill([(data, -5, 20)], tiles, good),
    ]
    for call in calls:
        with pytest.raises(InvalidInput):
            call()
    assert fill([], crop_tiles(np.empty((0, 4))), np.empty((0, 8, 8, 3), np.uint8)).size == 0


def test_limits_hold() -> None:
    data, tiles = encode(photo(64, 48)), crop_tiles([[0, 0, 8, 8]])
    out = np.empty((1, 8, 8, 3), np.uint8)
    for limits in (Limits(max_pixels=64 * 48 - 1), Limits(max_bytes=len(data) - 1)):
        with pytest.raises(DamagedImage, match="more than"):
            fill([data], tiles, out, limits=limits)
    assert fill([data], tiles, out, limits=Limits(max_pixels=64 * 48, max_bytes=len(data))) == 0


# ---- the same bytes, however many do it ----


def batch(n_images: int = 24) -> tuple[list[bytes], NDArray[np.void]]:
    files = [encode(photo(200 + i, 150, seed=i), quality=90) for i in range(n_images)]
    return files, crop_tiles([[i, 3, 150, 140 - i] for i in range(n_images)])


def test_threads_do_not_change_a_byte() -> None:
    files, tiles = batch()
    outs = []
    for n_threads in (1, 2, 4):
        out = np.empty((len(files), 96, 96, 3), np.uint8)
        fill(files, tiles, out, n_threads=n_threads)
        outs.append(out)
    assert np.array_equal(outs[0], outs[1])
    assert np.array_equal(outs[0], outs[2])


def test_many_callers_at_once() -> None:
    files, tiles = batch(8)
    right = np.empty((8, 64, 64, 3), np.uint8)
    fill(files, tiles, right)

    def once(_: int) -> bool:
        out = np.empty_like(right)
        fill(files, tiles, out, n_threads=3)
        return np.array_equal(out, right)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(once, range(60)))


def _filled(out: NDArray[np.uint8], queue: Any) -> None:
    files, tiles = batch(8)
    again = np.empty_like(out)
    fill(files, tiles, again, n_threads=4)
    queue.put(bool(np.array_equal(again, out)))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    files, tiles = batch(8)
    out = np.empty((8, 64, 64, 3), np.uint8)
    fill(files, tiles, out, n_threads=4)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_filled, args=(out, queue))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert queue.get()


_DIGEST = """
import hashlib, sys
import numpy as np
from imagetree.images import kernel
from imagetree.images.decode import read_info
from tests.unit.images.test_kernel import batch
files, tiles = batch(12)
digest = hashlib.sha256()
for side in (40, 96, 131, 400):
    out = np.empty((len(files), side, side + 3, 3), np.uint8)
    kernel.fill(files, tiles, out, n_threads=2)
    digest.update(out)
for data in files:
    digest.update(kernel.thumbnail_and_grey(data, read_info(data), side_px=32)[1])
sys.stdout.write(f"{kernel.instructions()} {digest.hexdigest()}")
"""


def test_instructions_do_not_change_a_byte() -> None:
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


# ---- without the kernel ----


@pytest.mark.no_kernel
def test_without_kernel_all_is_pillows_and_it_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel, "_absence", "for this test")
    kernel._say_that_it_is_slow.cache_clear()
    assert kernel.instructions() == ""
    files, tiles = batch(4)
    out = np.empty((4, 3, 96, 96), np.float32)
    for _ in range(2):
        status = fill(files, tiles, out, layout="float32", mean=MEAN, std=STD, n_threads=2)
        assert status.tolist() == [BY_PILLOW] * 4
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "native kernel" in caplog.text
    monkeypatch.undo()
    kernel._say_that_it_is_slow.cache_clear()
    if kernel.available():
        again = np.empty_like(out)
        fill(files, tiles, again, layout="float32", mean=MEAN, std=STD)
        assert np.abs(out - again).max() <= 2.01 / 255 / min(STD)


# ---- what collecting needs ----


def test_prepared_images_are_pillows(monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> None:
    files = sorted((data_folder / "imagenet_val" / "images").glob("*.JPEG"))[::20]
    files += sorted((data_folder / "imagenette").rglob("*.JPEG"))[::500]
    blobs = [file.read_bytes() for file in files]
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        blobs.append(encode(photo(700 + turn, 401, seed=turn), exif=exif))
    blobs += [encode(photo(130, 64)), encode(photo(900, 70)), encode(photo(300, 200).convert("L"))]
    for data in blobs:
        assert kernel.thumbnail_and_grey(data, read_info(data), side_px=32) is not None
        found = prepare(data)
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "_absence", "for this test")
            right = prepare(data)
        assert (found.sha256, found.info) == (right.sha256, right.info)
        assert hamming(found.fingerprint, right.fingerprint) == 0
        assert psnr(decode(found.thumbnail), decode(right.thumbnail)) > 40


def test_what_is_no_plain_jpeg_is_prepared_by_pillow() -> None:
    small, whole = encode(photo(50, 200)), encode(photo(200, 200))
    assert kernel.thumbnail_and_grey(small, read_info(small), side_px=32) is None
    assert read_info(prepare(small).thumbnail).format == "PNG"
    cmyk = encode(photo(200, 200).convert("CMYK"))
    assert kernel.thumbnail_and_grey(cmyk, read_info(cmyk), side_px=32) is None
    cut = whole[: len(whole) // 2]
    with pytest.raises(DamagedImage):
        prepare(cut)
