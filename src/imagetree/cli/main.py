"""The command `imagetree`: the table of commands, and one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.main import get_command

from imagetree.cli.lazy import Entry, LazyGroup
from imagetree.core.errors import (
    ImagetreeError,
    InvalidInput,
    NotFound,
    OutOfSpace,
    PermissionDenied,
)

BUILD, TREE, USE, CARE = "Build", "Look at the tree", "Release, train, serve", "Look after"

COMMANDS = (
    Entry("init", "imagetree.cli.databases", "Makes a new database.", BUILD),
    Entry(
        "collect",
        "imagetree.cli.collecting",
        "Stores images from a folder, archive or list of URLs.",
        BUILD,
    ),
    Entry("undo", "imagetree.cli.collecting", "Takes a collection back.", BUILD),
    Entry("collections", "imagetree.cli.collecting", "Lists what was collected, and when.", BUILD),
    Entry("rejects", "imagetree.cli.collecting", "Lists what was refused, and why.", BUILD),
    Entry("tree", "imagetree.cli.trees", "Shows a part of the tree with its images.", TREE),
    Entry("search", "imagetree.cli.trees", "Finds synsets by word, sense, prefix or gloss.", TREE),
    Entry("synset", "imagetree.cli.trees", "Shows one synset, or decides on its safety.", TREE),
    Entry(
        "queries", "imagetree.cli.trees", "Lists search queries that find images of a synset.", TREE
    ),
    Entry(
        "release",
        "imagetree.cli.releases",
        "Creates, lists, shows, verifies, compares and packs releases.",
        USE,
        group=True,
    ),
    Entry("train", "imagetree.cli.training", "Trains a network on a release.", USE),
    Entry(
        "evaluate",
        "imagetree.cli.training",
        "Measures a run's top-1 and top-5 error on a split.",
        USE,
    ),
    Entry(
        "figure",
        "imagetree.cli.training",
        "Draws test images with their five most probable labels.",
        USE,
    ),
    Entry(
        "predict", "imagetree.cli.training", "Names the five most probable synsets of photos.", USE
    ),
    Entry("runs", "imagetree.cli.training", "Lists runs and their scores.", USE),
    Entry("web", "imagetree.cli.pages", "Serves the database's web pages.", USE),
    Entry("stats", "imagetree.cli.databases", "Tells how much the database holds.", CARE),
    Entry(
        "check",
        "imagetree.cli.databases",
        "Verifies every stored byte, and repairs what can be.",
        CARE,
    ),
    Entry(
        "jobs", "imagetree.cli.jobs", "Lists, watches, cancels and resumes jobs.", CARE, group=True
    ),
    Entry("log", "imagetree.cli.databases", "Shows the log of all changes.", CARE),
    Entry(
        "replay",
        "imagetree.cli.databases",
        "Replays the log into an empty catalog and compares.",
        CARE,
    ),
    Entry("upgrade", "imagetree.cli.databases", "Brings an older database to this version.", CARE),
    Entry(
        "doctor",
        "imagetree.cli.doctor",
        "Tells which parts are installed, and how to get the others.",
        CARE,
    ),
    Entry(
        "demo", "imagetree.cli.demo", "Runs the whole way once, on digits or on your photos.", CARE
    ),
)

EXIT_CODES = (
    ("0", "done"),
    ("1", "something unexpected; IMAGETREE_DEBUG=1 shows where"),
    ("2", "what was given cannot be used"),
    ("3", "not found"),
    ("4", "exists already with other content"),
    ("5", "a curator has to decide first"),
    ("6", "stored bytes or rows are damaged"),
    ("7", "no space left on the disk or in memory"),
    ("8", "another machine or program failed"),
    ("9", "another process holds what is needed"),
    ("10", "an optional part is not installed"),
    ("11", "training cannot go on"),
    ("12", "cancelled"),
    ("130", "Ctrl-C"),
)


class Commands(LazyGroup):
    """All commands of imagetree."""

    entries = COMMANDS


EPILOG = "Exit codes: " + ", ".join(f"{code} {text}" for code, text in EXIT_CODES) + "."

app = typer.Typer(
    cls=Commands,
    help="Build, verify, release and benchmark an ImageNet of your own.",
    epilog="Begin with: imagetree init birds.imagetree\n\n" + EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from imagetree import __version__

        typer.echo(f"imagetree {__version__}")
        raise typer.Exit


@app.callback()
def imagetree(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Build, verify, release and benchmark an ImageNet of your own."""


def run(arguments: Sequence[str]) -> int:
    """The exit code of `imagetree` with these arguments; errors are told, never raised.

    With IMAGETREE_DEBUG=1 unexpected errors are raised, so that their traceback shows.
    """
    from imagetree.cli.answer import debugging, tell_error

    as_json = "--json" in arguments
    try:
        code = get_command(app).main(list(arguments), "imagetree", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        told = _usage_error(error)
    except BrokenPipeError:
        # The reader (`head`, `less`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debugging():
            raise
        told = translated(error)
    if told.message:
        tell_error(told, as_json=as_json)
    return told.exit_code


def _usage_error(error: typer.TyperException) -> ImagetreeError:
    """A mistake in the arguments, told in one form with all other errors."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "imagetree"
    message = error.format_message()
    return InvalidInput(message, hint=f"See: {path} --help" if message else "")


def translated(error: Exception) -> ImagetreeError:
    """Any exception as one of imagetree's: what the machine says, in words that help."""
    if isinstance(error, ImagetreeError):
        return error
    if isinstance(error, MemoryError):
        return OutOfSpace("The memory is full.", hint="Close other programs, or ask for less.")
    if isinstance(error, OSError):
        return _system_error(error)
    return ImagetreeError(
        f"Something unexpected happened: {type(error).__name__}: {error}",
        hint="What was stored is safe. IMAGETREE_DEBUG=1 before the command shows where it was.",
    )


def _system_error(error: OSError) -> ImagetreeError:
    name = f" ({error.filename})" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutOfSpace(
            f"The disk is full{name}.",
            hint="What was reported as stored is stored. Make room, then run the command again.",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return PermissionDenied(
            f"The system does not allow that{name}: {error.strerror}.",
            hint="Look at the owner of the file or folder.",
        )
    if error.errno == errno.ENOENT:
        return NotFound(f"There is no such file or folder{name}.", hint="Look at the path.")
    return ImagetreeError(f"The system reports{name}: {error.strerror or error}.")


def main() -> NoReturn:
    """Entry point of the command `imagetree`."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
