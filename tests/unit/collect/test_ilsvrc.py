"""ImageNet's archives: a tar a synset, tars in a tar, validation images."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from imagetree.collect.ilsvrc import SynsetArchive, ValidationImages
from imagetree.collect.source import Item, Rejected
from imagetree.core.errors import InvalidInput


def tar_of(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def test_tar_of_tars(tmp_path: Path) -> None:
    dog = tar_of({"n02084071_1.JPEG": b"dog", "n02084071_2.JPEG": b"dog 2"})
    cat = tar_of({"n02121620_1.JPEG": b"cat"})
    path = tmp_path / "train.tar"
    path.write_bytes(tar_of({"n02084071.tar": dog, "x.txt": b"?", "n02121620.tar": cat}))
    source = SynsetArchive(path)
    items = list(source.items())
    found = [(one.wnid, one.data) for one in items if isinstance(one, Item)]
    assert found == [("n02084071", b"dog"), ("n02084071", b"dog 2"), ("n02121620", b"cat")]
    assert [one.code for one in items if isinstance(one, Rejected)] == ["not_a_synset"]
    assert source.wnids() == {"n02084071", "n02121620"}


def test_tar_of_one_synset(tmp_path: Path) -> None:
    path = tmp_path / "n02084071.tar"
    path.write_bytes(tar_of({"a.JPEG": b"dog", "../b.JPEG": b"evil"}))
    first, second = SynsetArchive(path).items()
    assert isinstance(first, Item)
    assert first.wnid == "n02084071"
    assert isinstance(second, Rejected)
    assert second.code == "unsafe_path"


def test_validation_images(tmp_path: Path) -> None:
    folder, truth = tmp_path / "val", tmp_path / "truth.txt"
    folder.mkdir()
    for name in ("b.JPEG", "a.JPEG"):
        (folder / name).write_bytes(b"x")
    truth.write_text("2\n1\n")
    synsets = ["n02084071", "n02121620"]
    items = list(ValidationImages(folder, truth, synsets=synsets).items())
    found = [(one.key, one.wnid) for one in items if isinstance(one, Item)]
    assert found == [("a.JPEG", "n02121620"), ("b.JPEG", "n02084071")]
    with pytest.raises(InvalidInput, match="line 1"):
        ValidationImages(folder, truth)
