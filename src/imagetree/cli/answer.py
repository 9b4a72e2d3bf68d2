"""How a command answers: for people, or as JSON; results on stdout, all else on stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from imagetree.core.errors import ImagetreeError
from imagetree.core.progress import Progress, Report, silent

# Where nobody watches there is no window to fit into; tables keep one row a line.
WIDTH_UNWATCHED = 200


def console(stream: IO[str]) -> Console:
    """A console on stdout or stderr that colours for people only and never cuts a line."""
    width = None if stream.isatty() else WIDTH_UNWATCHED
    return Console(file=stream, highlight=False, width=width, soft_wrap=not stream.isatty())


def plain(value: Any) -> Any:
    """`value` as JSON can say it: objects through `as_dict`, dataclasses, paths, numbers."""
    if hasattr(value, "as_dict"):
        return plain(value.as_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        return value.tolist()
    if isinstance(value, Sequence | set | frozenset | Iterator):
        return [plain(item) for item in value]
    return str(value)


class Answer:
    """One command's answer.

    Example:
        answer = Answer(as_json=False)
        answer.give({"n_images": 7000}, "7,000 images", next_step="imagetree web birds.imagetree")
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def give(self, data: Any, *parts: RenderableType, next_step: str = "") -> None:
        """Writes `data` as JSON, or the parts and the next useful step."""
        if self.as_json:
            text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False)
            sys.stdout.write(text + "\n")
            return
        out = console(sys.stdout)
        for part in parts:
            out.print(part)
        if next_step:
            out.print(Text.assemble(("Next: ", "dim"), next_step))

    def note(self, text: str) -> None:
        """Something worth knowing while the work goes on; to stderr, not with --json."""
        if not self.as_json:
            console(sys.stderr).print(Text(text, style="dim"))

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """A progress bar on stderr while the block runs, where somebody watches."""
        if self.as_json or not sys.stderr.isatty():
            yield silent
            return
        with _bars() as report:
            yield report


@contextmanager
def _bars() -> Iterator[Report]:
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(bar_width=32),
        rich_progress.TextColumn("{task.fields[figures]}"),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TimeRemainingColumn(compact=True, elapsed_when_finished=False),
        rich_progress.TextColumn("[dim]{task.fields[note]}"),
    )
    screen = console(sys.stderr)
    with rich_progress.Progress(*columns, console=screen, transient=True) as bars:
        yield _reporter(bars)


def _reporter(bars: Any) -> Callable[[Progress], None]:
    tasks: dict[str, Any] = {}

    def report(progress: Progress) -> None:
        figures = f"{progress.n_done:,}"
        if progress.n_total is not None:
            figures += f" of {progress.n_total:,}"
        figures += f" {progress.unit}"
        if progress.what not in tasks:
            tasks[progress.what] = bars.add_task(progress.what, figures="", note="")
        bars.update(
            tasks[progress.what],
            completed=progress.n_done,
            total=progress.n_total,
            figures=figures,
            note=progress.note,
        )

    return report


def table(*headings: str, right: Sequence[str] = ()) -> Table:
    """An empty table with hairlines; the columns named in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return made


def facts(rows: Mapping[str, str]) -> Table:
    """Names and values under each other, without lines."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(name, Text(value))
    return made


def tell_error(error: ImagetreeError, *, as_json: bool) -> None:
    """Writes what happened and what to do: as JSON to stdout, for people to stderr."""
    if as_json:
        sys.stdout.write(json.dumps({"error": error.as_dict()}, ensure_ascii=False) + "\n")
        return
    err = console(sys.stderr)
    err.print(Text(error.message, style="bold red"))
    if error.hint:
        err.print(Text(error.hint))


def debugging() -> bool:
    """Whether IMAGETREE_DEBUG asks for whole tracebacks."""
    return os.environ.get("IMAGETREE_DEBUG", "") not in {"", "0"}
