"""Folders, archives, digits: what is yielded, and what is refused with which code."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from imagetree.collect.archive import ArchiveFolder, ArchiveLimits
from imagetree.collect.digits import WNIDS, Digits
from imagetree.collect.folder import FlatFolder, ImageFolder
from imagetree.collect.source import Item, Rejected
from imagetree.core.errors import InvalidInput


def codes(items: list[Item | Rejected]) -> list[str]:
    return [one.code if isinstance(one, Rejected) else one.key for one in items]


def test_image_folder(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("n02084071/a.jpg", "cat/deep/b.jpg", "cat/.hidden", "loose.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"s")
    (root / "cat" / "link.jpg").symlink_to(tmp_path / "secret")
    source = ImageFolder(root)
    assert (source.labels(), source.wnids()) == ({"cat"}, {"n02084071"})
    found = sorted(codes(list(source.items())))
    assert found == ["cat/deep/b.jpg", "n02084071/a.jpg", "no_class", "unsafe_link"]
    assert "n02084071/a.jpg" not in codes(list(source.items(skip=lambda key: key[0] == "n")))


def test_a_folder_full_of_oddities_is_read_to_its_end(tmp_path: Path) -> None:
    breed = tmp_path / "n02084071"
    breed.mkdir()
    (breed / "a.jpg").write_bytes(b"whole")
    (breed / "loop.jpg").symlink_to(breed / "loop.jpg")
    (breed / "here").symlink_to(breed)
    (breed / "nowhere.jpg").symlink_to(breed / "absent.jpg")
    (breed / "inside.jpg").symlink_to(breed / "a.jpg")
    os.mkfifo(breed / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(breed / "door"))
        (breed / ("é" * 120 + ".jpg")).write_bytes(b"")
        Path(os.fsdecode(os.fsencode(breed) + b"/caf\xe9.jpg")).write_bytes(b"latin")
        found = list(ImageFolder(tmp_path).items())
    rejects = {Path(one.location).name: one.code for one in found if isinstance(one, Rejected)}
    odd = ("door", "fifo.jpg", "here", "loop.jpg", "nowhere.jpg")
    assert rejects == dict.fromkeys(odd, "not_a_file")
    sizes = sorted(one.size_bytes or 0 for one in found if isinstance(one, Item))
    assert sizes == [0, 5, 5, 5]


def test_splits_above_the_class_folders(tmp_path: Path) -> None:
    for name in ("train/cat/a.jpg", "val/cat/deep/a.jpg", "val/n02084071/b.jpg", "train/loose.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = ImageFolder(tmp_path)
    assert (source.labels(), source.wnids()) == ({"cat"}, {"n02084071"})
    found = {one.key: one.label_text for one in source.items() if isinstance(one, Item)}
    assert found == {
        "train/cat/a.jpg": "cat",
        "val/cat/deep/a.jpg": "cat",
        "val/n02084071/b.jpg": "n02084071",
    }
    assert "no_class" in codes(list(source.items()))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["train/steam/a.jpg", "train/b.jpg"], {"train"}),
        (["train/n02084071/a.jpg"], {"n02084071"}),
        (["train/a.jpg", "val/b.jpg"], {"train", "val"}),
        (["train/steam/a.jpg", "bus/b.jpg"], {"train", "bus"}),
    ],
)
def test_a_train_may_be_a_class(names: list[str], wanted: set[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = ImageFolder(tmp_path)
    assert source.labels() | source.wnids() == wanted


def test_real_splits(data_folder: Path) -> None:
    source = ImageFolder(data_folder / "imagenette")
    assert (len(source.wnids()), source.labels()) == (10, set())
    assert not any(isinstance(one, Rejected) for one in source.items())


def test_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="one sub-folder a class"):
        list(ImageFolder(tmp_path).items())


def test_flat_folder_reports_rows_and_files_without_the_other(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "labels.csv"
    table.write_text("filename,label\na.jpg,cat\nc.jpg,dog\n")
    assert codes(list(FlatFolder(tmp_path, table).items())) == ["a.jpg", "no_row", "no_file"]
    table.write_text("filename,label\na.jpg,cat\na.jpg,dog\n")
    with pytest.raises(InvalidInput, match=r"line 3: a\.jpg stands there twice"):
        FlatFolder(tmp_path, table).labels()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_tar_refuses_what_is_unsafe_and_yields_the_rest(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "photos.tar"
    with tarfile.open(path, mode) as tar:
        for name in ("cat/a.jpg", "../evil.jpg", "/cat/abs.jpg", "cat/b.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("cat/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    source = ArchiveFolder(path)
    wanted = ["cat/a.jpg", "unsafe_path", "unsafe_path", "cat/b.jpg", "unsafe_link"]
    assert codes(list(source.items())) == wanted
    assert source.labels() == {"cat"}


def test_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/a.jpg", b"abc")
        archive.writestr("cat/bomb.jpg", bytes(20_000_000))
    assert codes(list(ArchiveFolder(path).items())) == ["cat/a.jpg", "archive_bomb"]


def test_damaged_zip_directory(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.jpg", b"abc")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 2] = 0
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="damaged zip"):
        ArchiveFolder(path)


def test_a_damaged_member_of_a_zip_is_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.jpg", b"abc")
        archive.writestr("cat/b.jpg", b"def")
    path.write_bytes(path.read_bytes().replace(b"abc", b"abd", 1))
    assert codes(list(ArchiveFolder(path).items())) == ["damaged_archive", "cat/b.jpg"]


def photos_tar(path: Path, mode: str, sizes: dict[str, int]) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, size in sizes.items():
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
    return path


def test_limits_of_a_whole_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {f"cat/{n}.jpg": 400_000 for n in range(5)}
    path = photos_tar(tmp_path / "photos.tgz", "w:gz", sizes)
    assert len(list(ArchiveFolder(path).items())) == 5
    for limits, message in (
        (ArchiveLimits(max_members=4), "over 4 members"),
        (ArchiveLimits(max_total_bytes=1_900_000), "over 1,900,000 bytes"),
    ):
        with pytest.raises(InvalidInput, match=message):
            list(ArchiveFolder(path, limits=limits).items())
        with pytest.raises(InvalidInput, match=message):
            ArchiveFolder(path, limits=limits).labels()
    monkeypatch.setattr("imagetree.collect.archive.FREE_BYTES", 1_000_000)
    with pytest.raises(InvalidInput, match="200 times its size"):
        list(ArchiveFolder(path).items())


def test_a_tar_with_a_damaged_header_does_not_end_silently(tmp_path: Path) -> None:
    path = photos_tar(tmp_path / "photos.tar", "w", {"cat/a.jpg": 600, "cat/b.jpg": 600})
    data = bytearray(path.read_bytes())
    second = data.index(b"cat/b.jpg")
    data[second : second + 8] = b"garbage!"
    path.write_bytes(data)
    assert codes(list(ArchiveFolder(path).items())) == ["cat/a.jpg", "damaged_archive"]


def test_a_tar_header_that_is_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "photos.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("cat/a.jpg"))
        bomb = tarfile.TarInfo("././@PaxHeader")
        bomb.type, bomb.size = tarfile.XHDTYPE, 50_000_000
        tar.addfile(bomb, io.BytesIO(bytes(bomb.size)))
    assert codes(list(ArchiveFolder(path).items())) == ["cat/a.jpg", "damaged_archive"]


def test_digits() -> None:
    items = [one for one in Digits().items() if isinstance(one, Item)]
    assert len(items) == 1797
    assert items[3].wnid == WNIDS[3]
