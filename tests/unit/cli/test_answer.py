from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from imagetree.cli.answer import Answer, facts, plain, table
from imagetree.core.progress import Progress, silent


@dataclass
class Point:
    x: int
    path: Path


class Spoken:
    def as_dict(self) -> dict[str, object]:
        return {"point": Point(1, Path("a/b")), "counts": np.array([1, 2])}


def test_plain_says_in_json_what_objects_hold() -> None:
    value = plain({"a": Spoken(), 3: (np.float64(0.5), None, True)})
    assert value == {
        "a": {"point": {"x": 1, "path": "a/b"}, "counts": [1, 2]},
        "3": [0.5, None, True],
    }
    json.dumps(value)


def test_json_is_all_there_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(as_json=True)
    answer.note("a note")
    with answer.progress() as report:
        report(Progress(what="Working", n_done=1))
    answer.give({"words": "Käfer"}, "for people", next_step="imagetree stats x")
    told = capsys.readouterr()
    assert json.loads(told.out) == {"words": "Käfer"}
    assert "Käfer" in told.out
    assert told.err == ""


def test_people_get_the_parts_and_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table("name", "images", right=("images",))
    rows.add_row("a name that is much longer than any window " * 3, "7")
    Answer(as_json=False).give({}, rows, facts({"Seed": "0"}), next_step="imagetree stats x")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Next: imagetree stats x"
    assert any(line.split() == ["Seed", "0"] for line in lines)


def test_brackets_in_the_data_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Answer(as_json=False).give({}, facts({"File": "photos/[bold]x.jpg"}))
    assert "photos/[bold]x.jpg" in capsys.readouterr().out


def test_no_bar_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with Answer(as_json=False).progress() as report:
        assert report is silent
    assert capsys.readouterr().err == ""
