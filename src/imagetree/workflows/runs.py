"""Runs as they are kept: opened, listed, evaluated, drawn, and asked about new photos."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import Conflict, MissingPart, NotFound
from imagetree.core.progress import Report, silent
from imagetree.release.release import Release
from imagetree.workflows import releases
from imagetree.workflows.context import Context

if TYPE_CHECKING:
    from imagetree.train.evaluation import Evaluation
    from imagetree.train.prediction import Guess

# What a recipe says beside the training itself: how the network is built, and what it is fed.
BUILD = ("image_size", "channels", "options", "reads")
FIGURE_IMAGES = 8


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as the catalog knows it; `scores` are its stored evaluations, newest last."""

    name: str
    release: str
    network: str
    recipe: dict[str, Any]
    state: str
    reason: str
    seed: int
    started_at: str
    finished_at: str | None
    seconds: float | None
    n_parameters: int | None
    versions: dict[str, str]
    folder: Path
    scores: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON."""
        return asdict(self) | {"folder": str(self.folder)}


def require_torch() -> None:
    """Raises MissingPart, with the command that helps, where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingPart(
            "Training and prediction need PyTorch.", hint="pip install 'imagetree[train]'"
        )


def find_row(context: Context, name: str) -> sa.Row[Any] | None:
    with context.engine.connect() as connection:
        return connection.execute(sa.select(schema.run).where(schema.run.c.name == name)).first()


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
    """The loader of a split as the run's recipe feeds it; `part` as `Release.loader` takes it.

    Only training reads a packed copy: scores are of the images that the release froze.
    """
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
        source=release.source(build["reads"] if training else None),
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
        scores = connection.execute(
            sa.select(schema.score)
            .where(schema.score.c.run == name)
            .order_by(schema.score.c.score_id)
        ).all()
    return _run(context, row, tuple(dict(one._mapping) for one in scores))


def list_runs(context: Context) -> list[Run]:
    """All runs, newest first, without their scores."""
    with context.engine.connect() as connection:
        rows = connection.execute(
            sa.select(schema.run).order_by(schema.run.c.started_at.desc())
        ).all()
    return [_run(context, row, ()) for row in rows]


def _run(context: Context, row: sa.Row[Any], scores: tuple[dict[str, Any], ...]) -> Run:
    return Run(**dict(row._mapping), folder=context.settings.runs_folder / row.name, scores=scores)


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
    build = {key: recipe.pop(key, None) for key in BUILD}
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
                        "reads": evaluation.reads,
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
    """
    order = np.random.default_rng(seed).permutation(len(labels))
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
