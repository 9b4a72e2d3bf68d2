"""One reading of a run serves the library, the command line and the pages."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from imagetree.catalog import schema
from imagetree.catalog.statements.run import read_run, read_scores
from imagetree.core.errors import NotFound
from imagetree.database import Database


def add_run(db: Database, name: str, *, at: str) -> None:
    with db.context.writing("run.started") as write:
        run = {
            "name": name,
            "release": "v1",
            "network": "lenet5",
            "recipe": {"epochs": 2},
            "state": "done",
            "reason": "",
            "seed": 7,
            "started_at": at,
            "finished_at": None,
            "seconds": 1.5,
            "n_parameters": 60_000,
            "versions": {"torch": "2"},
        }
        write.insert(schema.run, [run])
        write.insert(
            schema.score,
            [
                {
                    "score_id": number,
                    "run": name,
                    "split": split,
                    "metric": "top1_error",
                    "value": 0.25,
                    "low": 0.2,
                    "high": 0.3,
                    "n_images": 12,
                    "protocol": {"seed": 0},
                    "at": write.at,
                }
                for number, split in zip(
                    write.numbers(schema.score, 2), ("train", "test"), strict=True
                )
            ],
        )


def test_a_run_is_read_once(tiny_database: Path) -> None:
    with Database.open(tiny_database) as db:
        add_run(db, "old", at="2026-01-01T00:00:00.000Z")
        add_run(db, "new", at="2026-01-02T00:00:00.000Z")
        run = db.run("old")
        with db.engine.connect() as connection:
            row, scores = read_run(connection, "old"), read_scores(connection, ["old"])
        assert asdict(row).items() <= asdict(run).items()
        assert run.versions == {"torch": "2"}
        assert run.folder == db.runs_folder / "old"
        assert [one.split for one in run.scores] == ["train", "test"], "the newest last"
        assert list(reversed(run.scores)) == scores
        told = run.as_dict()
        assert told["folder"] == str(run.folder)
        assert told["scores"][1]["split"] == "test"
        assert [(one.name, one.scores) for one in db.runs()] == [("new", ()), ("old", ())]
        with pytest.raises(NotFound, match=r"no run 'none'.*There are: new, old"):
            db.run("none")
