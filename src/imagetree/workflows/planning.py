"""A training as asked for, made whole and checked before any work."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.catalog.statements.run import RunRow
from imagetree.core.errors import Conflict, InvalidInput, NotFound, TrainingFailure
from imagetree.jobs.steps import Params
from imagetree.release.release import Release
from imagetree.workflows import releases, watching
from imagetree.workflows.context import Context
from imagetree.workflows.runs import BUILD, find_row, make_loader, require_torch

if TYPE_CHECKING:
    from imagetree.train.recipe import Recipe

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

    `recipe` holds what differs from the network's own recipe, options of the network among it.
    An interrupted run of the same name and settings is gone on with; a finished one is a
    Conflict.
    """
    require_torch()
    from imagetree.networks import registry

    opened = releases.open_release(releases.pieces_of(context), release)
    entry = registry.entry(network)
    build = {
        "image_size": _whole(recipe, "image_size") or _image_size(context, opened, network),
        "channels": _whole(recipe, "channels") or (1 if network == "lenet5" else 3),
        "options": dict(recipe.get("options") or {})
        | {key: recipe[key] for key in entry.options() if key in recipe},
    }
    given = {
        key: value
        for key, value in recipe.items()
        if key not in (*BUILD, *entry.options()) and value is not None
    }
    if given.get("seed", seed) != seed:
        raise InvalidInput("The seed is no setting of the recipe.", hint="Give it by --seed.")
    # An epoch's errors are measured on what follows from the release, so it is no choice.
    asked = given.pop("watched", "")
    settings = _settings(entry, opened, build, given | {"seed": seed})
    whole = build | settings.as_dict()
    whole["watched"] = watching.watched(context, opened, whole)
    if asked not in ("", whole["watched"]):
        raise InvalidInput(
            "What a run watches follows from the release: its split val, else a part of train.",
            hint="Set how much of train: --set validation=0.1, or 0 to watch nothing.",
        )
    _check(network, opened, build, settings)
    whole = json.loads(json.dumps(whole))
    return {
        "name": _name(context, name, release, network, whole),
        "release": release,
        "network": network,
        "seed": seed,
        "recipe": whole,
    }


def _whole(recipe: dict[str, Any], key: str) -> int:
    """A positive whole number of the recipe; 0 where it does not say."""
    value = recipe.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f"{key} must be a whole number above 0, not {value!r}.")
    return value


def _settings(entry: Any, release: Release, build: dict[str, Any], given: dict[str, Any]) -> Recipe:
    """The network's own recipe at this size with what was given; colours as many as channels."""
    from imagetree.train.recipe import Recipe

    own = entry.default_recipe(build["image_size"], len(release.classes))
    for key in ("mean", "std"):
        if len(own[key]) != build["channels"]:
            own[key] = (sum(own[key]) / len(own[key]),) * build["channels"]
    settings = Recipe.of(own | given)
    if len(settings.mean) != build["channels"]:
        raise InvalidInput(
            f"mean and std have {len(settings.mean)} value(s) for {build['channels']} channel(s).",
            hint="Give as many values as channels, or leave them out.",
        )
    return settings


def _check(network: str, release: Release, build: dict[str, Any], settings: Recipe) -> None:
    """The errors of images, classes and network, told before any work."""
    from imagetree.networks import registry

    registry.check(
        network,
        n_classes=len(release.classes),
        image_size=build["image_size"],
        channels=build["channels"],
        **build["options"],
    )
    loader = make_loader(release, watching.train_split(release), build, settings, training=True)
    named = zip(release.class_names, release.classes, loader.class_counts, strict=True)
    missing = [f"{name} ({wnid})" for name, wnid, n_images in named if not n_images]
    if missing:
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        raise TrainingFailure(
            f"Release {release.name} has no training images of {', '.join(missing[:5])}{more}.",
            hint="Collect some, or make a release without these classes.",
        )


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


def _name(
    context: Context, name: str | None, release: str, network: str, recipe: dict[str, Any]
) -> str:
    """The run's name: the one given, or the first that is free or that can be gone on with."""
    if name is not None:
        if not _NAME.match(name):
            raise InvalidInput(
                f"{name!r} is no name for a run.",
                hint="Use up to 64 letters, digits, dots, dashes and underscores.",
            )
        row = find_row(context, name)
        if row is not None and row.state == "done":
            raise Conflict(
                f"Run {name!r} is trained already.", hint="Give another name with --name."
            )
        if row is not None and (changed := _differences(row, release, network, recipe)):
            raise Conflict(
                f"Run {name!r} was begun with other settings: {', '.join(changed)}.",
                hint="Give the same again to go on with it, or another name with --name.",
            )
        return name
    base = f"{network}-{release}"
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        row = find_row(context, name)
        if row is None or (row.state != "done" and not _differences(row, release, network, recipe)):
            return name
        number += 1


def _differences(row: RunRow, release: str, network: str, recipe: dict[str, Any]) -> list[str]:
    """What a run that was begun does otherwise, as `epochs 40, not 20`."""
    before = row.recipe | {"release": row.release, "network": row.network}
    now = recipe | {"release": release, "network": network}
    return [
        f"{key} {before.get(key)}, not {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
