"""Photos stored again for training: the rules of what is kept, shrunk, coded and left out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw

from imagetree.core.errors import DamagedImage
from imagetree.images import kernel
from imagetree.images.decode import decode
from imagetree.images.recode import Recoded, recode
from imagetree.images.tiles import crop_tiles


def photo(tmp_path: Path, *, size_px: tuple[int, int] = (500, 300), seed: int = 1) -> Image.Image:
    return Image.open(draw(tmp_path / "photo.jpg", seed=seed, size_px=size_px)).copy()


def coded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def small(data: bytes, *, max_side_px: int = 400, quality: int = 90) -> Recoded:
    return recode(data, max_side_px=max_side_px, quality=quality)


def test_a_large_photo_is_shrunk_to_baseline_420(tmp_path: Path) -> None:
    image = photo(tmp_path)
    made = small(coded(image, quality=97, subsampling="4:4:4", progressive=True, comment="mine"))
    assert (made.width_px, made.height_px, made.extension, made.kept) == (400, 240, "jpg", False)
    opened = Image.open(io.BytesIO(made.data))
    assert opened.size == (400, 240)
    assert "progressive" not in opened.info
    assert [one[1:3] for one in opened.layer] == [(2, 2), (1, 1), (1, 1)]
    assert b"mine" not in made.data
    wanted = np.asarray(image.resize((400, 240), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(decode(made.data) - wanted).mean() < 2.0


def test_very_large_photos_are_decoded_smaller_and_still_right(tmp_path: Path) -> None:
    image = photo(tmp_path, size_px=(3200, 2400))
    made = small(coded(image, quality=95))
    wanted = np.asarray(image.resize((400, 300), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(decode(made.data) - wanted).mean() < 2.0


def test_exif_orientation_is_applied_and_dropped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    data = coded(photo(tmp_path), quality=95, exif=exif)
    made = small(data)
    assert (made.width_px, made.height_px) == (240, 400)
    assert Image.open(io.BytesIO(made.data)).getexif() == {}
    turned = Image.fromarray(decode(data)).resize((240, 400), Image.Resampling.LANCZOS)
    assert np.abs(decode(made.data) - np.asarray(turned, dtype=float)).mean() < 2.0


def test_a_small_baseline_jpeg_is_kept_without_its_metadata(tmp_path: Path) -> None:
    image = photo(tmp_path, size_px=(300, 200))
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    data = coded(image, quality=85, exif=exif, comment="mine", icc_profile=b"profile")
    made = small(data)
    assert (made.kept, made.width_px, made.height_px) == (True, 300, 200)
    assert not any(text in made.data for text in (b"Camera", b"mine", b"profile"))
    assert np.array_equal(decode(made.data), decode(data))


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 97, "subsampling": "4:4:4"},  # coding it again saves much more than a tenth
        {"quality": 85, "progressive": True},  # the fast decoder does not take it
    ],
)
def test_other_small_jpegs_are_coded_again(tmp_path: Path, options: dict[str, object]) -> None:
    data = coded(photo(tmp_path, size_px=(300, 200)), **options)
    made = small(data)
    assert (made.kept, made.width_px, made.height_px) == (False, 300, 200)
    assert np.abs(decode(made.data).astype(float) - decode(data)).mean() < 2.0


def test_grey_stays_one_component(tmp_path: Path) -> None:
    made = small(coded(photo(tmp_path).convert("L"), "PNG"))
    assert Image.open(io.BytesIO(made.data)).mode == "L"
    assert made.extension == "jpg"


def test_tiny_images_lose_nothing() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8), dtype=np.uint8)
    made = small(coded(Image.fromarray(pixels), "PNG"))
    assert (made.extension, made.width_px, made.height_px) == ("png", 8, 8)
    assert np.array_equal(decode(made.data, mode="L"), pixels)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_becomes_jpeg(tmp_path: Path, kind: str) -> None:
    made = small(coded(photo(tmp_path), kind))
    assert Image.open(io.BytesIO(made.data)).format == "JPEG"


def test_the_kernel_takes_what_it_makes(tmp_path: Path) -> None:
    if not kernel.available():
        pytest.skip("no native kernel")
    images = [photo(tmp_path), photo(tmp_path).convert("L"), photo(tmp_path).convert("CMYK")]
    made = [small(coded(one)) for one in images]
    out = np.empty((len(made), 64, 64, 3), np.uint8)
    tiles = crop_tiles([(0, 0, one.width_px, one.height_px) for one in made])
    status = kernel.fill([one.data for one in made], tiles, out, engine="own")
    assert status.tolist() == [kernel.BY_KERNEL] * len(made)


def test_damaged_images_are_told(tmp_path: Path) -> None:
    data = coded(photo(tmp_path))
    with pytest.raises(DamagedImage) as caught:
        small(data[: len(data) // 2])
    assert caught.value.reason_code == "truncated"
    with pytest.raises(DamagedImage):
        small(b"no image")
