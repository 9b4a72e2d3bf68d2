"""Runs: trained on a release, evaluated against it, kept with all that made them.

A run is a folder `runs/<name>` (checkpoint, metrics.jsonl, TensorBoard events, bundle,
probabilities, figure) and a row. What happens in the folder can be interrupted anywhere.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import (
    Cancelled,
    Conflict,
    ImagetreeError,
    InvalidInput,
    NotFound,
)
from imagetree.core.progress import Report
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.release.release import Release
from imagetree.workflows import releases
from imagetree.workflows.context import Context
from imagetree.workflows.runs import BUILD, find_row, make_loader, require_torch

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


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
    reads = opened.source(recipe.get("reads")).description
    whole = {"image_size": image_size, "channels": channels, "options": options, "reads": reads}
    whole |= settings
    whole = json.loads(json.dumps(whole))
    chosen = name or _free_name(context, f"{network}-{release}", whole)
    if not _NAME.match(chosen):
        raise InvalidInput(
            f"{chosen!r} is no name for a run.",
            hint="Use up to 64 letters, digits, dots, dashes and underscores.",
        )
    row = find_row(context, chosen)
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
        row = find_row(context, name)
        if row is None or (row.state != "done" and row.recipe == recipe):
            return name
        number += 1


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
    build = {key: recipe.pop(key, None) for key in BUILD}
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
        make_loader(release, split, build, settings, training=split == first)
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
    described = _bundle(params, release, build, settings)
    bundle.save(folder / "bundle", result.network, bundle=described)
    metrics = folder / "metrics.jsonl"
    return {
        "seconds": round(_seconds(metrics, time.monotonic() - started), 3),
        "n_parameters": n_parameters,
    }


def _bundle(params: Params, release: Release, build: dict[str, Any], settings: Any) -> Any:
    """What the weights are: classes, preprocessing, and the release that they were trained on."""
    from imagetree.networks import bundle

    return bundle.Bundle(
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
        options=dict(build["options"]),
        versions=bundle.versions(),
        extra={
            "release": release.name,
            "release_id": release.release_id,
            "seed": params["seed"],
            "reads": build["reads"],
        },
    )


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
