"""Packs a release for training: photos shrunk and stored again, in shards that only loaders read.

An image that cannot be packed is noted in the copy with its reason, and the rest goes on. The
bytes follow from the release, the size, the quality and the version of Pillow, whatever the
number of threads and however often the work was interrupted.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PIL import features

from imagetree.core.errors import (
    Cancelled,
    Conflict,
    DamagedImage,
    ImagetreeError,
    IntegrityFailure,
    InvalidInput,
    NotFound,
)
from imagetree.core.progress import Progress
from imagetree.images.recode import recode
from imagetree.jobs.steps import Json, Params, Steps
from imagetree.release.packed import PackedCopy, copy_name, find_copies, find_folders
from imagetree.release.packed_writer import PackedImage, PackedWriter, remove_copy
from imagetree.release.record import ReleaseImage
from imagetree.release.release import Release
from imagetree.workflows.context import Context
from imagetree.workflows.releases import open_release, pieces_of

MIN_SIDE_PX = 64
MAX_QUALITY = 95
_CHUNK = 32
_COMMIT_EVERY_S = 5.0

Rejected = tuple[str, str, str]
Read = Callable[[Sequence[str]], list[bytes]]


def plan(
    context: Context,
    release: str,
    *,
    max_side_px: int = 400,
    quality: int = 90,
    splits: Sequence[str] | None = None,
) -> Params:
    """The parameters of a packing job, or the error that it would end in.

    Without `splits` all are packed but those whose name begins with `test`: evaluation reads
    originals, and what is not copied cannot leak. Conflict when there is a copy of this size and
    quality with other splits.
    """
    if max_side_px < MIN_SIDE_PX or not 1 <= quality <= MAX_QUALITY:
        raise InvalidInput(
            f"Nothing can be packed with sides up to {max_side_px} px and quality {quality}.",
            hint=f"Use at least {MIN_SIDE_PX} px, and a quality from 1 to {MAX_QUALITY}.",
        )
    opened = open_release(pieces_of(context), release)
    wanted = sorted(splits or (one for one in opened.splits if not one.startswith("test")))
    if not wanted:
        raise InvalidInput(
            f"Release {release} has only splits for testing.",
            hint=f"Name what to pack: --split {next(iter(opened.splits))}",
        )
    for split in wanted:
        opened.images(split)  # NotFound, with its hint, where there is none
    name = copy_name(max_side_px=max_side_px, quality=quality)
    for copy in opened.packed_copies():
        if copy.name == name and sorted(copy.splits) != wanted:
            raise Conflict(
                f"{name} of release {release} holds {', '.join(copy.splits)}.",
                hint="Remove it first: give the same command with --remove.",
            )
    return {
        "release": release,
        "max_side_px": max_side_px,
        "quality": quality,
        "splits": list(dict.fromkeys(wanted)),
    }


def pack(steps: Steps, context: Context, params: Params) -> Json:
    """The name of the packed copy, and whether it was made now; goes on where it was stopped."""
    made: Json = steps.run("pack", lambda: _pack(steps, context, params))
    return made


def _pack(steps: Steps, context: Context, params: Params) -> dict[str, Any]:
    release = open_release(pieces_of(context), params["release"])
    name = copy_name(max_side_px=params["max_side_px"], quality=params["quality"])
    if any(copy.name == name for copy in release.packed_copies()):
        return {"name": name, "made": False}
    images = _labelled(release, params["splits"])
    facts = {
        "release_id": release.release_id,
        "max_side_px": params["max_side_px"],
        "quality": params["quality"],
        "splits": params["splits"],
        "classes": list(release.classes),
        "made_with": {
            "pillow": str(features.version("pil")),
            "libjpeg_turbo": str(features.version("libjpeg_turbo")),
        },
    }
    with PackedWriter.open(release.folder / name, facts) as writer:
        left = images[writer.n_done :]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            results = _recoded(pool, left, release.read_many, params)
            try:
                _write(steps, writer, results, n_total=len(images))
            finally:
                pool.shutdown(cancel_futures=True)
        if writer.n_packed == 0:
            raise IntegrityFailure(
                f"No image of release {release.name} could be packed.",
                hint=f"Run imagetree release verify {context.settings.folder} {release.name}.",
            )
        writer.finish()
    return {"name": name, "made": True}


def _labelled(release: Release, splits: Sequence[str]) -> list[tuple[ReleaseImage, int]]:
    """The images that training can use, with the number of their class, split by split."""
    number = {wnid: i for i, wnid in enumerate(release.classes)}
    found = []
    for split in splits:
        for image in release.images(split):
            shown = [number[wnid] for wnid in image.present if wnid in number]
            if shown:
                found.append((image, min(shown)))
    return found


def _write(
    steps: Steps,
    writer: PackedWriter,
    results: Iterator[PackedImage | Rejected],
    *,
    n_total: int,
) -> None:
    committed_at = time.monotonic()
    for number, result in enumerate(results):
        if isinstance(result, PackedImage):
            writer.add(result)
        else:
            writer.reject(*result)
        if number % _CHUNK:
            continue
        steps.report(Progress(what="Packing", n_done=writer.n_done, n_total=n_total, unit="images"))
        stop = steps.should_stop()
        if stop or time.monotonic() - committed_at > _COMMIT_EVERY_S:
            writer.commit()
            committed_at = time.monotonic()
        if stop:
            raise Cancelled(
                "Packing was stopped; what was packed so far is kept.",
                hint="Give the same command again to go on.",
            )
    steps.report(Progress(what="Packing", n_done=n_total, n_total=n_total, unit="images"))


def _recoded(
    pool: ThreadPoolExecutor,
    images: Sequence[tuple[ReleaseImage, int]],
    read: Read,
    params: Params,
) -> Iterator[PackedImage | Rejected]:
    """Each image stored again, or why not, in the order given; a few ahead of what is taken."""
    waiting: deque[Future[PackedImage | Rejected]] = deque()
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        files = _read(read, [image.sha256 for image, _ in chunk])
        for (image, label), data in zip(chunk, files, strict=True):
            waiting.append(pool.submit(_recode, image, label, data, params))
        while len(waiting) > 2 * _CHUNK:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read(read: Read, sha256s: Sequence[str]) -> list[bytes | str]:
    """The files, or in the place of one that cannot be read the reason."""
    try:
        return list(read(sha256s))
    except (ImagetreeError, OSError):
        if len(sha256s) > 1:
            return [_read(read, [one])[0] for one in sha256s]
    try:
        return list(read(sha256s))
    except (ImagetreeError, OSError) as error:
        return [str(error)]


def _recode(
    image: ReleaseImage, label: int, data: bytes | str, params: Params
) -> PackedImage | Rejected:
    if isinstance(data, str):
        return image.sha256, "unreadable", data
    if hashlib.sha256(data).hexdigest() != image.sha256:
        return image.sha256, "changed", "Its stored bytes have changed."
    try:
        made = recode(data, max_side_px=params["max_side_px"], quality=params["quality"])
    except DamagedImage as error:
        return image.sha256, error.reason_code, error.message
    return PackedImage(
        sha256=image.sha256,
        split=image.split,
        data=made.data,
        extension=made.extension,
        width_px=made.width_px,
        height_px=made.height_px,
        kept=made.kept,
        # A test split's answers stand in the manifest alone.
        label=None if image.split.startswith("test") else label,
    )


def copies(context: Context, release: str) -> list[PackedCopy]:
    """The packed copies of a release, the one nearest to the originals first."""
    return find_copies(context.settings.releases_folder / release)


def remove(context: Context, release: str, *, max_side_px: int, quality: int) -> int:
    """Bytes freed by deleting a packed copy or unfinished work on it; NotFound without either.

    The release and its originals stay as they are.
    """
    folder = open_release(pieces_of(context), release).folder
    name = copy_name(max_side_px=max_side_px, quality=quality)
    if not find_folders(folder, name):
        there = ", ".join(one.name for one in find_copies(folder))
        raise NotFound(
            f"Release {release} has no packed copy {name}.",
            hint=f"It has: {there}." if there else "It has none.",
        )
    return remove_copy(folder, name)
