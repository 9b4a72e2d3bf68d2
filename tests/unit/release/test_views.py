from __future__ import annotations

from imagetree.release.views import public_ids, view_key


def test_ids_are_opaque_stable_and_shuffled(tmp_path):
    key = view_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert view_key(tmp_path / "key") == key
    shas = [f"{i:064x}" for i in range(200)]
    ids = public_ids(shas, key=key)
    assert sorted(ids.values()) == shas
    assert list(ids.values()) != shas
    assert ids == public_ids(reversed(shas), key=key)
    assert ids.keys().isdisjoint(public_ids(shas, key=bytes(32)))
