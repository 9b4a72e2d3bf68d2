"""Every page builds its documented dataclass, and serves it as HTML and JSON alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from imagetree.web.app import create_app
from imagetree.web.routes import PAGES


@pytest.fixture(scope="module")
def app(tiny_database_made: Path) -> Iterator[FastAPI]:
    from imagetree.database import Database

    with Database.open(tiny_database_made) as database:
        yield create_app(database, version="0")


PLACES = [
    "/", "/tree", "/tree/n02091134", "/synset/n02091134", "/search?q=hunting+dog", "/releases",
    "/releases/v1", "/runs", "/collections", "/collections/1", "/log", "/jobs", "/health",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_page_and_json(app: FastAPI, place: str) -> None:
    import asyncio

    async def ask(address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(address)

    path, _, query = place.partition("?")
    page = asyncio.run(ask(place))
    twin = asyncio.run(ask(f"{path}.json?{query}"))
    assert page.status_code == twin.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    names = {frozenset(f.name for f in fields(one.context)) for one in PAGES}
    assert frozenset(twin.json()) in names
