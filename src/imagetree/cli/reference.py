"""Writes the reference pages of the commands and the web pages from the program itself.

python -m imagetree.cli.reference docs
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from typer.core import TyperArgument, TyperGroup

from imagetree.cli.main import COMMANDS, EXIT_CODES
from imagetree.core.errors import ImagetreeError

MADE = "<!-- Written by `make docs` from the program itself; change it there. -->\n\n"


def commands_page() -> str:
    """The page of all commands, as Markdown."""
    lines = [MADE + "# Reference: commands\n"]
    lines.append(
        "Every command takes `--json`: the answer is then JSON on standard output and nothing "
        'else; an error is `{"error": {"code", "message", "hint"}}`. Exit codes are in '
        "[one table](reference-exit-codes.md). Progress bars go to standard error, and only where "
        "somebody watches.\n"
    )
    panel = ""
    for entry in COMMANDS:
        if entry.panel != panel:
            panel = entry.panel
            lines.append(f"## {panel}\n")
        for name, command in _flattened(entry.name, entry.load()):
            lines.extend(_command_lines(name, command))
    return "\n".join(lines)


def _flattened(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            yield from _flattened(f"{name} {below.name}", below)
    else:
        yield name, command


def _command_lines(name: str, command: Any) -> Iterator[str]:
    words = ["imagetree", name]
    rows = []
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            shown = (parameter.metavar or str(parameter.name).upper()).strip("[]")
            words.append(shown if parameter.required else f"[{shown}]")
            rows.append((shown, parameter.help or ""))
        elif parameter.name not in {"as_json", "help"}:
            options = ", ".join(f"`{one}`" for one in [*parameter.opts, *parameter.secondary_opts])
            default = parameter.default
            told = (
                f" Default: `{default}`."
                if isinstance(default, str | int) and default not in ("", False, True)
                else ""
            )
            rows.append((options, (parameter.help or "") + told))
    yield f"### imagetree {name}\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    yield f"    {' '.join(words)}\n"
    if rows:
        yield "| | |\n|---|---|"
        for left, right in rows:
            cell = left if left.startswith("`") else f"`{left}`"
            yield f"| {cell} | {right.replace('|', chr(92) + '|')} |"
        yield ""
    if command.epilog:
        yield f"{command.epilog.replace('Example: ', 'Example: `')}`\n"


def exit_codes_page() -> str:
    """The page of exit codes with their error classes and HTTP statuses, as Markdown."""
    kinds: dict[int, list[type[ImagetreeError]]] = {}
    for kind in _tree(ImagetreeError):
        kinds.setdefault(kind.exit_code, []).append(kind)
    lines = [MADE + "# Reference: exit codes\n"]
    lines.append(
        "One table for every command. The class is what the Python library raises, the code is "
        "what stands in JSON, the status is what the web server answers.\n"
    )
    lines.append("| exit code | means | class | JSON code | HTTP |\n|---|---|---|---|---|")
    for number, meaning in EXIT_CODES:
        found = kinds.get(int(number), [])
        lines.append(
            f"| {number} | {meaning} | {', '.join(f'`{one.__name__}`' for one in found)} "
            f"| {', '.join(f'`{one.code}`' for one in found)} "
            f"| {', '.join(sorted({str(one.http_status) for one in found}))} |"
        )
    lines.append(
        "\nAn error says what happened and what to do next, without a traceback; "
        "`IMAGETREE_DEBUG=1` shows the traceback of one that was not foreseen.\n"
    )
    return "\n".join(lines)


def _tree(kind: type[ImagetreeError]) -> Iterator[type[ImagetreeError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == ImagetreeError.__module__:
            yield from _tree(below)


def pages_page() -> str:
    """The page of the web pages' addresses and of what their JSON holds, as Markdown."""
    from imagetree.web.routes import PAGES as WEB_PAGES

    lines = [MADE + "# Reference: web pages\n"]
    lines.append(
        "`imagetree web` answers GET and HEAD only. With `.json` after the address (`/.json` for "
        "the home page) the same object comes as JSON; its fields are below.\n"
    )
    lines.append("| address | query | shows | object |\n|---|---|---|---|")
    kinds: dict[type, None] = {}
    for page in WEB_PAGES:
        query = ", ".join(f"`{name}`" for name in page.query)
        shows = inspect.cleandoc(page.build.__doc__ or "").splitlines()[0]
        lines.append(f"| `{page.path}` | {query} | {shows} | `{page.context.__name__}` |")
        kinds.update(dict.fromkeys(_dataclasses(page.context)))
    for kind in sorted(kinds, key=lambda one: one.__name__):
        lines.append(f"\n## {kind.__name__}\n\n{inspect.cleandoc(kind.__doc__ or '')}\n")
        lines.append("| field | type |\n|---|---|")
        for field in dataclasses.fields(kind):
            lines.append(f"| `{field.name}` | `{str(field.type).replace('|', 'or')}` |")
    return "\n".join(lines) + "\n"


def _dataclasses(kind: Any) -> Iterator[type]:
    """A dataclass with all that its fields hold, or those inside a generic type."""
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
        yield kind
        for hint in get_type_hints(kind).values():
            yield from _dataclasses(hint)
    for inside in get_args(kind):
        yield from _dataclasses(inside)


PAGES = {
    "reference-commands.md": commands_page,
    "reference-exit-codes.md": exit_codes_page,
    "reference-pages.md": pages_page,
}


def write_pages(folder: Path) -> list[Path]:
    """The pages just written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, page in PAGES.items():
        path = folder / name
        path.write_text(page(), encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for written_page in write_pages(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        sys.stdout.write(f"wrote {written_page}\n")
