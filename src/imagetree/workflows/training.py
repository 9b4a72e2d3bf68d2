"""Runs: trained on a release, evaluated against it, kept with all that made them.

A run is a folder `runs/<name>` (checkpoint, metrics.jsonl, TensorBoard events, bundle,
probabilities, figure) and a row. What happens in the folder can be interrupted anywhere.
"""

from __future__ import annotations

import importlib.util
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import (
    Cancelled,
    Conflict,
    ImagetreeError,
    InvalidInput,
    MissingPart,
    NotFound,
)
from imagetree.core.progress import Report, silent
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.release.release import Release
from imagetree.workflows import releases
from imagetree.workflows.context import Context

if TYPE_CHECKING:
    from imagetree.train.evaluation import Evaluation
    from imagetree.train.prediction import Guess

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
# What a recipe may say beside the training itself: how the network is built and fed.
BUILD = ("image_size", "channels", "options")
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


def plan(
    context: Context,
    release: str,
    network: str,
    *,
    name: str | None,
    seed: int,
    recipe: dict[str, Any],
) -> Params:
    """The whole parameters of a training job, or the error that it would end in.

    An interrupted run of the same name and settings is gone on with; a finished one is a
    Conflict.
    """
    require_torch()
    from imagetree.networks import registry
    from imagetree.train.recipe import Recipe

    opened = releases.open_release(releases.pieces_of(context), release)
    entry = registry.entry(network)
    image_size = int(recipe.get("image_size") or _image_size(context, opened, network))
    options = dict(recipe.get("options") or {})
    options.update({key: recipe[key] for key in entry.options() if key in recipe})
    given = {
        key: value
        for key, value in recipe.items()
        if key not in (*BUILD, *entry.options()) and value is not None
    }
    settings = entry.default_recipe(image_size, len(opened.classes)) | given | {"seed": seed}
    settings = Recipe.of(settings).as_dict()
    channels = int(recipe.get("channels") or (1 if network == "lenet5" else 3))
    whole = {"image_size": image_size, "channels": channels, "options": options, **settings}
    whole = json.loads(json.dumps(whole))
    chosen = name or _free_name(context, f"{network}-{release}", whole)
    if not _NAME.match(chosen):
        raise InvalidInput(
            f"{chosen!r} is no name for a run.",
            hint="Use up to 64 letters, digits, dots, dashes and underscores.",
        )
    row = _row(context, chosen)
    if row is not None:
        same = (row.release, row.network, row.recipe) == (release, network, whole)
        if row.state == "done" or not same:
            raise Conflict(
                f"There is a run {chosen!r} already.", hint="Give another name with --name."
            )
    return {
        "name": chosen,
        "release": release,
        "network": network,
        "seed": seed,
        "recipe": whole,
    }


def _image_size(context: Context, release: Release, network: str) -> int:
    """The size to train at: 32 px for LeNet-5, else what the release's photos allow."""
    if network == "lenet5":
        return 32
    image = schema.image.c
    with context.engine.connect() as connection:
        sides = connection.execute(
            sa.select(image.width_px, image.height_px)
            .join(schema.release_image, schema.release_image.c.sha256 == image.sha256)
            .where(schema.release_image.c.release == release.name)
            .limit(1000)
        ).all()
    if not sides:
        raise NotFound(f"Release {release.name!r} has no image left in this database.")
    shorter = float(np.median([min(row) for row in sides]))
    return int(next((size for size in (96, 64, 48, 32) if shorter >= size), 32))


def _free_name(context: Context, base: str, recipe: dict[str, Any]) -> str:
    """The base name or the first free one after it; an interrupted run of the same goes on."""
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        row = _row(context, name)
        if row is None or (row.state != "done" and row.recipe == recipe):
            return name
        number += 1


def _row(context: Context, name: str) -> sa.Row[Any] | None:
    with context.engine.connect() as connection:
        return connection.execute(sa.select(schema.run).where(schema.run.c.name == name)).first()


def train(steps: Steps, context: Context, params: Params) -> Json:
    """The finished run's name and figures; resumes from its last checkpoint when interrupted."""
    require_torch()
    name = params["name"]
    steps.run("open", lambda: _open(context, params))

    def work() -> Json:
        try:
            return _train(context, params, steps.report, steps.should_stop)
        except Cancelled:
            _finish(context, name, state="stopped", reason="cancelled")
            raise
        except ImagetreeError as error:
            _finish(context, name, state="failed", reason=error.message)
            raise

    done = steps.run("train", work)
    steps.run("close", lambda: _finish(context, name, state="done", **done))
    return {"name": name, **done}


def _open(context: Context, params: Params) -> None:
    from imagetree.networks.bundle import versions

    with context.writing("run.started") as write:
        row = write.connection.execute(
            sa.select(schema.run.c.name).where(schema.run.c.name == params["name"])
        ).first()
        fields = {"state": "running", "reason": "", "finished_at": None}
        if row is not None:
            write.update(schema.run, [{"name": params["name"], **fields}])
        else:
            write.insert(
                schema.run,
                [
                    {
                        "name": params["name"],
                        "release": params["release"],
                        "network": params["network"],
                        "recipe": params["recipe"],
                        "seed": params["seed"],
                        "started_at": write.at,
                        "seconds": None,
                        "n_parameters": None,
                        "versions": versions(),
                        **fields,
                    }
                ],
            )
        write.summary = f"Run {params['name']}: {params['network']} on {params['release']}"


def _finish(
    context: Context,
    name: str,
    *,
    state: str,
    reason: str = "",
    seconds: float | None = None,
    n_parameters: int | None = None,
) -> None:
    with context.writing("run.finished") as write:
        row: dict[str, Any] = {
            "name": name,
            "state": state,
            "reason": reason,
            "finished_at": write.at,
        }
        if seconds is not None:
            row |= {"seconds": seconds, "n_parameters": n_parameters}
        write.update(schema.run, [row])
        write.summary = f"Run {name}: {reason or state}"


def _train(
    context: Context, params: Params, report: Report, should_stop: Callable[[], bool]
) -> dict[str, Any]:
    from imagetree.networks import bundle, registry
    from imagetree.train.loop import train as run_loop
    from imagetree.train.recipe import Recipe

    recipe = dict(params["recipe"])
    build = {key: recipe.pop(key) for key in BUILD}
    settings = Recipe.of(recipe)
    release = releases.open_release(releases.pieces_of(context), params["release"])
    first, *others = _split_order(release)
    folder = context.settings.runs_folder / params["name"]
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    network = registry.build_seeded(
        params["network"],
        seed=params["seed"],
        n_classes=len(release.classes),
        image_size=build["image_size"],
        channels=build["channels"],
        **build["options"],
    )
    loaders = [
        _loader(release, split, build, settings, training=split == first)
        for split in (first, *others[:1])
    ]
    result = run_loop(
        network,
        loaders[0],
        loaders[1] if others else None,
        settings,
        folder=folder,
        report=report,
        should_stop=should_stop,
    )
    if not result.finished:
        raise Cancelled(
            f"Run {params['name']} was stopped; its checkpoint is kept.",
            hint="Train again with the same name to go on.",
        )
    n_parameters = sum(one.numel() for one in result.network.parameters() if one.requires_grad)
    made = bundle.Bundle(
        network=params["network"],
        wnids=release.classes,
        class_names=tuple(release.class_names),
        preprocessing=bundle.Preprocessing(
            image_size=build["image_size"],
            resize_px=settings.resize_px,
            mean=settings.mean,
            std=settings.std,
            channels=build["channels"],
        ),
        options=_build_options(build),
        versions=bundle.versions(),
        extra={"release": release.name, "release_id": release.release_id, "seed": params["seed"]},
    )
    bundle.save(folder / "bundle", result.network, bundle=made)
    metrics = folder / "metrics.jsonl"
    return {
        "seconds": round(_seconds(metrics, time.monotonic() - started), 3),
        "n_parameters": n_parameters,
    }


def _build_options(build: dict[str, Any]) -> dict[str, Any]:
    return dict(build["options"])


def _seconds(metrics: Path, measured: float) -> float:
    """Seconds of training over all its sittings, from the log where it tells them."""
    try:
        rows = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
        told = sum(float(row.get("seconds") or 0) for row in rows)
    except (OSError, ValueError):
        return measured
    return max(told, measured)


def _split_order(release: Release) -> list[str]:
    """The split to train on first, then the one to watch: val where there is one."""
    names = list(release.splits)
    train_split = "train" if "train" in names else names[0]
    rest = sorted((one for one in names if one != train_split), key=lambda one: one != "val")
    return [train_split, *rest]


def _loader(
    release: Release,
    split: str,
    build: dict[str, Any],
    settings: Any,
    *,
    training: bool,
    views: int = 1,
) -> Any:
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
    )


# ---- after training ----


def open_run(context: Context, name: str) -> Run:
    """A run and its scores; NotFound with the names that there are."""
    row = _row(context, name)
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
    build = {key: recipe.pop(key) for key in BUILD}
    loader = _loader(release, split, build, Recipe.of(recipe), training=False, views=views)
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
