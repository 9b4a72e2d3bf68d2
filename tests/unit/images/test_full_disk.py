"""A full disk: the user is told, what was stored stays, and the torn member is cut back."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from imagetree.core.errors import OutOfSpace
from imagetree.images.shards import ShardSeries, scan


def test_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    try:
        n_stored = 0
        with ShardSeries(tmp_path).writer(lambda shard: 0) as writer:
            with pytest.raises(OutOfSpace, match="safe"):  # noqa: PT012
                for number in range(10):
                    data = bytes([number]) * 300_000
                    writer.append(hashlib.sha256(data).hexdigest(), data)
                    n_stored += 1
            path = ShardSeries(tmp_path).paths()[0]
            assert len(list(scan(path))) == n_stored == 6
            assert path.stat().st_size == n_stored * (512 + 300_032)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
