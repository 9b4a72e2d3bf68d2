from __future__ import annotations

import pytest

from imagetree.core.errors import IntegrityFailure
from imagetree.release.manifest import manifest_id, read_manifest, write_manifest


def image(digit):
    size = {"width_px": 4, "height_px": 3, "length": 9}
    labels = [["n01", "present", 0.1, "imported"]]
    return {"sha256": digit * 64, "split": "train", "labels": labels, "boxes": [], **size}


def test_what_is_written_is_read_and_has_one_id(tmp_path):
    images = [image("a"), image("b")]
    ids = {write_manifest(tmp_path / name, {"classes": []}, images=images) for name in "xy"}
    assert ids == {manifest_id(tmp_path / "x")}
    assert list(read_manifest(tmp_path / "x"))[1:] == images
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o444


def test_images_out_of_order_leave_no_file(tmp_path):
    with pytest.raises(IntegrityFailure, match="line 3"):
        write_manifest(tmp_path / "x", {}, images=[image("b"), image("a")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"{}\n", b"not json\n", b"[]\n"])
def test_a_wrong_line_is_named(tmp_path, damage):
    write_manifest(tmp_path / "x", {}, images=[image("a")])
    (tmp_path / "y").write_bytes((tmp_path / "x").read_bytes() + damage)
    with pytest.raises(IntegrityFailure, match="line 3"):
        list(read_manifest(tmp_path / "y"))
