"""The tree against WordNet 3.0 and against ILSVRC2010's own metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from imagetree.core.errors import MissingPart, NotFound
from imagetree.taxonomy import wordnet
from imagetree.taxonomy.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def meta(data_folder: Path) -> dict[str, Any]:
    """ILSVRC2010's meta.mat: wnid, height, children and the 1000 x 1000 cost matrix."""
    path = data_folder / "ilsvrc2010_devkit" / "data" / "meta.mat"
    loaded = scipy.io.loadmat(path, squeeze_me=True)
    synsets = loaded["synsets"]
    return {
        "wnids": [str(wnid) for wnid in synsets["WNID"]],
        "heights": synsets["wordnet_height"].astype(int),
        "n_train": synsets["num_train_images"].astype(int),
        "costs": loaded["cost_matrix"],
    }


def test_every_noun_synset_is_there_and_reachable(taxonomy: Taxonomy) -> None:
    assert len(taxonomy) == 82_115
    assert taxonomy.roots == ("n00001740",)
    assert taxonomy.n_below("n00001740") == 82_114


def test_heights_are_those_of_ilsvrc2010(taxonomy: Taxonomy, meta: dict[str, Any]) -> None:
    found = taxonomy.heights[taxonomy.index(meta["wnids"])]
    assert len(found) == 1676
    np.testing.assert_array_equal(found, meta["heights"])


def test_costs_are_those_of_ilsvrc2010(taxonomy: Taxonomy, meta: dict[str, Any]) -> None:
    costs = taxonomy.costs(meta["wnids"][:1000])
    np.testing.assert_array_equal(costs, meta["costs"])
    assert costs.max() == 18
    assert round(float(costs.mean()), 3) == 13.897


def test_several_parents_are_kept(taxonomy: Taxonomy, meta: dict[str, Any]) -> None:
    found = taxonomy.synsets(meta["wnids"])
    assert sum(len(one.parents) > 1 for one in found) >= 81
    assert taxonomy["n02084071"].parents == ("n02083346", "n01317541")


@pytest.mark.parametrize(
    ("wnid", "n_synsets", "n_images"),
    [
        ("n01861778", 95, 141_223),  # mammal
        ("n01503061", 7, 7_440),  # bird
        ("n02512053", 11, 12_503),  # fish
        ("n04524313", 60, 79_166),  # vehicle
        ("n00015388", 222, 295_923),  # animal
        ("n02084071", 31, 51_189),  # dog
    ],
)
def test_subtree_sums_of_ilsvrc2010(
    taxonomy: Taxonomy, meta: dict[str, Any], wnid: str, n_synsets: int, n_images: int
) -> None:
    low = meta["wnids"][:1000]
    sums = taxonomy.subtree_counts(dict.fromkeys(low, 1))
    images = taxonomy.subtree_counts(dict(zip(low, meta["n_train"][:1000], strict=True)))
    assert sums[taxonomy.number(wnid)] == n_synsets
    assert images[taxonomy.number(wnid)] == n_images


def test_a_synset_says_what_it_is(taxonomy: Taxonomy) -> None:
    dog = taxonomy["n02084071"]
    assert dog.words == ("dog", "domestic dog", "Canis familiaris")
    assert dog.gloss.startswith("a member of the genus Canis")
    assert dog.gloss.endswith("occurs in many breeds")
    assert dog.examples == ("the dog barked all night",)
    assert (dog.sense, dog.name) == ("dog.n.01", "dog")
    assert ("part", "n02158846") in dog.meronyms  # flag, the tail
    thames = taxonomy.lookup("Thames")[0]
    assert taxonomy[thames.instance_parents[0]].name == "river"
    assert thames.wnid in taxonomy[thames.instance_parents[0]].instances


@pytest.mark.parametrize(
    ("text", "wnid"),
    [
        ("n02084071", "n02084071"),
        ("dog", "n02084071"),
        ("Dogs", "n02084071"),
        ("dog.n.01", "n02084071"),
        ("hunting_dog", "n02087122"),
        ("hunting dogs", "n02087122"),
        ("mice", "n02330245"),
        ("oxen", "n02403003"),
    ],
)
def test_lookup(taxonomy: Taxonomy, text: str, wnid: str) -> None:
    assert wnid in [one.wnid for one in taxonomy.lookup(text)]


def test_search_puts_the_word_first_then_prefixes_and_glosses(taxonomy: Taxonomy) -> None:
    hits = taxonomy.search("hunting dog")
    assert hits[0].synset.wnid == "n02087122"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert any(hit.synset.name == "whippet" for hit in taxonomy.search("slender greyhound"))
    assert all(hit.synset.words for hit in taxonomy.search("springer sp"))


@pytest.mark.parametrize(
    "text", ["", " ", '"', "';--", "a*", "NEAR(", "x" * 5000, "\0", "AND OR", "words:dog", "ß"]
)
def test_search_takes_any_text(taxonomy: Taxonomy, text: str) -> None:
    assert len(taxonomy.search(text, limit=5)) <= 5


def test_queries_as_imagenet_made_them(taxonomy: Taxonomy, tmp_path: Path) -> None:
    found = taxonomy.queries("n02091134")
    assert found[0] == "whippet"
    assert {"whippet dog", "whippet greyhound"} <= set(found)
    (tmp_path / "spa").mkdir()
    (tmp_path / "spa" / "wn-data-spa.tab").write_text(
        "# Spanish\n02091134-n\tspa:lemma\tlebrel inglés\n02084071-n\tspa:lemma\tperro\n",
        encoding="utf-8",
    )
    assert "lebrel inglés" in taxonomy.queries("n02091134", multilingual=tmp_path)


def test_ancestors_and_the_path(taxonomy: Taxonomy) -> None:
    assert [one.name for one in taxonomy.path("n02091134")][-4:] == [
        "hunting dog",
        "hound",
        "greyhound",
        "whippet",
    ]
    assert taxonomy.under("n02091134", "n02084071")
    assert not taxonomy.under("n02084071", "n02084071")
    assert not taxonomy.under("n02084071", "n02091134")
    assert len(taxonomy.descendants("n02084071")) == taxonomy.n_below("n02084071") == 189
    assert taxonomy.nested(["n02091134", "n02084071", "n02121808"]) == [("n02084071", "n02091134")]


def test_an_unknown_synset_is_told_with_similar_ones(taxonomy: Taxonomy) -> None:
    with pytest.raises(NotFound, match="n99999999"):
        taxonomy["n99999999"]
    with pytest.raises(NotFound, match="n02084071"):
        taxonomy["dog"]


def test_another_wordnet_is_refused(tmp_path: Path) -> None:
    line = "00001740 03 n 01 entity 0 000 | that which is\n"
    for name in ("data.noun", "index.noun", "noun.exc"):
        (tmp_path / name).write_text(line if name == "data.noun" else "")
    with pytest.raises(Exception, match="82,115"):
        wordnet.build_wordnet_file(tmp_path, tmp_path / "file.sqlite")
    assert not (tmp_path / "file.sqlite").exists()


def test_a_missing_wordnet_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMAGETREE_WORDNET", raising=False)
    monkeypatch.setattr(wordnet, "SYSTEM_FOLDER", tmp_path / "none")
    with pytest.raises(MissingPart, match="apt-get install wordnet-base"):
        wordnet.find_wordnet()
    with pytest.raises(MissingPart, match="not built"):
        Taxonomy.open(tmp_path / "none.sqlite")
