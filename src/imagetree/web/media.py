"""Pixels: an image's untouched bytes where a browser can show them, else converted."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from PIL import Image

from imagetree.catalog.statements.image import read_image
from imagetree.images.decode import open_checked, to_rgb

if TYPE_CHECKING:
    from imagetree.database import Database

# Modes of these that every browser shows as they are; all else becomes a PNG.
SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
PNG_START = b"\x89PNG"


def router(database: Database) -> APIRouter:
    """The two media routes of a database."""
    made = APIRouter(prefix="/media")

    @made.api_route("/thumb/{sha256}", methods=["GET", "HEAD"])
    def thumb(sha256: str, request: Request) -> Response:
        def read() -> tuple[bytes, str]:
            data = database.thumbnail_bytes(sha256)
            return data, "image/png" if data.startswith(PNG_START) else "image/jpeg"

        return _answer(request, f'"t-{sha256}"', read=read)

    @made.api_route("/image/{sha256}", methods=["GET", "HEAD"])
    def image(sha256: str, request: Request) -> Response:
        with database.engine.connect() as connection:
            row = read_image(connection, sha256)

        def read() -> tuple[bytes, str]:
            data = database.image_bytes(sha256)
            kind = SHOWN.get(row.format.upper())
            if kind is None or row.mode.upper() in {"CMYK", "YCCK"}:
                return _as_png(data), "image/png"
            return data, kind

        return _answer(request, f'"i-{sha256}"', read=read)

    return made


def _answer(request: Request, etag: str, *, read: Callable[[], tuple[bytes, str]]) -> Response:
    # A hash names the same bytes for ever, yet a takedown must reach every browser: each use
    # asks again, and an unchanged image costs no bytes.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    data, kind = read()
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)


def _as_png(data: bytes) -> bytes:
    opened, info = open_checked(data)
    rgb: Image.Image = to_rgb(opened, orientation=info.orientation)
    target = io.BytesIO()
    rgb.save(target, "PNG", compress_level=1)
    return target.getvalue()
