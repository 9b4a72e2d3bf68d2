"""A command group that knows its commands by name and loads one only when it is called.

`imagetree --help` shows some thirty commands; importing them all would import SQLAlchemy, the
job engine and the web server first. So the group holds a table (name, module, one line of help),
answers listings from it, and imports a command's module in `resolve_command`.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

HELP_OPTIONS = ["-h", "--help"]


@dataclass(frozen=True)
class Entry:
    """One line of the table: `module` holds a Typer `app` that has the command `name`.

    `group` says that the whole app is the command (`imagetree release ...`).
    """

    name: str
    module: str
    help: str
    panel: str
    group: bool = False

    def load(self) -> Any:
        """The real command, its module imported."""
        command = get_command(importlib.import_module(self.module).app)
        loaded = command if self.group or not isinstance(command, TyperGroup) else None
        if loaded is None:
            assert isinstance(command, TyperGroup)
            loaded = command.commands[self.name]
        loaded.name = self.name
        tidy_help(loaded)
        return loaded


def tidy_help(command: Any) -> None:
    """Tidies the help of a command and of those below it.

    Typer writes `--json <bool>`, which reads as if a value had to follow, and keeps the line
    breaks of a docstring, which are ours and not those of the reader's window.
    """
    if command.help:
        paragraphs = inspect.cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    # The option --help is made once a command, for the first context that asks for it.
    context = typer.Context(command, help_option_names=HELP_OPTIONS)
    for parameter in command.get_params(context):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    for below in getattr(command, "commands", {}).values():
        tidy_help(below)


class LazyGroup(TyperGroup):
    """The group behind `imagetree`; a subclass sets `entries`."""

    entries: tuple[Entry, ...] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Stand-ins with name and help: enough to list, to complete and to suggest.
        self.commands = {entry.name: _stand_in(entry) for entry in self.entries}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Name, command and remaining arguments, with the command's module imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            entry = next(entry for entry in self.entries if entry.name == name)
            command = entry.load()
        return name, command, rest


def _stand_in(entry: Entry) -> TyperCommand:
    return TyperCommand(name=entry.name, help=entry.help, rich_help_panel=entry.panel)
