"""The public view of a hidden split: pictures to classify, without labels, names or origin."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from imagetree.core.errors import Conflict
from imagetree.core.progress import Progress, Report, silent
from imagetree.images.decode import decode
from imagetree.release.release import Release
from imagetree.release.views import public_ids, view_key
from imagetree.workflows.releases import Pieces, open_release

IMAGES_FILE = "images.jsonl"
CLASSES_FILE = "classes.json"
_REPORT_EVERY = 100


def answers(pieces: Pieces, name: str, *, split: str) -> dict[str, str]:
    """Opaque id to SHA-256 of a split's images: what a curator scores submissions with.

    The ids follow from a key of the release's own, made at the first call, that must stay secret.
    """
    return _answers(pieces, open_release(pieces, name), split)


def _answers(pieces: Pieces, release: Release, split: str) -> dict[str, str]:
    images = release.images(split)
    key = view_key(pieces.manifest(release.name).with_name("view.key"))
    return public_ids((one.sha256 for one in images), key=key)


def write_public_view(
    pieces: Pieces, name: str, *, split: str, folder: Path, report: Report = silent
) -> int:
    """Number of images written to `folder`, which must be empty or absent.

    `images/<id>.png` in the shuffled order of opaque ids, `images.jsonl` (id, width and height in
    pixels as shown) and `classes.json` (what can be answered). Pixels are stored again without
    loss and nothing else is: a file as it was collected may hold its author, place and title, and
    its SHA-256 would look up its label. NotFound for an unknown split; Conflict when the folder
    holds something.
    """
    release = open_release(pieces, name)
    ids = _answers(pieces, release, split)
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty.", hint="Name a new folder.")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    classes = dict(zip(release.classes, release.class_names, strict=True))
    (folder / CLASSES_FILE).write_text(json.dumps(classes, indent=1) + "\n", encoding="utf-8")
    with (folder / IMAGES_FILE).open("w", encoding="utf-8") as stream:
        for number, (public_id, sha256) in enumerate(ids.items(), start=1):
            line = _write_image(folder / "images" / f"{public_id}.png", release.image_bytes(sha256))
            stream.write(json.dumps({"id": public_id, **line}) + "\n")
            if number % _REPORT_EVERY == 0 or number == len(ids):
                report(Progress(what="public view", n_done=number, n_total=len(ids), unit="images"))
    return len(ids)


def _write_image(path: Path, data: bytes) -> dict[str, Any]:
    pixels = decode(data)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    path.write_bytes(target.getvalue())
    return {"width_px": pixels.shape[1], "height_px": pixels.shape[0]}
