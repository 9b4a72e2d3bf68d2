"""A recipe: every number that training depends on besides the data and the network."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from imagetree.core.errors import InvalidInput

SCHEDULES = ("cosine", "step", "plateau", "constant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train. Rates are per step, `*_epochs` in epochs, `mean` and `std` for 0 to 1.

    schedule: `cosine` to zero; `step`, divided by 10 at each epoch of `milestones`; `plateau`,
    the paper's, divided by 10 when the validation error has not improved for `patience` epochs,
    at most three times; `constant`. `crop_scale`, `flip` and `resize_px` are for the loader.

    validation: the share of each class that is held out of training to be watched, where the
    data has no split for it; 0 watches nothing. `watched` tells what is, and is not for the user.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    milestones: tuple[int, ...] = ()
    patience: int = 3
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    clip_norm: float = 0.0
    bf16: bool = False
    colour_jitter: float = 0.0
    crop_scale: tuple[float, float] = (0.08, 1.0)
    flip: bool = True
    resize_px: int = 256
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    seed: int = 0
    validation: float = 0.1
    watched: str = ""
    checkpoint_every_s: float = 120.0
    checkpoint_every_batches: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise InvalidInput(
                f"No schedule {self.schedule!r}.", hint=f"There are: {', '.join(SCHEDULES)}."
            )
        if self.epochs < 1 or self.batch_size < 1 or not 0 < self.learning_rate < math.inf:
            raise InvalidInput("epochs, batch_size and learning_rate must be positive.")
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3) or min(self.std) <= 0:
            raise InvalidInput("mean and std need one or three values each, std above zero.")
        if not 0.0 <= self.ema < 1.0 or not 0.0 <= self.label_smoothing < 1.0:
            raise InvalidInput("ema and label_smoothing must be from 0 to below 1.")
        if not 0.0 <= self.validation <= 0.5:
            raise InvalidInput("validation must be a share from 0 to 0.5.")

    @classmethod
    def of(cls, values: dict[str, Any]) -> Recipe:
        """The recipe of a dict, as from `registry.default_recipe` or JSON.

        Errors: InvalidInput for an unknown field.
        """
        kinds = {f.name: str(f.type) for f in fields(cls)}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise InvalidInput(
                f"A recipe has no {', '.join(unknown)}.",
                hint=f"It has: {', '.join(sorted(set(kinds) - {'watched'}))}.",
            )
        return cls(**{name: _typed(name, kinds[name], value) for name, value in values.items()})

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON takes them."""
        return asdict(self)


def _typed(name: str, kind: str, value: Any) -> Any:
    """The value as the field's type has it: 1 for 1.0, one number for a list of one."""
    if kind.startswith("tuple"):
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        whole = "int" in kind
        if "..." not in kind and len(values) != kind.count(",") + 1:
            raise InvalidInput(f"{name} must be {kind.count(',') + 1} numbers, not {value!r}.")
        return tuple(_typed(name, "int" if whole else "float", one) for one in values)
    right = {
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
    }[kind]
    if not right:
        words = {"bool": "true or false", "str": "a word", "int": "a whole number"}
        raise InvalidInput(f"{name} must be {words.get(kind, 'a number')}, not {value!r}.")
    return float(value) if kind == "float" else value
