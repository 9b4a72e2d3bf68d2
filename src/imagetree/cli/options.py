"""Arguments and options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imagetree.core.errors import InvalidInput

DatabaseArgument = Annotated[
    Path, typer.Argument(metavar="DATABASE", help="The database's folder, birds.imagetree.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Answer in JSON on standard output, and nothing else there.")
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait", help="Wait for the work; with --no-wait it goes on in the background."
    ),
]


def split_shares(text: str) -> dict[str, float]:
    """Shares of a split written `train=0.7,test=0.3`.

    Raises InvalidInput for anything else.

    Example:
        >>> split_shares("train=0.7, test=0.3")
        {'train': 0.7, 'test': 0.3}
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        name = name.strip()
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if not name or not 0.0 < share <= 1.0 or name in shares:
            raise InvalidInput(
                f"The split {text!r} cannot be read at {part.strip()!r}.",
                hint="Write names and shares of 1: --split train=0.7,test=0.3",
            )
        shares[name] = share
    return shares


Value = bool | int | float | str


def recipe_values(settings: list[str]) -> dict[str, Value | list[Value]]:
    """A recipe's settings written `name=value`: numbers, true and false, lists with commas.

    Example:
        >>> recipe_values(["epochs=20", "learning_rate=0.01", "six_conv=true"])
        {'epochs': 20, 'learning_rate': 0.01, 'six_conv': True}
    """
    values: dict[str, Value | list[Value]] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name.isidentifier():
            raise InvalidInput(
                f"The setting {setting!r} cannot be read.", hint="Write: --set epochs=20"
            )
        parts = [_value(part.strip()) for part in text.split(",")]
        values[name] = parts[0] if len(parts) == 1 else parts
    return values


def _value(text: str) -> Value:
    if text.lower() in {"true", "yes"}:
        return True
    if text.lower() in {"false", "no"}:
        return False
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
