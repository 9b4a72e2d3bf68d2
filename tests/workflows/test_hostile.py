"""What strangers put into folders and archives: a row each, and the rest is stored."""

from __future__ import annotations

import errno
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.misbehaving import photo

from imagetree.core.errors import InvalidInput
from imagetree.database import Database

WNID = "n02091134"


@pytest.fixture
def db(catalog_url: str, tmp_path: Path, wordnet_file: Path) -> Iterator[Database]:
    catalog = "" if catalog_url.startswith("sqlite") else catalog_url
    with Database.create(tmp_path / "test.imagetree", catalog=catalog) as made:
        yield made


def png_bomb(side_px: int = 50_000) -> bytes:
    """A black PNG whose pixels would take 310 MB packed as bits, and 7.5 GB as colours."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        packed = kind + data
        return struct.pack(">I", len(data)) + packed + struct.pack(">I", zlib.crc32(packed))

    packer = zlib.compressobj(9)
    row = bytes(1 + side_px // 8)
    data = b"".join(packer.compress(row * 500) for _ in range(side_px // 500)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def codes(db: Database) -> dict[str, str]:
    return {str(row["location"]).rsplit("/", 1)[-1]: row["code"] for row in db.rejects()}


def assert_sound(db: Database) -> None:
    assert db.check().sound
    assert db.replay_check() == []


def test_a_folder_of_all_that_is_bad(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / WNID
    folder.mkdir(parents=True)
    whole = photo(0)
    for name, data in {
        "a.jpg": whole,
        "cut.jpg": photo(1)[:700],
        "bomb.png": png_bomb(),
        "text.jpg": b"no photo",
        "zero.jpg": b"",
        "x" * 251 + ".jpg": photo(2),
        "new\nline\x1b[31m.jpg": photo(3),
        os.fsdecode(b"caf\xe9.jpg"): photo(4),
    }.items():
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "round").symlink_to(folder.parent)
    (folder / "out.jpg").symlink_to("/etc/passwd")
    done = db.collect(folder.parent)
    assert (done.n_stored, done.n_rejected) == (4, 8)
    assert codes(db) == {
        "cut.jpg": "truncated",
        "bomb.png": "too_many_pixels",
        "text.jpg": "not_an_image",
        "zero.jpg": "empty",
        "fifo.jpg": "not_a_file",
        "loop.jpg": "not_a_file",
        "round": "not_a_file",
        "out.jpg": "unsafe_link",
    }
    again = db.collect(folder.parent)
    assert (again.n_stored, again.n_known, again.n_rejected) == (0, 4, 8)
    assert_sound(db)


def test_class_folders_with_names_that_are_no_text(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos" / os.fsdecode(b"whippet\xe9")
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(photo(0))
    with pytest.raises(InvalidInput, match=r"whippet\\xe9: no synset"):
        db.collect(folder.parent, layout="imagefolder")
    table = tmp_path / "mine.csv"
    table.write_text(f"name,wnid\nwhippet\\xe9,{WNID}\n")
    done = db.collect(folder.parent, layout="imagefolder", classes=table)
    assert done.n_stored == 1
    with pytest.raises(InvalidInput, match="cannot be written down"):
        db.collect(folder, layout="flat")


def test_a_folder_that_may_not_be_read(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, wnid in enumerate((WNID, "n02099601", "n02106662")):
        (tmp_path / "photos" / wnid).mkdir(parents=True)
        (tmp_path / "photos" / wnid / "a.jpg").write_bytes(photo(number))
    locked = tmp_path / "photos" / "n02099601"
    real = os.scandir

    # Permissions do not hold root back, who may run this.
    def scandir(path: Any = ".") -> Any:
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = db.collect(tmp_path / "photos")
    assert (done.n_stored, done.n_rejected) == (2, 1)
    assert codes(db) == {"n02099601": "unreadable"}
    with pytest.raises(InvalidInput, match="cannot be read: Permission denied"):
        db.collect(locked, layout="flat")


def test_a_tar_of_all_that_is_bad(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as tar:

        def add(name: str, data: bytes = b"", **fields: Any) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))

        add(f"{WNID}/a.jpg", photo(0))
        add("../../up.jpg", photo(1))
        add("/etc/absolute.jpg", photo(2))
        add(f"{WNID}/link.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(f"{WNID}/hard.jpg", type=tarfile.LNKTYPE, linkname=f"{WNID}/a.jpg")
        add(f"{WNID}/fifo.jpg", type=tarfile.FIFOTYPE)
        add(f"{WNID}/caf\udce9.jpg", photo(3))
        add(f"{WNID}/" + "d/" * 500 + "deep.jpg", photo(4))
        add(f"{WNID}/bomb.png", png_bomb())
    done = db.collect(path)
    assert (done.n_stored, done.n_rejected) == (3, 6)
    assert codes(db) == {
        "up.jpg": "unsafe_path",
        "absolute.jpg": "unsafe_path",
        "link.jpg": "unsafe_link",
        "hard.jpg": "unsafe_link",
        "fifo.jpg": "unsafe_special",
        "bomb.png": "too_many_pixels",
    }
    assert not (tmp_path.parent / "up.jpg").exists()
    assert_sound(db)


def test_a_zip_bomb(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{WNID}/a.jpg", photo(0))
        packed.writestr(f"{WNID}/huge.jpg", bytes(50_000_000))
        packed.writestr(f"{WNID}/b.jpg", photo(1))
    done = db.collect(path)
    assert (done.n_stored, done.n_rejected) == (2, 1)
    assert codes(db) == {"huge.jpg": "archive_bomb"}


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
@pytest.mark.parametrize("data", [b"", b"no archive at all"])
def test_what_is_no_archive(db: Database, name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match="neither a tar nor a zip") as refused:
        db.collect(tmp_path / name)
    assert refused.value.hint


def test_folders_without_images(db: Database, tmp_path: Path) -> None:
    (tmp_path / "photos" / WNID).mkdir(parents=True)
    with pytest.raises(InvalidInput, match="holds no images"):
        db.collect(tmp_path / "photos")
    with pytest.raises(InvalidInput, match="is empty"):
        db.collect(tmp_path / "photos" / WNID)
