"""Runs: trained on a release, evaluated against it, kept with all that made them.

A run is a folder `runs/<name>` (checkpoint, metrics.jsonl, TensorBoard events, bundle,
probabilities, figure) and a row. What happens in the folder can be interrupted anywhere.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import Busy, Cancelled, ImagetreeError
from imagetree.core.progress import Report
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.release.release import Release
from imagetree.workflows import releases, watching
from imagetree.workflows.context import Context
from imagetree.workflows.runs import BUILD, make_loader, require_torch


def train(steps: Steps, context: Context, params: Params) -> Json:
    """The finished run's name and figures; resumes from its last checkpoint when interrupted."""
    require_torch()
    name = params["name"]
    steps.run("open", lambda: _open(context, params))

    def work() -> Json:
        try:
            with _alone(context.settings.runs_folder / name):
                return _train(context, params, steps.report, steps.should_stop)
        except Busy:  # the run is another process's, and so is its state
            raise
        except (Cancelled, KeyboardInterrupt):
            _finish(context, name, state="stopped", reason="cancelled")
            raise
        except Exception as error:
            reason = error.message if isinstance(error, ImagetreeError) else repr(error)
            _finish(context, name, state="failed", reason=reason)
            raise

    done = steps.run("train", work)
    steps.run("close", lambda: _finish(context, name, state="done", **done))
    return {"name": name, **done}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the run's folder for this process; Busy where another one trains in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "training.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                f"Run {folder.name!r} is being trained by another process.",
                hint="Wait for it, or give another name with --name.",
            ) from error
        yield


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
    folder = context.settings.runs_folder / params["name"]
    network = registry.build_seeded(
        params["network"],
        seed=params["seed"],
        n_classes=len(release.classes),
        image_size=build["image_size"],
        channels=build["channels"],
        **build["options"],
    )
    to_train, to_watch = _loaders(context, release, build, settings, folder)
    result = run_loop(
        network,
        to_train,
        to_watch,
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
    return {
        "seconds": round(result.seconds, 3),
        "n_parameters": n_parameters,
    }


def _loaders(
    context: Context, release: Release, build: dict[str, Any], settings: Any, folder: Path
) -> tuple[Any, Any]:
    """The loader to train on, and the one to watch or None; neither is of a split named test."""
    split, watched = watching.train_split(release), settings.watched
    if not watched.startswith(watching.HELD_OUT):
        return (
            make_loader(release, split, build, settings, training=True),
            make_loader(release, watched, build, settings, training=False) if watched else None,
        )
    apart = watching.held_out(
        context, release, share=settings.validation, seed=settings.seed, folder=folder
    )
    return (
        make_loader(release, split, build, settings, training=True, without=apart),
        make_loader(release, split, build, settings, training=False, only=apart),
    )


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
        extra={"release": release.name, "release_id": release.release_id, "seed": params["seed"]},
    )
