"""What a run may look at while it trains: never a split named test.

The errors told after each epoch, and the plateau schedule, need images that are not trained on.
A release that has a split `val` gives them. Where it has none, a part of each class is held out
of the training split: by the run's seed, near duplicates kept together, the list of images
written into the run's folder, so that a run that goes on later holds out the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import IntegrityFailure, InvalidInput, NotFound
from imagetree.release import splits
from imagetree.release.release import Release
from imagetree.workflows.context import Context

FILE_NAME = "held-out.json"
HELD_OUT = "held out of "
_VALIDATION = ("val", "valid", "validation")


def train_split(release: Release) -> str:
    """The split to train on: `train`, or the largest that is for neither watching nor testing."""
    if "train" in release.splits:
        return "train"
    for name in release.splits:
        if name not in _VALIDATION and not _is_test(name):
            return name
    raise NotFound(
        f"Release {release.name} has no split to train on, only {', '.join(release.splits)}.",
        hint="Make one that has: imagetree release create ... --split train=0.7,test=0.3",
    )


def _is_test(name: str) -> bool:
    return name.startswith("test")


def watched(context: Context, release: Release, recipe: Mapping[str, Any]) -> str:
    """What the errors of each epoch are measured on: `val`, `held out of train`, or nothing.

    Nothing where classes are too small to hold out a part; InvalidInput where the schedule
    needs it.
    """
    own = next((name for name in _VALIDATION if release.splits.get(name)), "")
    if own:
        return own
    if _choose(context, release, share=recipe["validation"], seed=recipe["seed"]):
        return HELD_OUT + train_split(release)
    if recipe["schedule"] == "plateau":
        raise InvalidInput(
            f"The plateau schedule needs images to watch: release {release.name} has no split "
            f"val, and validation={recipe['validation']:g} holds none out of its classes.",
            hint="Give a larger validation, or make a release with train=0.6,val=0.1,test=0.3.",
        )
    return ""


def held_out(
    context: Context, release: Release, *, share: float, seed: int, folder: Path
) -> frozenset[str]:
    """SHA-256 of the images of the training split that a run watches and does not train on.

    Each class gives `share` of its images, small classes none. What was chosen first counts:
    a run that goes on reads it from its folder.
    """
    path = folder / FILE_NAME
    if path.is_file():
        return _stored(path)
    chosen = _choose(context, release, share=share, seed=seed)
    part = path.with_suffix(".new")
    part.write_text(
        json.dumps({"share": share, "seed": seed, "sha256": chosen}, indent=1), encoding="utf-8"
    )
    part.replace(path)
    return frozenset(chosen)


def _choose(context: Context, release: Release, *, share: float, seed: int) -> list[str]:
    if share <= 0:
        return []
    images = release.images(train_split(release))
    parts = splits.assign(
        _centres(context, {one.sha256 for one in images}),
        {one.sha256: one.present for one in images},
        splits={"train": 1.0 - share, "watched": share},
        seed=seed,
    )
    return sorted(sha256 for sha256, part in parts.items() if part == "watched")


def _stored(path: Path) -> frozenset[str]:
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityFailure(
            f"{path} cannot be read.", hint="Train under another name with --name."
        ) from error


def _centres(context: Context, sha256s: set[str]) -> dict[str, str]:
    """The centre of each image's near duplicates, its own SHA-256 where it has none here."""
    image, centre = schema.image.alias("one"), schema.image.alias("centre")
    near = schema.near_duplicate
    statement = (
        sa.select(image.c.sha256, centre.c.sha256.label("of"))
        .select_from(near)
        .join(image, image.c.image_id == near.c.image_id)
        .join(centre, centre.c.image_id == near.c.centre_id)
    )
    found = {sha256: sha256 for sha256 in sha256s}
    with context.engine.connect() as connection:
        for sha256, of in connection.execute(statement):
            if sha256 in found:
                found[sha256] = of
    return found
