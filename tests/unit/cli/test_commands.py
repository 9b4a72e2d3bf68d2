"""Each command on a tiny database, as a user would call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagetree.cli.main import run
from imagetree.core.errors import Conflict, InvalidInput, NotFound

WHIPPET = "n02091134"


class Shell:
    """Calls commands and gives back what they wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def json(self, *words: object, code: int = 0) -> Any:
        """What the command wrote with --json."""
        return json.loads(self.text(*words, "--json", code=code))

    def text(self, *words: object, code: int = 0) -> str:
        """What the command wrote to standard output."""
        found = run([str(word) for word in words])
        told = self._capsys.readouterr()
        assert found == code, told.out + told.err
        return told.out


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def test_init_makes_a_database_once(shell: Shell, tmp_path: Path, wordnet_file: Path) -> None:
    folder = tmp_path / "new.imagetree"
    assert shell.json("init", folder)["n_synsets"] == 82115
    assert shell.json("init", folder, code=Conflict.exit_code)["error"]["code"] == "conflict"
    assert shell.json("stats", folder)["n_images"] == 0


def test_init_with_a_tree_of_ones_own(shell: Shell, tmp_path: Path) -> None:
    tree = tmp_path / "tree.csv"
    tree.write_text("id,words,gloss,parents\nscrew,screw,a fastener,\nlag,lag screw,,screw\n")
    folder = tmp_path / "parts.imagetree"
    shell.json("init", folder, "--tree", tree, "--no-wordnet")
    assert shell.json("tree", folder, "screw")["n_synsets_below"] == 1


def test_stats(shell: Shell, tiny_database: Path) -> None:
    stats = shell.json("stats", tiny_database)
    assert (stats["n_images"], stats["n_present"], stats["n_synsets"]) == (36, 36, 3)
    assert "36 present" in shell.text("stats", tiny_database)


def test_tree_shows_path_counts_and_children(shell: Shell, tiny_database: Path) -> None:
    tree = shell.json("tree", tiny_database, "n02084071", "--depth", "2", "--photos")
    assert tree["n_images_below"] == 36
    assert "n00015388" in tree["path"]  # animal
    below = {child["words"][0]: child["n_images_below"] for child in tree["children"]}
    assert below == {"hunting dog": 24, "working dog": 12}
    text = shell.text("tree", tiny_database, "n02084071")
    assert "hunting dog" in text
    assert text.splitlines()[-1].startswith("Next: imagetree tree ")


def test_tree_begins_at_the_root(shell: Shell, tiny_database: Path) -> None:
    assert shell.json("tree", tiny_database)["words"] == ["entity"]


def test_a_word_with_several_meanings_is_not_guessed(shell: Shell, tiny_database: Path) -> None:
    error = shell.json("tree", tiny_database, "crane", code=InvalidInput.exit_code)["error"]
    assert "meanings" in error["message"]
    assert "imagetree tree" in error["hint"]
    code = NotFound.exit_code
    assert shell.json("tree", tiny_database, "qwertz", code=code)["error"]["code"] == "not_found"


def test_search(shell: Shell, tiny_database: Path) -> None:
    found = shell.json("search", tiny_database, "hunting dog")
    assert found[0]["wnid"] == "n02087122"
    assert found[0]["n_images_below"] > 0
    assert shell.json("search", tiny_database, "qwertzuiop") == []


def test_synset_and_its_safety(shell: Shell, tiny_database: Path) -> None:
    before = shell.json("synset", tiny_database, WHIPPET)
    assert (before["n_present"], before["safety"]) == (12, "unreviewed")
    assert shell.json("synset", tiny_database, WHIPPET, "--safety", "unsafe")["safety"] == "unsafe"
    shell.json("synset", tiny_database, WHIPPET, "--safety", "fine", code=InvalidInput.exit_code)


def test_queries(shell: Shell, tiny_database: Path) -> None:
    text = shell.text("queries", tiny_database, WHIPPET)
    assert "whippet dog" in text
    assert "whippet greyhound" in text


def test_collect_without_waiting_then_watch_then_undo(
    shell: Shell, tiny_database: Path, photos: Path
) -> None:
    source = photos / WHIPPET
    job = shell.json(
        "collect", tiny_database, source, "--layout", "flat", "--wnid", WHIPPET, "--no-wait"
    )
    shell.json("jobs", "watch", tiny_database, job["job_id"])
    assert [one["state"] for one in shell.json("jobs", "list", tiny_database)] == ["done"]
    last = shell.json("collections", tiny_database)[-1]
    assert (last["n_stored"], last["n_known"]) == (0, 12)
    assert shell.json("undo", tiny_database, last["collection_id"])["n_removed"] == 0
    assert shell.json("stats", tiny_database)["n_images"] == 36


def test_rejects_are_listed(shell: Shell, tiny_database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / WHIPPET
    folder.mkdir(parents=True)
    (folder / "notes.jpg").write_text("not an image")
    result = shell.json("collect", tiny_database, folder.parent, "--layout", "imagefolder")
    assert (result["n_stored"], result["n_rejected"]) == (0, 1)
    (reject,) = shell.json("rejects", tiny_database, result["collection_id"])
    assert reject["location"].endswith("notes.jpg")
    assert "notes.jpg" in shell.text("rejects", tiny_database)


def test_releases(shell: Shell, tiny_database: Path) -> None:
    made = shell.json("release", "create", tiny_database, "v2", "--split", "train=0.5,test=0.5")
    assert made["n_images"] == 36
    assert [one["name"] for one in shell.json("release", "list", tiny_database)] == ["v1", "v2"]
    again = shell.json("release", "create", tiny_database, "v2", "--split", "train=0.5,test=0.5")
    assert again["release_id"] == made["release_id"]
    other = ("release", "create", tiny_database, "v2", "--split", "train=0.6,test=0.4")
    assert shell.json(*other, code=Conflict.exit_code)["error"]["code"] == "conflict"
    assert shell.json("release", "verify", tiny_database, "v2")["holds"]
    shell.json("release", "diff", tiny_database, "v1", "v2")
    assert shell.json("release", "show", tiny_database, "v1")["n_classes"] == 3
    shell.json("release", "show", tiny_database, "v9", code=NotFound.exit_code)


def test_what_is_empty_names_what_comes_first(
    shell: Shell, tiny_database: Path, tmp_path: Path, wordnet_file: Path
) -> None:
    folder = tmp_path / "new.imagetree"
    shell.json("init", folder)
    assert shell.text("runs", folder).splitlines()[-1].startswith("Next: imagetree release create ")
    assert shell.text("log", folder).splitlines()[-1].startswith("Next: imagetree collect ")
    assert shell.text("runs", tiny_database).splitlines()[-1].endswith(" v1 alexnet")


def test_release_public(shell: Shell, tiny_database: Path, tmp_path: Path) -> None:
    out = tmp_path / "hidden"
    words = ("release", "public", tiny_database, "v1", out)
    made = shell.json(*words, "--split", "test")
    assert made["n_images"] == len(list((out / "images").iterdir())) > 0
    assert Path(made["key"]).is_file()
    assert not Path(made["key"]).is_relative_to(out)
    shell.json(*words, code=Conflict.exit_code)
    other = ("release", "public", tiny_database, "v1", tmp_path / "other")
    shell.json(*other, "--split", "validation", code=NotFound.exit_code)
    text = shell.text(*other)
    assert "without their answers" in text
    assert "view.key to yourself" in text
    assert text.splitlines()[-1].startswith("Next: imagetree release show ")


def test_check_replay_log_upgrade(shell: Shell, tiny_database: Path) -> None:
    assert shell.json("check", tiny_database)["findings"] == []
    assert shell.json("replay", tiny_database)["differences"] == []
    assert shell.json("log", tiny_database, "--last", "3")[-1]["kind"] == "release.created"
    versions = shell.json("upgrade", tiny_database)
    assert versions["before"] == versions["after"]


def test_check_finds_a_changed_byte(shell: Shell, tiny_database: Path) -> None:
    (shard,) = (tiny_database / "shards").glob("*.tar")
    data = bytearray(shard.read_bytes())
    data[2000] ^= 0xFF
    shard.write_bytes(data)
    assert shell.json("check", tiny_database, code=6)["findings"]


def test_runs_of_a_database_without_any(shell: Shell, tiny_database: Path) -> None:
    assert shell.json("runs", tiny_database) == []
    assert "imagetree train" in shell.text("runs", tiny_database)


def test_doctor_names_every_part(shell: Shell, tiny_database: Path) -> None:
    parts = {one["part"]: one for one in shell.json("doctor", tiny_database)}
    assert parts["WordNet 3.0"]["state"] == "ok"
    assert parts[str(tiny_database)]["found"] == "36 images"
    assert all(one["step"] for one in parts.values() if one["state"] == "missing")


def test_train_by_a_recipe_file_and_evaluate(
    shell: Shell, tiny_database: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    recipe = tmp_path / "quick.py"
    recipe.write_text(
        "NETWORK = 'alexnet'\n"
        "RECIPE = {'image_size': 32, 'epochs': 1, 'batch_size': 8, 'width': 0.25}\n"
    )
    words = ("train", tiny_database, "v1", "--recipe", recipe)
    told = shell.json(*words, "--set", "epochs=2", "--evaluate", "test")
    assert (told["state"], told["recipe"]["epochs"]) == ("done", 2)
    assert told["recipe"]["image_size"] == 32
    assert [one["metric"] for one in told["scores"]] == ["top1_error", "top5_error"]
    assert "2 views" in shell.text("evaluate", tiny_database, "v1", told["name"], "--views", "2")
    shell.json(*words, "--evaluate", "val", code=NotFound.exit_code)
    other = ("train", tiny_database, "v1", "lenet5", "--recipe", recipe)
    shell.json(*other, code=InvalidInput.exit_code)
