"""Packed copies as files: whole or invisible, the same bytes however they came about."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagetree.core.errors import Busy, IntegrityFailure, NotFound
from imagetree.images.place_index import PlaceIndex
from imagetree.images.shard_reading import Place
from imagetree.release import packed_writer
from imagetree.release.packed import INDEX, Packed, PackedCopy, find_copies, find_folders
from imagetree.release.packed_writer import PackedImage, PackedWriter, remove_copy
from imagetree.release.record import ReleaseImage

FACTS: dict[str, Any] = {
    "release_id": "r" * 64,
    "max_side_px": 400,
    "quality": 90,
    "splits": ["train", "val"],
    "classes": ["n01", "n02"],
    "made_with": {"pillow": "1"},
}
NAME = "packed-400-q90"


def images_of(n: int = 20) -> list[PackedImage]:
    generator = np.random.default_rng(3)
    made = []
    for i in range(n):
        data = generator.bytes(int(generator.integers(1, 3000)))
        made.append(
            PackedImage(
                sha256=hashlib.sha256(data).hexdigest(),
                split="train" if i < n - 5 else "val",
                data=data,
                extension="jpg",
                width_px=i + 1,
                height_px=2 * i + 1,
                kept=i % 4 == 0,
                label=i % 2 if i < n - 5 else None,
            )
        )
    return made


def write(folder: Path, images: list[PackedImage], *, shard_bytes: int = 12_000) -> None:
    with PackedWriter.open(folder, FACTS, shard_bytes=shard_bytes) as writer:
        for image in images[writer.n_done :]:
            writer.add(image)
        writer.finish()


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def record(image: PackedImage) -> ReleaseImage:
    return ReleaseImage(
        sha256=image.sha256, split=image.split, width_px=9, height_px=9, length=9, labels=()
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    images = images_of()
    write(tmp_path / NAME, images)
    source = Packed(tmp_path / NAME)
    assert len(source) == 20
    turned = images[::-3]
    assert source.read_many([one.sha256 for one in turned]) == [one.data for one in turned]
    sizes = source.sizes([record(one) for one in turned])
    assert sizes.tolist() == [[one.width_px, one.height_px] for one in turned]
    assert source.holds([turned[0].sha256, "0" * 64]).tolist() == [True, False]
    with pytest.raises(NotFound, match="0000"):
        source.read_many(["0" * 64])
    facts = source.facts
    assert (facts.n_images, facts.n_kept, facts.splits) == (20, 5, {"train": 15, "val": 5})
    assert source.description == f"{NAME} ({facts.copy_id[:12]})"
    assert facts.n_bytes == sum(path.stat().st_size for path in (tmp_path / NAME).glob("*.tar"))


def test_the_shards_are_tars_of_samples(tmp_path: Path) -> None:
    """WebDataset groups neighbouring members by the name before the first point."""
    images = images_of()
    write(tmp_path / NAME, images)
    found: dict[str, dict[str, bytes]] = {}
    names = Packed(tmp_path / NAME).facts.shards
    assert len(names) > 2
    assert [one.rpartition("-")[0] for one in names] == ["train"] * (len(names) - 1) + ["val"]
    for name in names:
        last = ""
        with tarfile.open(tmp_path / NAME / name) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
                assert key == last or key not in found, "members of a sample are apart"
                stream = tar.extractfile(member)
                assert stream is not None
                found.setdefault(key, {})[extension] = stream.read()
                last = key
    for image in images:
        wanted = {"jpg": image.data}
        if image.label is not None:
            wanted["cls"] = str(image.label).encode()
        assert found[image.sha256] == wanted


@pytest.mark.parametrize("commits", [(), (1,), (7, 8, 15), tuple(range(20))])
def test_interrupted_work_gives_the_same_bytes(tmp_path: Path, commits: tuple[int, ...]) -> None:
    images = images_of()
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
    write(tmp_path / "whole" / NAME, images)
    folder = tmp_path / "torn" / NAME
    for n_committed in commits:
        with PackedWriter.open(folder, FACTS, shard_bytes=12_000) as writer:
            for image in images[writer.n_done : n_committed]:
                writer.add(image)
            writer.commit()
            for image in images[n_committed : n_committed + 3]:
                writer.add(image)  # never committed: as good as not written
        assert find_copies(tmp_path / "torn") == []
        part = tmp_path / "torn" / f".{NAME}.part"
        with (part / packed_writer.JOURNAL).open("ab") as stream:
            stream.write(b'{"rows": [["torn')
    write(folder, images)
    assert bytes_of(folder) == bytes_of(tmp_path / "whole" / NAME)
    assert find_folders(tmp_path / "torn") == [folder]


def test_other_facts_start_anew(tmp_path: Path) -> None:
    images = images_of()
    with PackedWriter.open(tmp_path / NAME, FACTS) as writer:
        writer.add(images[0])
        writer.commit()
    with PackedWriter.open(tmp_path / NAME, FACTS | {"made_with": {"pillow": "2"}}) as writer:
        assert writer.n_done == 0


def test_rejects_count_as_done(tmp_path: Path) -> None:
    images = images_of()
    with PackedWriter.open(tmp_path / NAME, FACTS) as writer:
        writer.add(images[0])
        writer.reject("1" * 64, "truncated", "cut short")
        writer.commit()
    with PackedWriter.open(tmp_path / NAME, FACTS) as writer:
        assert (writer.n_done, writer.n_packed) == (2, 1)
        writer.finish()
    facts = PackedCopy.read(tmp_path / NAME)
    assert facts.rejects == (("1" * 64, "truncated", "cut short"),)
    assert facts.description.endswith(", 1 could not be packed)")
    json.dumps(facts.as_dict())


def test_one_process_packs_a_release(tmp_path: Path) -> None:
    with PackedWriter.open(tmp_path / NAME, FACTS):
        with pytest.raises(Busy, match="packs release"):
            with PackedWriter.open(tmp_path / "packed-200-q90", FACTS):
                pass


def test_removing_takes_unfinished_work_too(tmp_path: Path) -> None:
    images = images_of()
    write(tmp_path / NAME, images)
    with PackedWriter.open(tmp_path / "packed-200-q90", FACTS) as writer:
        writer.add(images[0])
    assert [one.name for one in find_folders(tmp_path)] == [".packed-200-q90.part", NAME]
    assert remove_copy(tmp_path, NAME) > 0
    assert remove_copy(tmp_path, "packed-200-q90") > 0
    assert list(tmp_path.iterdir()) == []
    assert remove_copy(tmp_path, NAME) == 0


def test_copies_have_files_of_their_own(tmp_path: Path) -> None:
    images = images_of()
    write(tmp_path / NAME, images)
    source = Packed(tmp_path / NAME)
    source.read_many([images[0].sha256])
    for other in (copy.copy(source), pickle.loads(pickle.dumps(source))):
        assert other.read_many([images[3].sha256]) == [images[3].data]
        assert other._reader is not source._reader


@pytest.mark.parametrize("broken", [b"", b"no archive"])
def test_a_damaged_copy_is_told(tmp_path: Path, broken: bytes) -> None:
    write(tmp_path / NAME, images_of())
    (tmp_path / NAME / INDEX).write_bytes(broken)
    with pytest.raises(IntegrityFailure, match="cannot be read"):
        Packed(tmp_path / NAME)
    (tmp_path / NAME / "packed.json").write_bytes(broken)
    with pytest.raises(IntegrityFailure, match="make it again"):
        find_copies(tmp_path)
    with pytest.raises(NotFound):
        PackedCopy.read(tmp_path / "packed-1-q1")


def test_a_large_index_opens_at_once(tmp_path: Path) -> None:
    n_images = 100_000
    write(tmp_path / NAME, images_of())
    hashes = np.random.default_rng(0).bytes(32 * n_images)
    names = np.sort(np.frombuffer(hashes, "S32"))
    index = PlaceIndex(
        sha256=names,
        shards=("train-000000.tar",),
        shard=np.zeros(n_images, np.int32),
        offset=np.arange(n_images, dtype=np.int64),
        length=np.ones(n_images, np.int32),
    )
    packed_writer.write_index(tmp_path / NAME / INDEX, index, np.ones((n_images, 2), np.int32))
    wanted = [one.hex() for one in names.tolist() if len(one) == 32]
    started = time.process_time()
    source = Packed(tmp_path / NAME)
    assert source.holds(wanted).all()
    # 0.05 s where it was measured: only a return to Python objects would need a second.
    assert time.process_time() - started < 1.0


def test_hashes_with_zeros_are_found() -> None:
    """Fixed bytes of numpy drop zeros at the end, which must not make two hashes one."""
    names = ["00" * 32, "ab" + "00" * 31, "ab00" + "01" * 30]
    places = [(one, Place("a.tar", i, 1)) for i, one in enumerate(names)]
    index = PlaceIndex.of(places[::-1])
    assert [index.place(row).offset for row in index.rows(names)] == [0, 1, 2]
    assert index.find(["ab" + "01" * 31]).tolist() == [-1]
    assert PlaceIndex.of([]).find(names).tolist() == [-1, -1, -1]
