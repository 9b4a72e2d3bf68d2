"""A tiny database with one of everything that pages show, made without training anything."""

from __future__ import annotations

import json
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.catalog.writing import Write, writing
from imagetree.database import Database

WHIPPET, MOTH = "n02091134", "n02300554"  # the second is called "domestic silkworm moth"
CLASSES = (WHIPPET, "n02099601", "n02106662", MOTH)
N_EPOCHS = 4


def furnish(folder: Path, *, photos: Path) -> None:
    """Adds to a database of `photos`' three breeds: a synset with a long name, an item that was
    rejected, loose candidates, boxes of each state, a finished run with its scores, curves and
    figure, and one that failed.
    """
    with Database.open(folder) as db:
        db.collect(photos / "more", layout="imagefolder")
        db.collect(photos / "loose", layout="flat", wnid="n02084071")
        with db.engine.connect() as connection:
            photo = _first_photo(connection)
        with writing(
            db.engine, "test.furnished", actor="ines", events_folder=db.settings.events_folder
        ) as write:
            write.summary = "Boxes and runs for the pages"
            _draw_boxes(write, photo)
            _add_runs(write)
        _write_run_files(db)


def _first_photo(connection: Connection) -> int:
    label = schema.label.c
    statement = sa.select(sa.func.min(label.image_id)).where(label.wnid == WHIPPET)
    return int(connection.execute(statement).scalar_one())


def _draw_boxes(write: Write, image_id: int) -> None:
    places = [(2, 1, 60, 40, "verified"), (30, 30, 80, 70, "drawn"), (70, 2, 95, 30, "refused")]
    numbers = write.numbers(schema.box, len(places))
    write.insert(
        schema.box,
        [
            {
                "box_id": number, "image_id": image_id, "wnid": WHIPPET, "state": state,
                "xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax,
                "method": "drawn", "at": write.at,
            }
            for number, (xmin, ymin, xmax, ymax, state) in zip(numbers, places, strict=True)
        ],
    )  # fmt: skip


def _add_runs(write: Write) -> None:
    run = {
        "release": "v1", "network": "lenet5", "recipe": {"epochs": N_EPOCHS, "flip": True},
        "seed": 0, "versions": {}, "started_at": write.at, "finished_at": write.at, "seconds": 12.5,
    }  # fmt: skip
    write.insert(
        schema.run,
        [
            run | {"name": "first", "state": "done", "reason": "", "n_parameters": 60_850},
            run
            | {"name": "broken", "state": "failed", "reason": "The loss is not a number."}
            | {"n_parameters": None},
        ],
    )
    scores = [("top5_error", 0.0, 0.0, 0.2), ("top1_error", 0.25, 0.1, 0.5)] * 2  # measured twice
    numbers = write.numbers(schema.score, len(scores))
    write.insert(
        schema.score,
        [
            {
                "score_id": number, "run": "first", "split": "test", "metric": metric,
                "value": value, "low": low, "high": high, "n_images": 11,
                "protocol": {"resize": 36, "views": 1}, "at": write.at,
            }
            for number, (metric, value, low, high) in zip(numbers, scores, strict=True)
        ],
    )  # fmt: skip


def _write_run_files(db: Database) -> None:
    folder = db.runs_folder / "first"
    folder.mkdir(parents=True)
    rows = [
        {"epoch": i, "loss": 2.0 / i, "top1_error": 0.9 / i, "top5_error": 0.2 / i}
        for i in range(1, N_EPOCHS + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with db.engine.connect() as connection:
        held = schema.release_label.c
        found = connection.execute(
            sa.select(held.sha256, held.wnid).where(held.release == "v1").limit(8)
        ).all()
    guesses = [[wnid, 0.4 - 0.1 * i] for i, wnid in enumerate(CLASSES)]
    figure = [
        {"sha256": one.sha256, "wnid": one.wnid, "top5": [[w, "", p] for w, p in guesses]}
        for one in found
    ]
    (folder / "figure.json").write_text(json.dumps(figure))
