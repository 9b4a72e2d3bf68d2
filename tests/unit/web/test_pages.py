"""Every page builds its documented dataclass, and serves it as HTML and JSON alike."""

from __future__ import annotations

import asyncio
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


def ask(app: FastAPI, address: str) -> httpx.Response:
    """The application's answer, without a socket."""

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(address)

    return asyncio.run(answer())


@pytest.mark.parametrize("place", PLACES)
def test_page_and_json(app: FastAPI, place: str) -> None:
    path, _, query = place.partition("?")
    page = ask(app, place)
    twin = ask(app, f"{path}.json?{query}")
    assert page.status_code == twin.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    names = {frozenset(f.name for f in fields(one.context)) for one in PAGES}
    assert frozenset(twin.json()) in names


def test_query_of_a_synset(app: FastAPI) -> None:
    whole = ask(app, "/synset/n02091134.json").json()
    assert whole["state"] == "present"
    assert len(whole["photos"]) == 12
    fifth = whole["photos"][4]["image_id"]
    rest = ask(app, f"/synset/n02091134.json?after={fifth}").json()
    assert rest["photos"] == whole["photos"][5:]
    absent = ask(app, "/synset/n02091134.json?state=absent").json()
    assert (absent["state"], absent["photos"]) == ("absent", [])


def test_query_of_the_log(app: FastAPI) -> None:
    events = ask(app, "/log.json").json()["events"]
    earlier = ask(app, f"/log.json?before={events[0]['event_id']}").json()["events"]
    assert earlier == events[1:]


@pytest.mark.parametrize("query", ["state=perhaps", "after=x"])
def test_wrong_query_says_what_to_do(app: FastAPI, query: str) -> None:
    answer = ask(app, f"/synset/n02091134.json?{query}")
    assert answer.status_code == 422
    assert answer.json()["hint"]
