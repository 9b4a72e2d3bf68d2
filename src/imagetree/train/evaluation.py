"""Scores of a network on a split: never without protocol, interval, seed and versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imagetree.benchmark import metrics
from imagetree.core.errors import InvalidInput
from imagetree.core.progress import Progress, Report, silent
from imagetree.networks.bundle import Preprocessing, versions
from imagetree.train.batches import Loader, normalised


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of one run over one split; `reads` is what the images were read from.

    `errors` and `intervals` are keyed by k, shares from 0 to 1. `probabilities` (N, C) float32,
    `labels` (N,) and `sha256` are in the order of the loader.
    """

    errors: dict[int, float]
    intervals: dict[int, metrics.Interval]
    bootstraps: dict[int, metrics.Interval]
    n_images: int
    protocol: str
    reads: str
    seed: int
    versions: dict[str, str]
    classes: tuple[str, ...]
    class_errors: NDArray[np.float64]
    confusion: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    sha256: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The scores as JSON takes them, without the probabilities."""
        per_class = [None if np.isnan(e) else float(e) for e in self.class_errors]
        return {
            "errors": {f"top{k}": error for k, error in self.errors.items()},
            "intervals": {f"top{k}": [i.low, i.high] for k, i in self.intervals.items()},
            "bootstraps": {f"top{k}": [i.low, i.high] for k, i in self.bootstraps.items()},
            "confidence": metrics.CONFIDENCE_999,
            "n_images": self.n_images,
            "protocol": self.protocol,
            "reads": self.reads,
            "seed": self.seed,
            "versions": self.versions,
            "class_errors": dict(zip(self.classes, per_class, strict=True)),
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        rows = [
            f"top-{k} error  {100 * error:5.2f}%   99.9% interval "
            f"{100 * self.intervals[k].low:.2f} to {100 * self.intervals[k].high:.2f}%"
            for k, error in self.errors.items()
        ]
        used = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        read = f"; read from {self.reads}" if self.reads else ""
        rows.append(f"{self.n_images:,} images; {self.protocol}{read}; seed {self.seed}; {used}")
        return "\n".join(rows)


def evaluate(
    network: nn.Module,
    loader: Loader,
    *,
    views: int = 1,
    k: Sequence[int] = (1, 5),
    seed: int = 0,
    report: Report = silent,
    preprocessing: Preprocessing | None = None,
) -> Evaluation:
    """The top-k errors of a network on the loader's images, the softmax averaged over the views.

    views: 1 (centre), 2 (with its flip) or 10 (four corners and centre, flipped), cut from what
    the loader gives: for 10 it must give images larger than the network's. `seed` is that of the
    bootstrap. `preprocessing` is by default the one that training or loading put on the network.

    Errors: InvalidInput without preprocessing, without images, with views other than 1, 2, 10.
    """
    shape = preprocessing or getattr(network, "preprocessing", None)
    if not isinstance(shape, Preprocessing):
        raise InvalidInput(
            "It is not known how images of this network are normalised.",
            hint="Give preprocessing=, or load the network from its bundle.",
        )
    probabilities, labels, sha256 = _run(network, loader, shape=shape, views=views, report=report)
    if not len(labels):
        raise InvalidInput("There are no images to score.", hint="Choose a split that has some.")
    truth, n_classes = labels, len(loader.classes)
    guesses = metrics.top_guesses(probabilities, max(k))
    missed = {one: metrics.wrong(guesses, truth, k=one) for one in k}
    first = metrics.wrong(guesses, truth, k=1)
    errors = {one: float(flags.mean()) for one, flags in missed.items()}
    plural = "view" if views == 1 else "views"
    return Evaluation(
        errors=errors,
        intervals={one: metrics.wilson(errors[one], len(truth)) for one in k},
        bootstraps={one: metrics.bootstrap(missed[one], seed) for one in k},
        n_images=len(truth),
        protocol=f"resize {shape.resize_px}, centre crop {shape.image_size}, {views} {plural}",
        reads=str(getattr(loader, "source", "")),
        seed=seed,
        versions=versions(),
        classes=tuple(loader.classes),
        class_errors=metrics.class_errors(first, truth, n_classes=n_classes),
        confusion=metrics.confusion(truth, guesses[:, 0], n_classes=n_classes),
        probabilities=probabilities,
        labels=truth,
        sha256=sha256,
    )


def crops(images: Tensor, image_size: int, *, views: int) -> list[Tensor]:
    """The views of a batch (N, C, H, W), each (N, C, image_size, image_size)."""
    height, width = images.shape[2:]
    down, right = height - image_size, width - image_size
    if views not in (1, 2, 10):
        raise InvalidInput(f"There is no protocol of {views} views.", hint="Use 1, 2 or 10.")
    if down < 0 or right < 0 or (views == 10 and not (down and right)):
        raise InvalidInput(
            f"{views} views of {image_size} px cannot be cut from {width} x {height} px.",
            hint="Give a loader with a larger image_size.",
        )
    corners = [(down // 2, right // 2)]
    if views == 10:
        corners += [(0, 0), (0, right), (down, 0), (down, right)]
    cuts = [images[:, :, t : t + image_size, s : s + image_size] for t, s in corners]
    return cuts if views == 1 else [*cuts, *(cut.flip(3) for cut in cuts)]


def probabilities_of(network: nn.Module, views: Sequence[Tensor]) -> Tensor:
    """The softmax averaged over the views, (N, n_classes) float32."""
    with torch.inference_mode():
        return torch.stack([network(v).float().softmax(1) for v in views]).mean(0)


def _run(
    network: nn.Module, loader: Loader, *, shape: Preprocessing, views: int, report: Report
) -> tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]:
    was_training = network.training
    network.eval()
    parts: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    sha256: list[str] = []
    try:
        for batch in loader.epoch(0):
            x = normalised(batch.images, mean=shape.mean, std=shape.std)
            cuts = crops(x, shape.image_size, views=views)
            parts.append(probabilities_of(network, cuts).numpy())
            labels.append(batch.labels)
            sha256.extend(batch.sha256)
            report(
                Progress(
                    what="evaluate", n_done=len(sha256), n_total=loader.n_images, unit="images"
                )
            )
    finally:
        network.train(was_training)
    if not parts:
        return np.zeros((0, len(loader.classes)), np.float32), np.zeros(0, np.int64), ()
    return np.concatenate(parts), np.concatenate(labels), tuple(sha256)
