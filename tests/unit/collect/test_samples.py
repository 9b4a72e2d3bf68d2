"""Sample photos: all are there, decode, and stand under the synsets that they show."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from imagetree.collect.samples import FOLDERS, SAMPLES, SamplePhotos
from imagetree.collect.source import Item
from imagetree.core.errors import MissingPart
from imagetree.images.decode import read_info

if TYPE_CHECKING:
    from imagetree.taxonomy.taxonomy import Taxonomy

WORDS = {
    "chelsea.png": "domestic cat",
    "coffee.png": "coffee cup",
    "rocket.jpg": "rocket",
    "china.jpg": "pagoda",
    "flower.jpg": "dahlia",
    "text.png": "handwriting",
    "clock_motion.png": "wall clock",
    "hubble_deep_field.jpg": "galaxy",
}


def test_every_photo_is_a_candidate_that_decodes() -> None:
    pytest.importorskip("skimage")
    source = SamplePhotos()
    items = list(source.items())
    assert len(items) == source.n_total == len(SAMPLES) == 20
    keys = set()
    for item in items:
        assert isinstance(item, Item), item
        assert callable(item.data)
        assert read_info(item.data()).width_px >= 191
        assert item.claim == "candidate"
        assert item.licence
        keys.add(item.key)
    assert len(keys) == 20
    assert {item.wnid for item in items if isinstance(item, Item)} == source.wnids()
    assert source.labels() == set()


def test_skipped_photos_are_not_read() -> None:
    pytest.importorskip("skimage")
    left = list(SamplePhotos().items(skip=lambda key: key.startswith("skimage/")))
    assert [one.key for one in left if isinstance(one, Item)] == [
        "sklearn/china.jpg",
        "sklearn/flower.jpg",
    ]


def test_synsets_are_in_wordnet_and_show_no_person(taxonomy: Taxonomy) -> None:
    for sample in SAMPLES:
        synset = taxonomy[sample.wnid]
        if sample.filename in WORDS:
            assert WORDS[sample.filename] in [word.replace("_", " ") for word in synset.words]
        assert not taxonomy.under(sample.wnid, "n00007846")


@pytest.mark.parametrize("package", FOLDERS)
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPart, match=r"imagetree\[demo\]"):
        next(SamplePhotos().items())
