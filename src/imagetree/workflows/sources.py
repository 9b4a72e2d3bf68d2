"""The source of a collect, made from its parameters; the layout is guessed where it is plain."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from imagetree.collect.archive import ArchiveFolder
from imagetree.collect.digits import Digits
from imagetree.collect.folder import FlatFolder, ImageFolder
from imagetree.collect.ilsvrc import SynsetArchive, ValidationImages
from imagetree.collect.samples import SamplePhotos
from imagetree.collect.source import Done, Item, Rejected, Remote, Source
from imagetree.core.errors import InvalidInput, NotFound
from imagetree.core.progress import Report
from imagetree.jobs.steps import Params
from imagetree.workflows.context import Context

IMAGE_ENDINGS = (".jpeg", ".jpg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
TAR_ENDINGS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LIST_ENDINGS = (".txt", ".tsv")
# How many folders, and files in each, a guess looks at: quick on a slow disk too.
GUESS_ENTRIES = 2000
# Lines of a list that a guess reads.
GUESS_LINES = 20
URL_LINE = re.compile(r"\S+\s+https?://", re.IGNORECASE)

Options = Mapping[str, Any]


def make(context: Context, params: Params) -> Source:
    """The source that a collect reads.

    `params`: location, layout (one of `LAYOUTS`, or None to guess it), options (csv,
    ground_truth, classes_list, licence, author, allow_private; those that the layout does not
    take are an InvalidInput). NotFound names a path that does not exist.

    Example: `make(context, {"location": "photos/", "layout": "imagefolder"})`
    """
    location, options = str(params.get("location") or ""), dict(params.get("options") or {})
    layout = params.get("layout") or guess_layout(location)
    if layout not in LAYOUTS:
        raise InvalidInput(
            f"There is no layout {layout!r}.", hint="Layouts: " + ", ".join(sorted(LAYOUTS))
        )
    if layout not in ("digits", "samples") and not _exists(location):
        raise NotFound(f"There is nothing at {location or 'the empty path'}.", hint="Check it.")
    build, taken = LAYOUTS[layout]
    if unknown := sorted(set(options) - {*taken, *RIGHTS}):
        raise InvalidInput(
            f"The layout {layout} takes no {' and no '.join(unknown)}.",
            hint=f"It takes: {', '.join([*taken, *RIGHTS])}.",
        )
    source = build(context, Path(location), options)
    rights = {name: str(options[name]) for name in RIGHTS if options.get(name)}
    if not rights:
        return source
    return (
        _RemoteWithRights(source, rights)
        if isinstance(source, Remote)
        else _WithRights(source, rights)
    )


def guess_layout(path: str | os.PathLike[str]) -> str:
    """The layout of what lies at a path: imagefolder, flat, tar, zip, ilsvrc-train or urls.

    A folder with images in sub-folders is an imagefolder, with images itself flat; a file goes
    by its ending, a text file also by its first lines, which must be `id<TAB>url`. InvalidInput
    where it is not plain, NotFound where there is nothing.

    Example: `guess_layout("photos.zip") == "zip"`
    """
    where = Path(path)
    if not os.fspath(path):
        raise InvalidInput(
            "A collect needs a source.", hint="Give a folder, an archive or a list of URLs."
        )
    if not where.exists():
        raise NotFound(f"There is nothing at {where}.", hint="Check the path.")
    if where.is_dir() and not any(where.iterdir()):
        raise InvalidInput(
            f"{where} is empty: images, or one sub-folder of images a class, were looked for.",
            hint="Check the path.",
        )
    guess = _guess_folder(where) if where.is_dir() else _guess_file(where)
    if not guess and where.is_dir():
        raise InvalidInput(
            f"{where} holds no images: files that end in {', '.join(IMAGE_ENDINGS)} were looked "
            "for, in it and in its sub-folders.",
            hint="For files with other endings say --layout imagefolder or --layout flat.",
        )
    if not guess:
        raise InvalidInput(
            f"What {where} holds cannot be guessed.",
            hint="Say it with --layout: " + ", ".join(sorted(LAYOUTS)),
        )
    return guess


def _exists(location: str) -> bool:
    return bool(location) and Path(location).exists()


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")


def _guess_folder(folder: Path) -> str:
    """Images below a sub-folder decide for imagefolder, else images in the folder for flat."""
    loose = False
    unread: list[OSError] = []
    for here, names, files in islice(os.walk(folder, onerror=unread.append), GUESS_ENTRIES):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found = any(_is_image(name) for name in islice(files, GUESS_ENTRIES))
        if found and Path(here) != folder:
            return "imagefolder"
        loose = loose or found
    if unread and not loose:
        raise InvalidInput(
            f"{unread[0].filename} cannot be read: {unread[0].strerror}.",
            hint="Check its permissions.",
        )
    return "flat" if loose else ""


def _guess_file(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".zip"):
        return "zip"
    if name.endswith(TAR_ENDINGS):
        is_synset = re.fullmatch(r"n\d{8}\.tar", name) or _holds_tars(path)
        return "ilsvrc-train" if is_synset else "tar"
    if name.endswith(LIST_ENDINGS):
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in islice(file, GUESS_LINES)]
        written = [line for line in lines if line and not line.startswith("#")]
        if written and URL_LINE.match(written[0]):
            return "urls"
    return ""


def _holds_tars(path: Path) -> bool:
    """Whether the first member is the tar of a synset; a damaged archive is told of later."""
    try:
        with tarfile.open(path) as tar:
            first = tar.next()
    except (tarfile.TarError, EOFError, OSError):
        return False
    return first is not None and bool(re.search(r"(^|/)n\d{8}\.tar$", first.name))


def _flat(context: Context, path: Path, options: Options) -> Source:
    table = options.get("csv")
    return FlatFolder(path, Path(table) if table else None)


def _urls(context: Context, path: Path, options: Options) -> Source:
    # httpx takes 0.1 s to load, and only lists of URLs need it.
    from imagetree.collect.urls import UrlList

    return UrlList(
        path,
        spool=context.settings.folder / "cache" / "urls",
        allow_private=bool(options.get("allow_private", False)),
    )


def _validation(context: Context, path: Path, options: Options) -> Source:
    truth = options.get("ground_truth")
    if not truth:
        raise InvalidInput(
            "Validation images need their ground truth: one wnid or id a line.",
            hint="Give it with --ground-truth FILE.",
        )
    listed = options.get("classes_list")
    return ValidationImages(
        path, Path(truth), synsets=_synsets(Path(listed), context) if listed else None
    )


def _synsets(path: Path, context: Context) -> list[str]:
    """The wnids that the numbers of a ground truth count, one a line, in order."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="Check the path.")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        if not words or words[0] not in context.taxonomy:
            raise InvalidInput(
                f"{path}, line {number}: {words[0] if words else 'an empty line'!r} is no synset.",
                hint="One wnid a line, in the order that the numbers count.",
            )
        found.append(words[0])
    return found


class _WithRights:
    """A source whose items get the given licence, author and split where they name none."""

    def __init__(self, source: Source, rights: Mapping[str, str]) -> None:
        self._source, self._rights = source, rights
        self.kind, self.location = source.kind, source.location
        self.labels, self.wnids = source.labels, source.wnids

    @property
    def n_total(self) -> int | None:
        return self._source.n_total

    def items(self) -> Iterator[Item | Rejected]:
        for one in self._source.items():
            if isinstance(one, Item):
                yield replace(
                    one,
                    licence=one.licence or self._rights.get("licence"),
                    author=one.author or self._rights.get("author"),
                    split=one.split or self._rights.get("split"),
                )
            else:
                yield one


class _RemoteWithRights(_WithRights):
    """The same for a source that has to be fetched."""

    def fetch_next(
        self, n_urls: int, *, done: Done, should_stop: Callable[[], bool], report: Report
    ) -> bool:
        return self._remote.fetch_next(n_urls, done=done, should_stop=should_stop, report=report)

    def settle(self) -> None:
        self._remote.settle()

    def close(self) -> None:
        self._remote.close()

    @property
    def _remote(self) -> Remote:
        assert isinstance(self._source, Remote)
        return self._source


# Options of every layout, for the items that say nothing themselves.
RIGHTS = ("licence", "author", "split")

Build = Callable[[Context, Path, Options], Source]

# How each layout is made, and the options that it takes beside the rights.
LAYOUTS: dict[str, tuple[Build, tuple[str, ...]]] = {
    "imagefolder": (lambda context, path, options: ImageFolder(path), ()),
    "flat": (_flat, ("csv",)),
    "tar": (lambda context, path, options: ArchiveFolder(path), ()),
    "zip": (lambda context, path, options: ArchiveFolder(path), ()),
    "urls": (_urls, ("allow_private",)),
    "ilsvrc-train": (lambda context, path, options: SynsetArchive(path), ()),
    "ilsvrc-val": (_validation, ("ground_truth", "classes_list")),
    "digits": (lambda context, path, options: Digits(), ()),
    "samples": (lambda context, path, options: SamplePhotos(), ()),
}
