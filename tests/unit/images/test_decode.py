"""Decoding: every mode looks right, every failure is DamagedImage with a code."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagetree.core.errors import DamagedImage
from imagetree.images.decode import STRIP_PX, Limits, decode, read_info
from imagetree.images.fingerprints import prepare


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def photo(width: int = 120, height: int = 80) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 2 % 256, y * 3 % 256, (x + y) % 256], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def code_of(data: bytes) -> str:
    with pytest.raises(DamagedImage) as caught:
        decode(data)
    return caught.value.reason_code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_format(kind: str) -> None:
    data = encode(photo(), kind)
    assert (read_info(data).format, decode(data).shape) == (kind, (80, 120, 3))
    wrong = np.abs(decode(data).astype(int) - np.asarray(photo()).astype(int)).mean()
    assert wrong < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_is_scaled(kind: str) -> None:
    grey = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    assert decode(encode(Image.fromarray(grey), kind))[0, :, 0].tolist() == [0, 100, 255]


def test_alpha_lies_on_white_and_palettes_and_cmyk_have_their_colours() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode(encode(clear, "PNG")).min() == 255
    palette = Image.new("RGB", (8, 8), (10, 200, 30)).quantize()
    assert decode(encode(palette, "PNG"))[0, 0].tolist() == [10, 200, 30]
    cmyk = decode(encode(Image.new("RGB", (16, 16), (250, 20, 20)).convert("CMYK"), "JPEG"))
    assert np.abs(cmyk[0, 0].astype(int) - [250, 20, 20]).max() < 12


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_recorded_and_applied(turn: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(photo(), "JPEG", exif=exif, quality=95)
    info = read_info(data)
    right = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (info.orientation, (info.width_px, info.height_px)) == (turn, right.size)
    assert np.array_equal(decode(data), np.asarray(right))


def bomb() -> bytes:
    """A PNG whose header says 50,000 x 50,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    parts = [
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (head, data, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_codes() -> None:
    jpeg = encode(photo(), "JPEG")
    assert code_of(b"") == "empty"
    assert code_of(b"a text file named .jpg\n" * 20) == "not_an_image"
    assert code_of(encode(photo(), "PPM")) == "unsupported_format"
    assert code_of(jpeg[: len(jpeg) // 2]) == "truncated"
    assert code_of(bomb()) == "too_many_pixels"
    with pytest.raises(DamagedImage, match="bytes"):
        decode(jpeg, limits=Limits(max_bytes=10))


@given(data=st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_hostile_bytes_give_an_array_or_damaged_image(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]))
    raw = bytearray(encode(photo(), kind))
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(1, len(raw)))]
    # Any other exception fails the test.
    with contextlib.suppress(DamagedImage):
        assert decode(bytes(raw), limits=Limits(max_pixels=1_000_000)).ndim == 3


def test_prepare_keeps_small_images_crisp(data_folder: Path) -> None:
    small = prepare(encode(photo(8, 8), "PNG"))
    assert read_info(small.thumbnail).format == "PNG"
    file = next((data_folder / "imagenette" / "val").glob("*/*.JPEG"))
    large = prepare(file.read_bytes())
    info = read_info(large.thumbnail)
    assert (info.format, min(info.width_px, info.height_px)) == ("JPEG", 160)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "I", "F"])
def test_a_tall_image_is_converted_in_strips_as_it_is_whole(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    shape = (STRIP_PX * 2 + 7, 9)
    bytes_ = generator.integers(0, 256, (*shape, 4), dtype=np.uint8)
    pixels = {
        "I;16": generator.integers(0, 65536, shape, dtype=np.uint16),
        "I": generator.integers(-5, 99_999, shape, dtype=np.int32),
        "F": generator.normal(size=shape).astype(np.float32),
    }
    image = Image.fromarray(pixels.get(mode, bytes_))
    image = image if mode in pixels else image.convert(mode)
    target = io.BytesIO()
    options = {"transparency": 3} if mode == "P" else {}
    image.save(target, "TIFF" if mode in ("I", "F") else "PNG", **options)
    strips = decode(target.getvalue())
    monkeypatch.setattr("imagetree.images.decode.STRIP_PX", 10**6)
    assert np.array_equal(strips, decode(target.getvalue()))
    assert strips.shape == (*shape, 3)
