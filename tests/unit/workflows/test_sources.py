"""Sources made from parameters: guesses, options, and what is refused by name."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from imagetree.collect.archive import ArchiveFolder
from imagetree.collect.digits import Digits
from imagetree.collect.folder import FlatFolder, ImageFolder
from imagetree.collect.ilsvrc import ValidationImages
from imagetree.collect.source import Item
from imagetree.core.errors import InvalidInput, NotFound
from imagetree.core.settings import Settings
from imagetree.workflows import collect, sources
from imagetree.workflows.context import Context


@pytest.fixture
def context(tmp_path: Path, wordnet_file: Path) -> Context:
    folder = tmp_path / "db.imagetree"
    settings = Settings(
        folder=folder, catalog_url="", jobs_url="", cache_folder=wordnet_file.parent
    )
    assert settings.wordnet_file == wordnet_file
    return Context(settings)


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tar(path: Path, name: str) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    return path


def test_guesses(tmp_path: Path) -> None:
    put(tmp_path / "classes/cat/a.JPEG")
    put(tmp_path / "classes/loose.jpg")
    put(tmp_path / "plain/a.png")
    put(tmp_path / "empty/readme.md")
    guesses = {
        "classes": "imagefolder",
        "plain": "flat",
        put(tmp_path / "a.zip").name: "zip",
        put(tmp_path / "a.tgz").name: "tar",
        tar(tmp_path / "b.tar", "cat/a.jpg").name: "tar",
        tar(tmp_path / "train.tar", "n02084071.tar").name: "ilsvrc-train",
        tar(tmp_path / "n02084071.tar", "a.JPEG").name: "ilsvrc-train",
        put(tmp_path / "l.txt", "n02084071_1\thttp://example.org/a.jpg\n").name: "urls",
    }
    assert {name: sources.guess_layout(tmp_path / name) for name in guesses} == guesses
    for name in ("empty", put(tmp_path / "notes.txt", "some words\n").name):
        with pytest.raises(InvalidInput, match="--layout"):
            sources.guess_layout(tmp_path / name)
    with pytest.raises(NotFound, match="nowhere"):
        sources.guess_layout(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="needs a source"):
        sources.guess_layout("")


def test_each_layout_makes_its_source(tmp_path: Path, context: Context) -> None:
    put(tmp_path / "photos/cat/a.jpg")
    table = put(tmp_path / "labels.csv", "filename,label\na.jpg,cat\n")
    truth = put(tmp_path / "truth.txt", "1\n")
    classes_list = put(tmp_path / "classes.txt", "n02084071 dog\n")
    cats = str(tmp_path / "photos/cat")
    cases: list[tuple[type[Any], dict[str, Any]]] = [
        (ImageFolder, {"location": str(tmp_path / "photos")}),
        (FlatFolder, {"location": cats, "layout": "flat", "options": {"csv": str(table)}}),
        (ArchiveFolder, {"location": str(tar(tmp_path / "a.tar", "cat/a.jpg"))}),
        (Digits, {"location": "", "layout": "digits"}),
        (
            ValidationImages,
            {
                "location": cats,
                "layout": "ilsvrc-val",
                "options": {"ground_truth": str(truth), "classes_list": str(classes_list)},
            },
        ),
    ]
    for kind, params in cases:
        assert isinstance(sources.make(context, params), kind)
    assert sources.make(context, cases[1][1]).labels() == {"cat"}
    assert sources.make(context, cases[-1][1]).wnids() == {"n02084071"}
    listed = put(tmp_path / "urls.txt", "n02084071_1\thttp://example.org/a.jpg\n")
    assert sources.make(context, {"location": str(listed)}).kind == "urls"


def test_rights_fill_what_the_source_leaves_open(tmp_path: Path, context: Context) -> None:
    put(tmp_path / "a.jpg")
    put(tmp_path / "b.jpg")
    table = put(tmp_path / "t.csv", "filename,label,licence\na.jpg,cat,CC0\nb.jpg,cat,\n")
    options = {"csv": str(table), "licence": "CC BY 4.0", "author": "Ines"}
    params = {"location": str(tmp_path), "layout": "flat", "options": options}
    items = [one for one in sources.make(context, params).items() if isinstance(one, Item)]
    assert [(one.licence, one.author) for one in items] == [("CC0", "Ines"), ("CC BY 4.0", "Ines")]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layout": "parquet"}, "no layout 'parquet'.*imagefolder"),
        ({"layout": "flat", "options": {"ground_truth": "x"}}, "flat takes no ground_truth"),
        ({"layout": "ilsvrc-val"}, "ground truth"),
    ],
)
def test_what_does_not_fit_is_refused(
    params: dict[str, Any], message: str, tmp_path: Path, context: Context
) -> None:
    put(tmp_path / "a.jpg")
    with pytest.raises(InvalidInput, match=message):
        sources.make(context, {"location": str(tmp_path), **params})


def test_missing_paths_are_named(tmp_path: Path, context: Context) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        sources.make(context, {"location": str(tmp_path / "nowhere"), "layout": "flat"})


def test_plan_settles_layout_and_synset(tmp_path: Path, context: Context) -> None:
    put(tmp_path / "a.jpg")
    params = {"location": str(tmp_path), "layout": None, "wnid": "whippet", "options": {}}
    settled = collect.plan(context, params)
    assert (settled["layout"], settled["wnid"]) == ("flat", "n02091134")
    assert params["wnid"] == "whippet"
    with pytest.raises(InvalidInput, match="names 0 synsets"):
        collect.plan(context, {**params, "wnid": "no such thing"})
