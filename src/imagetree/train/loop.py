"""The training loop: SGD, checkpoints, resume. All of it is in `train`, top to bottom.

A run's folder holds checkpoint.pt, metrics.jsonl (one row an epoch) and tensorboard/. The state
after a step depends on the recipe, the network's first weights and the loader alone: a run that
is killed and started again with the same arguments ends with the same weights, bit for bit.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from imagetree.core.errors import Conflict, InvalidInput, OutOfSpace, TrainingFailure
from imagetree.core.progress import Progress, Report, silent
from imagetree.networks.bundle import Preprocessing
from imagetree.train import checkpoints
from imagetree.train.batches import Batch, Loader, jittered
from imagetree.train.evaluation import evaluate
from imagetree.train.recipe import Recipe
from imagetree.train.schedules import Plateau, learning_rate


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """`network` carries the final weights (the averaged ones where the recipe has an EMA).

    `seconds` is the time of all sittings, but for what a kill cost since the last checkpoint.
    """

    network: nn.Module
    finished: bool
    n_steps: int
    n_epochs: int
    seconds: float
    rows: tuple[dict[str, Any], ...]


@dataclass
class _State:
    """Where a run is, and all that the next step depends on."""

    network: nn.Module
    average: nn.Module | None
    optimiser: torch.optim.SGD
    plateau: Plateau = field(default_factory=Plateau)
    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seen: set[int] = field(default_factory=set)
    told: str = ""
    began_at: float = field(default_factory=time.monotonic)  # as if in one sitting


def train(
    network: nn.Module,
    loader: Loader,
    validation: Loader | None,
    recipe: Recipe,
    *,
    folder: Path,
    report: Report = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """The trained network; a run found in `folder` goes on where its last checkpoint is.

    `should_stop` is asked after each batch: when true, a checkpoint is written and the result is
    not `finished`. Errors: TrainingFailure (no images, a class without images, a loss that is not
    a number), OutOfSpace (memory or disk), InvalidInput, Conflict (folder of another recipe).
    """
    _check_classes(loader)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.pt"
    torch.set_flush_denormal(True)  # tiny numbers late in a run are a hundred times slower
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        state = _start(network, recipe)
        _resume(state, path, recipe, loader)
        rows = _kept_rows(folder / "metrics.jsonl", state.step)
        state.told = _told(rows)
        with _board(folder / "tensorboard", state.step) as board:
            finished = True
            while state.epoch < recipe.epochs and finished:
                finished = _epoch(state, loader, recipe, path, report, should_stop)
                if not finished:
                    break
                row = _close_epoch(state, loader, validation, recipe)
                rows.append(row)
                state.told = _told(rows)
                _append(folder / "metrics.jsonl", row)
                for name in row.keys() - {"epoch", "step", "watched", "n_watched"}:
                    board(name, row[name], state.step)
                _save(state, path, recipe)
    final = state.average or state.network
    if final is not network:
        network.load_state_dict(final.state_dict())
    _mark(network, loader, recipe)
    return TrainResult(
        network=network.eval(),
        finished=finished,
        n_steps=state.step,
        n_epochs=state.epoch,
        seconds=time.monotonic() - state.began_at,
        rows=tuple(rows),
    )


def _told(rows: list[dict[str, Any]]) -> str:
    """The last epoch's watched errors, for the progress line; nothing before there are any."""
    if not rows or "top1_error" not in rows[-1]:
        return ""
    names = {"top1_error": "top-1", "top5_error": "top-5"}
    errors = [f"{name} {rows[-1][key]:.1%}" for key, name in names.items() if key in rows[-1]]
    return f", watched error {' '.join(errors)}"


def _epoch(
    state: _State,
    loader: Loader,
    recipe: Recipe,
    path: Path,
    report: Report,
    should_stop: Callable[[], bool],
) -> bool:
    """Whether the epoch came to its end; false when it was asked to stop."""
    state.network.train()
    saved_at = time.monotonic()
    n_batches = len(loader)
    for batch in loader.epoch(state.epoch, state.batch):
        loss = _step(state, batch, recipe, n_batches)
        state.batch, state.step = state.batch + 1, state.step + 1
        state.loss_sum += loss
        state.seen.update(int(label) for label in set(batch.labels.tolist()))
        report(
            Progress(
                what="train",
                n_done=state.step,
                n_total=n_batches * recipe.epochs,
                unit="batches",
                note=f"epoch {state.epoch + 1}/{recipe.epochs}, loss {loss:.3f}{state.told}",
            )
        )
        if should_stop():
            _save(state, path, recipe)
            return False
        every = recipe.checkpoint_every_batches
        due = bool(every) and state.batch % every == 0
        # the epoch's end writes its own, after its row of metrics
        if state.batch < n_batches and (
            due or time.monotonic() - saved_at > recipe.checkpoint_every_s
        ):
            _save(state, path, recipe)
            saved_at = time.monotonic()
    return True


def _step(state: _State, batch: Batch, recipe: Recipe, n_batches: int) -> float:
    """One step of SGD; gives the loss."""
    rate = learning_rate(recipe, state.step, steps_an_epoch=n_batches, plateau=state.plateau)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    # a generator of the step's own, so that a resumed run draws the same colours
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + state.step)
    try:
        x = jittered(
            batch.images,
            generator,
            strength=recipe.colour_jitter,
            mean=recipe.mean,
            std=recipe.std,
        )
        y = torch.tensor(batch.labels)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            logits: Tensor = state.network(x)
        loss = functional.cross_entropy(logits.float(), y, label_smoothing=recipe.label_smoothing)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingFailure(
                f"The loss is {value} at step {state.step} (epoch {state.epoch + 1}).",
                hint=f"Try a learning rate of {recipe.learning_rate / 3:.2g}, or clip_norm=1.",
            )
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, MemoryError) as error:
        raise _explained(error, len(batch.labels), tuple(batch.images.shape)) from error
    if recipe.clip_norm:
        nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip_norm)
    state.optimiser.step()
    if state.average is not None:
        keep = min(recipe.ema, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            pairs = zip(state.average.parameters(), state.network.parameters(), strict=True)
            for mean, now in pairs:
                mean.lerp_(now, 1 - keep)
    return value


def _close_epoch(
    state: _State, loader: Loader, validation: Loader | None, recipe: Recipe
) -> dict[str, Any]:
    """The row of metrics of the epoch that just ended."""
    missing = [c for i, c in enumerate(loader.classes) if i not in state.seen]
    if missing and not hasattr(loader, "class_counts") and len(loader) > len(loader.classes):
        raise _no_images_of(missing)
    row: dict[str, Any] = {
        "epoch": state.epoch + 1,
        "step": state.step,
        "loss": state.loss_sum / max(1, len(loader)),
        "learning_rate": state.optimiser.param_groups[0]["lr"],
    }
    if validation is not None:
        judged = state.average or state.network
        _mark(judged, validation, recipe)
        scores = evaluate(judged, validation)
        row |= {"watched": recipe.watched, "n_watched": scores.n_images}
        row |= {f"top{k}_error": error for k, error in scores.errors.items()}
        state.plateau.see(scores.errors[1], patience=recipe.patience)
    state.epoch, state.batch, state.loss_sum = state.epoch + 1, 0, 0.0
    state.seen.clear()
    return row


def _start(network: nn.Module, recipe: Recipe) -> _State:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim <= 1]  # decay pulls weights only
    groups: list[dict[str, Any]] = [
        {"params": weights},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    average = copy.deepcopy(network) if recipe.ema else None
    return _State(network=network, average=average, optimiser=optimiser)


def _save(state: _State, path: Path, recipe: Recipe) -> None:
    checkpoints.write(
        path,
        {
            "recipe": json.dumps(recipe.as_dict(), sort_keys=True),
            "network": state.network.state_dict(),
            "average": state.average.state_dict() if state.average is not None else {},
            "optimiser": state.optimiser.state_dict(),
            "plateau": asdict(state.plateau),
            "random": torch.get_rng_state(),
            "place": [state.epoch, state.batch, state.step],
            "seconds": time.monotonic() - state.began_at,
            "loss_sum": state.loss_sum,
            "seen": sorted(state.seen),
        },
    )


def _resume(state: _State, path: Path, recipe: Recipe, loader: Loader) -> None:
    stored = checkpoints.read(path)
    if stored is None:
        return
    if stored["recipe"] != json.dumps(recipe.as_dict(), sort_keys=True):
        raise Conflict(
            f"{path} belongs to a run with another recipe.", hint="Use a new folder for this one."
        )
    state.network.load_state_dict(stored["network"])
    if state.average is not None:
        state.average.load_state_dict(stored["average"])
    state.optimiser.load_state_dict(stored["optimiser"])
    state.plateau = Plateau(**stored["plateau"])
    torch.set_rng_state(stored["random"])
    state.epoch, state.batch, state.step = stored["place"]
    state.loss_sum, state.seen = stored["loss_sum"], set(stored["seen"])
    state.began_at -= stored.get("seconds", 0.0)


def _mark(network: nn.Module, loader: Loader, recipe: Recipe) -> None:
    """Notes on the network how its images are prepared; evaluation reads it."""
    size = int(getattr(loader, "image_size", 0)) or int(next(loader.epoch(0)).images.shape[2])
    network.preprocessing = Preprocessing(  # type: ignore[assignment]
        image_size=size,
        resize_px=recipe.resize_px,
        mean=recipe.mean,
        std=recipe.std,
        channels=len(recipe.mean),
    )


def _check_classes(loader: Loader) -> None:
    if loader.n_images < 1 or len(loader) < 1:
        raise TrainingFailure("There are no images to train on.", hint="Look at the release.")
    counts = getattr(loader, "class_counts", None)
    if counts is not None:
        missing = [c for c, n in zip(loader.classes, counts, strict=True) if not n]
        if missing:
            raise _no_images_of(missing)


def _no_images_of(wnids: list[str]) -> TrainingFailure:
    return TrainingFailure(
        f"No training images of {', '.join(wnids[:5])}{' ...' if len(wnids) > 5 else ''}.",
        hint="Collect some, or make a release without these classes.",
    )


def _explained(
    error: Exception, batch_size: int, shape: tuple[int, ...]
) -> OutOfSpace | InvalidInput | Exception:
    text = str(error)
    if isinstance(error, MemoryError) or "memory" in text.lower():
        return OutOfSpace(
            f"Out of memory with a batch of {batch_size} images.",
            hint=f"Try batch_size={max(1, batch_size // 2)}.",
        )
    if "shape" in text or "size" in text:
        return InvalidInput(
            f"The network does not take images of shape {shape}: {text.splitlines()[0]}",
            hint="Build it with the loader's image_size and channels.",
        )
    return error


def _kept_rows(path: Path, step: int) -> list[dict[str, Any]]:
    """The rows up to the checkpoint; later ones will be written again, so they are removed."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the torn last line of a killed run
            break
        if row["step"] <= step:
            rows.append(row)
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    fresh.replace(path)
    return rows


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _board(folder: Path, step: int) -> Iterator[Callable[[str, float, int], None]]:
    """A function that writes one number to TensorBoard, or to nowhere when it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda name, value, at: None
        return
    writer = SummaryWriter(str(folder), purge_step=step + 1)
    try:
        yield lambda name, value, at: writer.add_scalar(name, value, at)
    finally:
        writer.close()
