"""Runs as they are kept: opened, listed, evaluated, drawn, and asked about new photos."""

from __future__ import annotations

import importlib.util
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imagetree.catalog import schema
from imagetree.catalog.statements.run import (
    RunRow,
    ScoreRow,
    find_run,
    read_runs,
    read_scores,
)
from imagetree.core.errors import Conflict, MissingPart, NotFound
from imagetree.core.progress import Report, silent
from imagetree.release.release import Release
from imagetree.workflows import releases
from imagetree.workflows.context import Context

if TYPE_CHECKING:
    from imagetree.train.evaluation import Evaluation
    from imagetree.train.prediction import Guess

# What a recipe says beside the training itself: how the network is built and fed.
BUILD = ("image_size", "channels", "options")
FIGURE_IMAGES = 8


@dataclass(frozen=True, kw_only=True)
class Run(RunRow):
    """A run, its folder and its stored evaluations, newest last (not read for lists)."""

    folder: Path
    scores: tuple[ScoreRow, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON."""
        return asdict(self) | {"folder": str(self.folder)}


def require_torch() -> None:
    """Raises MissingPart, with the command that helps, where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingPart(
            "Training and prediction need PyTorch.", hint="pip install 'imagetree[train]'"
        )
    # Read by OpenMP when torch is first imported. Threads that spin while they wait for each
    # other gain nothing on a quiet machine, and on a busy one triple the time of a step.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def find_row(context: Context, name: str) -> RunRow | None:
    """The row of a run; None when there is none of that name."""
    with context.engine.connect() as connection:
        return find_run(connection, name)


def make_loader(
    release: Release,
    split: str,
    build: dict[str, Any],
    settings: Any,
    *,
    training: bool,
    views: int = 1,
    **part: Any,
) -> Any:
    """The loader of a split as the run's recipe feeds it; `part` as `Release.loader` takes it."""
    return release.loader(
        split,
        batch_size=settings.batch_size,
        image_size=build["image_size"],
        channels=build["channels"],
        seed=settings.seed,
        training=training,
        crop_scale=settings.crop_scale,
        # A recipe that asks for crops means them for scans of any size.
        crop=True if training and settings.crop_scale[0] < 1 else None,
        flip=settings.flip,
        resize_px=settings.resize_px,
        views=views,
        **part,
    )


def open_run(context: Context, name: str) -> Run:
    """A run and its scores; NotFound with the names that there are."""
    row = find_row(context, name)
    if row is None:
        names = [run.name for run in list_runs(context)][:5]
        hint = f"There are: {', '.join(names)}." if names else "Train one: imagetree train"
        raise NotFound(f"There is no run {name!r}.", hint=hint)
    with context.engine.connect() as connection:
        scores = read_scores(connection, [name])
    return _run(context, row, tuple(reversed(scores)))


def list_runs(context: Context) -> list[Run]:
    """All runs, newest first, without their scores."""
    with context.engine.connect() as connection:
        return [_run(context, row, ()) for row in read_runs(connection, limit=None)]


def _run(context: Context, row: RunRow, scores: tuple[ScoreRow, ...]) -> Run:
    return Run(**vars(row), folder=context.settings.runs_folder / row.name, scores=scores)


def _trained(context: Context, name: str) -> tuple[Run, Any, Any, Release]:
    require_torch()
    from imagetree.networks import bundle

    run = open_run(context, name)
    if run.state != "done":
        raise Conflict(
            f"Run {name!r} is {run.state}, not done. {run.reason}".strip(),
            hint="Train it to its end first, with the same name.",
        )
    network, described = bundle.load(run.folder / "bundle")
    release = releases.open_release(releases.pieces_of(context), run.release)
    return run, network, described, release


def evaluate(
    context: Context,
    name: str,
    *,
    split: str = "test",
    views: int = 1,
    seed: int = 0,
    report: Report = silent,
) -> Evaluation:
    """The errors of a run on a split of its release, stored with protocol and interval."""
    from imagetree.train.evaluation import evaluate as run_evaluation
    from imagetree.train.recipe import Recipe

    run, network, _, release = _trained(context, name)
    if split not in release.splits:
        raise NotFound(
            f"Release {release.name!r} has no split {split!r}.",
            hint=f"It has: {', '.join(release.splits)}.",
        )
    recipe = dict(run.recipe)
    build = {key: recipe.pop(key) for key in BUILD}
    loader = make_loader(release, split, build, Recipe.of(recipe), training=False, views=views)
    evaluation = run_evaluation(network, loader, views=views, seed=seed, report=report)
    kept: dict[str, Any] = {
        "sha256": np.array([one.sha256 for one in release.images(split)]),
        "labels": evaluation.labels,
        "probabilities": evaluation.probabilities,
    }
    part = run.folder / f"predictions-{split}.part.npz"
    np.savez(part, allow_pickle=False, **kept)
    part.replace(run.folder / f"predictions-{split}.npz")
    (run.folder / f"evaluation-{split}.json").write_text(
        json.dumps(evaluation.as_dict(), indent=1), encoding="utf-8"
    )
    _store_scores(context, run, split, evaluation, release)
    return evaluation


def _store_scores(
    context: Context, run: Run, split: str, evaluation: Evaluation, release: Release
) -> None:
    with context.writing("run.scored") as write:
        numbers = write.numbers(schema.score, len(evaluation.errors))
        write.insert(
            schema.score,
            [
                {
                    "score_id": number,
                    "run": run.name,
                    "split": split,
                    "metric": f"top{k}_error",
                    "value": evaluation.errors[k],
                    "low": evaluation.intervals[k].low,
                    "high": evaluation.intervals[k].high,
                    "n_images": evaluation.n_images,
                    "protocol": {
                        "release_id": release.release_id,
                        "views": evaluation.protocol,
                        "interval": "Wilson, 99.9%",
                        "seed": evaluation.seed,
                        "versions": evaluation.versions,
                    },
                    "at": write.at,
                }
                for number, k in zip(numbers, sorted(evaluation.errors), strict=True)
            ],
        )
        top1 = evaluation.errors[min(evaluation.errors)]
        write.summary = f"Run {run.name}: top-1 error {top1:.1%} on {split}"


def figure(context: Context, name: str, *, split: str = "test", seed: int = 0) -> Path:
    """The picture of eight images of a split with their five most probable labels."""
    from imagetree.benchmark.figure import FigureRow, draw
    from imagetree.images.decode import decode

    run, _, described, release = _trained(context, name)
    file = run.folder / f"predictions-{split}.npz"
    if not file.is_file():
        evaluate(context, name, split=split)
    with np.load(file, allow_pickle=False) as kept:
        sha256s, labels, probabilities = kept["sha256"], kept["labels"], kept["probabilities"]
    names, wnids = described.class_names, described.wnids
    rows, table = [], []
    for i in _eight(labels, probabilities, seed=seed):
        best = np.argsort(-probabilities[i], kind="stable")[:5]
        sha256 = str(sha256s[i])
        rows.append(
            FigureRow(
                image=decode(release.image_bytes(sha256)),
                truth=names[labels[i]],
                guesses=[(names[j], float(probabilities[i, j])) for j in best],
            )
        )
        table.append(
            {
                "sha256": sha256,
                "wnid": wnids[labels[i]],
                "name": names[labels[i]],
                "top5": [[wnids[j], names[j], float(probabilities[i, j])] for j in best],
            }
        )
    (run.folder / "figure.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    return draw(rows, run.folder / "figure.png")


def _eight(labels: Any, probabilities: Any, *, seed: int) -> Sequence[int]:
    """Eight images: up to three that were missed, the rest right, drawn by the seed.

    A figure of right answers alone would flatter, so it shows how the network fails as well.
    Each class comes once before any comes twice.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    met: Counter[int] = Counter()
    turn = {}
    for i in order:
        turn[i] = met[labels[i]]
        met[labels[i]] += 1
    order = np.array(sorted(order, key=turn.__getitem__))
    right = probabilities.argmax(axis=1) == labels
    missed = [int(i) for i in order if not right[i]][:3]
    hits = [int(i) for i in order if right[i]][: FIGURE_IMAGES - len(missed)]
    more = [int(i) for i in order if int(i) not in {*missed, *hits}]
    chosen = (hits + missed + more)[:FIGURE_IMAGES]
    return [int(i) for i in np.random.default_rng(seed).permutation(chosen)]


def predict(context: Context, name: str, paths: Sequence[Path]) -> list[tuple[Guess, ...]]:
    """The five most probable synsets of each image file, in the order given."""
    from imagetree.images.decode import decode
    from imagetree.train.prediction import predict as run_prediction

    run, *_ = _trained(context, name)
    images = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
        images.append(decode(data))
    return run_prediction(run.folder / "bundle", images)
