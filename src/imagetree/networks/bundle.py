"""A weight bundle: one folder that holds all that is needed to predict with a network.

    weights.safetensors   the weights; reading them runs no code
    bundle.json           network, options, classes in index order, preprocessing, versions
    card.md               the same for people, with whatever the caller adds

It knows no catalog: the classes carry their names with them.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from imagetree.core.errors import IntegrityFailure, NotFound
from imagetree.networks.registry import build

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an RGB photo becomes the network's input: resize, centre crop, normalise.

    `mean` and `std` are per channel for values from 0 to 1; `resize_px` is the shorter side.
    """

    image_size: int
    resize_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int = 3
    interpolation: str = "bilinear"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What bundle.json holds. `wnids` and `class_names` are in the order of the outputs."""

    network: str
    wnids: tuple[str, ...]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def versions() -> dict[str, str]:
    """The versions that a score depends on."""
    try:
        own = metadata.version("imagetree")
    except metadata.PackageNotFoundError:  # run from the source tree, not installed
        own = "unknown"
    return {
        "imagetree": own,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def save(folder: Path, network: nn.Module, *, bundle: Bundle, card: str = "") -> Path:
    """The folder, written whole or not at all; one that was there before is replaced.

    `card` is Markdown added to card.md (scores, data, limits).
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        weights = {k: v.detach().contiguous().cpu() for k, v in network.state_dict().items()}
        save_file(weights, fresh / "weights.safetensors")
        record = {"format": FORMAT, **asdict(bundle)}
        record["versions"] = bundle.versions or versions()
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (fresh / "bundle.json").write_text(text, encoding="utf-8")
        (fresh / "card.md").write_text(_card(record, card), encoding="utf-8")
        for name in ("weights.safetensors", "bundle.json", "card.md"):
            _sync(fresh / name)
        fresh.chmod(0o755)
        if folder.exists():
            # a folder cannot be renamed over a full one: move the old one aside first
            old = fresh.with_name(fresh.name + ".old")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def describe(folder: Path) -> Bundle:
    """The bundle's description alone. Errors: NotFound, IntegrityFailure."""
    path = Path(folder) / "bundle.json"
    if not path.is_file():
        raise NotFound(f"{folder} is not a weight bundle.", hint="It has no bundle.json.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("format") != FORMAT:
            raise ValueError("its format is of another version")
        shape = record.pop("preprocessing")
        shape["mean"], shape["std"] = tuple(shape["mean"]), tuple(shape["std"])
        record["wnids"] = tuple(record["wnids"])
        record["class_names"] = tuple(record["class_names"])
        return Bundle(preprocessing=Preprocessing(**shape), **record)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityFailure(
            f"{path} cannot be read: {error}.", hint="Train or copy the bundle again."
        ) from error


def load(folder: Path) -> tuple[nn.Module, Bundle]:
    """The network with its weights, in evaluation mode, and its description.

    Errors: NotFound without a bundle, IntegrityFailure when weights and description disagree.
    """
    bundle = describe(folder)
    shape = bundle.preprocessing
    network = build(
        bundle.network,
        n_classes=len(bundle.wnids),
        image_size=shape.image_size,
        channels=shape.channels,
        **bundle.options,
    )
    path = Path(folder) / "weights.safetensors"
    try:
        network.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise IntegrityFailure(
            f"{path} does not hold the weights of {bundle.network}: {error}",
            hint="Train or copy the bundle again.",
        ) from error
    network.preprocessing = shape  # type: ignore[assignment]  # what evaluation reads
    return network.eval(), bundle


def _card(record: dict[str, Any], card: str) -> str:
    shape = record["preprocessing"]
    classes = "\n".join(
        f"| {i} | {wnid} | {name} |"
        for i, (wnid, name) in enumerate(zip(record["wnids"], record["class_names"], strict=True))
    )
    return (
        f"# {record['network']}, {len(record['wnids'])} classes\n\n"
        f"Input: shorter side {shape['resize_px']} px, centre {shape['image_size']} px, "
        f"{shape['channels']} channels, mean {shape['mean']}, std {shape['std']}.\n\n"
        f"Options: `{json.dumps(record['options'])}`. Versions: "
        + ", ".join(f"{k} {v}" for k, v in record["versions"].items())
        + f".\n\n{card.strip()}\n\n| index | wnid | name |\n|---|---|---|\n{classes}\n"
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
