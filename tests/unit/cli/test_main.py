"""The command itself: its table of commands, its errors, its speed."""

from __future__ import annotations

import errno
import inspect
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup

from imagetree.cli.main import COMMANDS, EXIT_CODES, run, translated
from imagetree.cli.reference import PAGES
from imagetree.core.errors import (
    Conflict,
    ImagetreeError,
    IntegrityFailure,
    NotFound,
    OutOfSpace,
    PermissionDenied,
)

ROOT = Path(__file__).resolve().parents[3]
LEAVES = [
    (f"{entry.name} {below.name}" if entry.group else entry.name, below)
    for entry in COMMANDS
    for command in [entry.load()]
    for below in (command.commands.values() if isinstance(command, TyperGroup) else [command])
]


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_listing_says_what_the_command_says(entry) -> None:  # type: ignore[no-untyped-def]
    assert inspect.cleandoc(entry.load().help).splitlines()[0] == entry.help


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_command_has_json_and_an_example(name: str, command) -> None:  # type: ignore[no-untyped-def]
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    assert command.epilog.startswith(f"Example: imagetree {name}")
    assert all(parameter.help for parameter in command.params)


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_help_shows_flags_without_a_value(
    name: str, command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*name.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert "<bool>" not in told
    assert "--install-completion" not in told  # that belongs to imagetree itself
    usage = next(line for line in told.splitlines() if "Usage:" in line)
    words = usage.partition("[OPTIONS]")[2]
    assert words == words.upper()


def test_a_damaged_catalog_is_told_as_such() -> None:
    found = translated(RuntimeError("(pysqlite3.dbapi2.DatabaseError) file is not a database"))
    assert isinstance(found, IntegrityFailure)
    assert "shards/" in found.hint


def test_exit_codes_are_those_of_the_errors() -> None:
    raised = {1, 0, 130}
    waiting = [ImagetreeError]
    while waiting:
        kind = waiting.pop()
        raised.add(kind.exit_code)
        waiting.extend(kind.__subclasses__())
    assert {int(number) for number, _ in EXIT_CODES} == raised


def test_a_wrong_command_suggests_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["colect"]) == 2
    told = capsys.readouterr()
    assert "Did you mean 'collect'" in told.err
    assert told.out == ""


def test_errors_are_json_with_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["stats", str(tmp_path / "no.imagetree"), "--json"]) == NotFound.exit_code
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert error["code"] == "not_found"
    assert "imagetree init no.imagetree" in error["hint"]
    assert told.err == ""


def test_errors_for_people_say_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["stats", str(tmp_path / "no.imagetree")]) == NotFound.exit_code
    told = capsys.readouterr()
    assert told.out == ""
    assert "There is no imagetree database at" in told.err
    assert "Make one with: imagetree init no.imagetree" in told.err
    assert "Traceback" not in told.err


def test_usage_errors_name_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats"]) == 2
    assert "imagetree stats --help" in capsys.readouterr().err


def test_system_errors_are_translated() -> None:
    full = translated(OSError(errno.ENOSPC, "No space left on device", "shards/x.tar"))
    assert isinstance(full, OutOfSpace)
    assert "shards/x.tar" in full.message
    assert isinstance(translated(PermissionError(errno.EACCES, "denied", "x")), PermissionDenied)
    assert isinstance(translated(FileNotFoundError(errno.ENOENT, "none", "x")), NotFound)
    assert isinstance(translated(MemoryError()), OutOfSpace)
    conflict = Conflict("There already.")
    assert translated(conflict) is conflict
    unexpected = translated(ZeroDivisionError("by zero"))
    assert unexpected.exit_code == 1
    assert "IMAGETREE_DEBUG=1" in unexpected.hint


def test_help_takes_less_than_half_a_second_of_processor_time() -> None:
    """Not by the clock: a busy machine would fail it for nothing."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "imagetree", "--help"], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_reference_pages_are_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text("utf-8")
    assert written == PAGES[name](), "run: make docs"
