"""Shards: what is written is read, torn tails are cut, whole members adopted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from imagetree.core.errors import Busy, IntegrityFailure, NotFound
from imagetree.images.shards import (
    Place,
    ShardReader,
    ShardSeries,
    ShardWriter,
    _header,
    remove,
    scan,
    verify,
)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fill(series: ShardSeries, blobs: list[bytes]) -> list[Place]:
    with series.writer(lambda shard: 0) as writer:
        places = [writer.append(sha(blob), blob) for blob in blobs]
        writer.flush()
    return places


BLOBS = [bytes([n]) * (100 * n + 1) for n in range(1, 30)]


def test_any_tool_opens_a_shard(tmp_path: Path) -> None:
    series = ShardSeries(tmp_path, seal_bytes=10_000)
    places = fill(series, BLOBS)
    reader = ShardReader(tmp_path)
    assert [reader.read(place) for place in places] == BLOBS
    assert len(series.paths()) > 2
    names = []
    for path in series.paths():
        with tarfile.open(path) as tar:
            names += tar.getnames()
        listed = subprocess.run(["tar", "-tf", path], check=True, capture_output=True, text=True)
        assert listed.stdout.split() == [member.name for member in scan(path)]
    assert names == [sha(blob) for blob in BLOBS]


@pytest.mark.parametrize("length", [0, 1, 512, 199_999_999, 8**11 - 1])
@pytest.mark.parametrize("name", ["ab" * 32, "removed/" + "cd" * 32])
def test_a_header_is_the_standard_librarys(name: str, length: int) -> None:
    for mtime in (0, 1_700_000_000):
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = length, mtime, 0o644
        assert _header(name, length, mtime=mtime) == info.tobuf(tarfile.GNU_FORMAT)


def test_a_torn_tail_is_cut_at_every_length(tmp_path: Path) -> None:
    fill(ShardSeries(tmp_path), BLOBS[:3])
    path = ShardSeries(tmp_path).paths()[0]
    whole = path.read_bytes()
    for cut in range(len(whole) - 1500, len(whole), 37):
        path.write_bytes(whole[:cut])
        assert fill(ShardSeries(tmp_path), BLOBS[:3])[2].offset > 0
        assert path.read_bytes() == whole


def test_a_tail_cut_into_catalogued_members_is_refused_and_kept(tmp_path: Path) -> None:
    places = fill(ShardSeries(tmp_path), BLOBS[:3])
    path = tmp_path / places[0].shard
    torn = path.read_bytes()[:-10]
    path.write_bytes(torn)
    end = places[2].offset + places[2].length
    with pytest.raises(IntegrityFailure, match="nothing was cut"):
        ShardSeries(tmp_path).writer(lambda shard: end)
    assert path.read_bytes() == torn


def test_uncatalogued_members_are_adopted_not_written_again(tmp_path: Path) -> None:
    series = ShardSeries(tmp_path, seal_bytes=5_000)
    first = fill(series, BLOBS)
    sizes = [path.stat().st_size for path in series.paths()]
    assert fill(series, BLOBS) == first
    assert [path.stat().st_size for path in series.paths()] == sizes


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    series = ShardSeries(tmp_path)
    with series.writer(lambda shard: 0), pytest.raises(Busy, match=str(os.getpid())):
        series.writer(lambda shard: 0)


def test_verify_and_remove(tmp_path: Path) -> None:
    places = fill(ShardSeries(tmp_path), BLOBS[:4])
    expected = {sha(blob): place for blob, place in zip(BLOBS, places, strict=False)}
    path = tmp_path / places[0].shard
    assert list(verify(path, expected)) == []
    remove(path, places[1])
    assert [member.removed for member in scan(path)] == [False, True, False, False]
    with tarfile.open(path) as tar:
        assert tar.getnames()[1] == "removed/" + sha(BLOBS[1])
    assert not any(ShardReader(tmp_path).read(places[1]))
    raw = bytearray(path.read_bytes())
    raw[places[2].offset] ^= 1
    path.write_bytes(bytes(raw) + b"torn")
    codes = [finding.code for finding in verify(path, expected)]
    assert codes == ["changed", "missing", "torn_tail"]


def test_a_missing_shard_and_a_short_one(tmp_path: Path) -> None:
    (tmp_path / "images-000000.tar").write_bytes(b"short")
    reader = ShardReader(tmp_path)
    with pytest.raises(NotFound):
        reader.read(Place("images-000001.tar", 512, 5))
    with pytest.raises(IntegrityFailure):
        reader.read(Place("images-000000.tar", 512, 5))


def test_what_no_row_names_is_taken_back(tmp_path: Path) -> None:
    series = ShardSeries(tmp_path, seal_bytes=4_000)
    ends: dict[str, int] = {}

    def catalogued_end(shard: str) -> int:
        return ends.get(shard, 0)

    def append(writer: ShardWriter, *texts: str) -> None:
        for text in texts:
            places[text] = writer.append(sha(text.encode() * 900), text.encode() * 900)

    places: dict[str, Place] = {}
    with series.writer(catalogued_end) as writer:
        append(writer, "a")
    ends["images-000000.tar"] = places["a"].offset + places["a"].length
    before = series.paths()[0].read_bytes()
    # A batch that goes over into further shards, and then fails.
    with series.writer(catalogued_end) as writer:
        append(writer, *"bcdefghij")
        assert len(series.paths()) == 5
        writer.take_back()
    assert [path.read_bytes() for path in series.paths()] == [before]
    # Had its rows been committed after all, the bytes would have stayed.
    with series.writer(catalogued_end) as writer:
        append(writer, *"bcdefghij")
        last = places["e"]
        ends[last.shard] = last.offset + last.length
        writer.take_back()
    kept = [member.sha256 for path in series.paths() for member in scan(path)]
    assert kept == [sha(text.encode() * 900) for text in "abcde"]
    with series.writer(catalogued_end) as writer:
        append(writer, "k")
    assert list(verify(series.paths()[-1], {})) == []
