"""Folders, archives, digits: what is yielded, and what is refused with which code."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from imagetree.collect.archive import ArchiveFolder
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


def test_digits() -> None:
    items = [one for one in Digits().items() if isinstance(one, Item)]
    assert len(items) == 1797
    assert items[3].wnid == WNIDS[3]
