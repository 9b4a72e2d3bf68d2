"""The networks by name: what the command line, recipes and bundles call them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import torch
from torch import nn

from imagetree.core.errors import InvalidInput
from imagetree.networks.alexnet import SMALL_BELOW_PX, AlexNet
from imagetree.networks.lenet import LeNet5

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One network: its class, and the recipe that trains it when the user gives none."""

    network: Callable[..., nn.Module]
    recipe: Callable[[int, int], dict[str, Any]]

    def default_recipe(self, image_size: int, n_classes: int) -> dict[str, Any]:
        """The fields of `train.recipe.Recipe` that suit this network at this size."""
        return self.recipe(image_size, n_classes)

    def options(self) -> tuple[str, ...]:
        """Names of the options beyond n_classes, image_size and channels."""
        given = {"n_classes", "image_size", "channels"}
        return tuple(sorted(set(inspect.signature(self.network).parameters) - given))


def _lenet_recipe(image_size: int, n_classes: int) -> dict[str, Any]:
    return {
        "epochs": 15,
        "batch_size": 32,
        "learning_rate": 0.05,
        "momentum": 0.9,
        "nesterov": True,
        "clip_norm": 1.0,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "mean": (0.5,),
        "std": (0.5,),
        "flip": False,
        "crop_scale": (0.8, 1.0),
        "resize_px": 32,
        "validation": 0.05,
    }


def _alexnet_recipe(image_size: int, n_classes: int) -> dict[str, Any]:
    if image_size < SMALL_BELOW_PX:
        return {
            "epochs": 40,
            "validation": 0.05,
            "batch_size": 64,
            "learning_rate": 0.02,
            "nesterov": True,
            "weight_decay": 5e-4,
            "schedule": "cosine",
            "warmup_epochs": 2.0,
            "label_smoothing": 0.1,
            "ema": 0.998,
            "clip_norm": 2.0,
            "bf16": True,
            "colour_jitter": 0.3,
            "crop_scale": (0.3, 1.0),
            "resize_px": round(image_size * 110 / 96),
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
        }
    return {
        "epochs": 91,
        "batch_size": 128,
        "learning_rate": 0.01,
        "weight_decay": 5e-4,
        "schedule": "step",
        "milestones": (25, 51, 79),
        "bf16": True,
        "resize_px": round(image_size * 256 / 224),
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
_ENTRIES = {
    "alexnet": Entry(network=AlexNet, recipe=_alexnet_recipe),
    "lenet5": Entry(network=LeNet5, recipe=_lenet_recipe),
}


def names() -> tuple[str, ...]:
    """The names of all networks, sorted."""
    return tuple(sorted(_ENTRIES))


def entry(name: str) -> Entry:
    """The entry of a network. Errors: InvalidInput with the names that exist."""
    if name not in _ENTRIES:
        raise InvalidInput(f"No network {name!r}.", hint=f"There are: {', '.join(names())}.")
    return _ENTRIES[name]


def build(
    name: str, *, n_classes: int, image_size: int, channels: int = 3, **options: Any
) -> nn.Module:
    """A fresh network whose weights come from torch's generator (seed it before).

    Errors: InvalidInput for an unknown name or option, listing what exists.

    Example:
        >>> sum(p.numel() for p in build("lenet5", n_classes=10, image_size=32).parameters())
        61150
    """
    found = entry(name)
    unknown = sorted(set(options) - set(found.options()))
    if unknown:
        known = ", ".join(found.options()) or "none"
        raise InvalidInput(
            f"{name} has no option {', '.join(unknown)}.", hint=f"Its options: {known}."
        )
    hints = get_type_hints(found.network.__init__)
    for option, value in options.items():
        _check_option(name, option, value, kind=hints[option])
    return found.network(n_classes=n_classes, image_size=image_size, channels=channels, **options)


def _check_option(name: str, option: str, value: Any, *, kind: Any) -> None:
    """InvalidInput where the value is not of the type that the network declares."""
    allowed = get_args(kind) or (kind,)
    if isinstance(value, bool):
        fits = bool in allowed
    elif isinstance(value, int):
        fits = int in allowed or float in allowed
    else:
        fits = any(isinstance(value, one) for one in allowed)
    if not fits:
        wanted = " or ".join(_WORDS[one] for one in allowed if one in _WORDS)
        raise InvalidInput(f"{name}'s {option} must be {wanted}, not {value!r}.")


def check(name: str, **options: Any) -> int:
    """The number of trainable parameters of `build(name, ...)`, found without its memory.

    Errors: those of `build`.

    Example:
        >>> check("alexnet", n_classes=1000, image_size=224)
        60965224
    """
    with torch.device("meta"):  # shapes only
        network = build(name, **options)
    return sum(one.numel() for one in network.parameters() if one.requires_grad)


def default_recipe(name: str, *, image_size: int, n_classes: int) -> dict[str, Any]:
    """The recipe of `entry(name)`, as a dict of `train.recipe.Recipe` fields."""
    return entry(name).default_recipe(image_size, n_classes)


def build_seeded(name: str, *, seed: int, **options: Any) -> nn.Module:
    """A network whose first weights follow from the seed; the global generator is untouched."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(name, **options)
