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
def app(furnished_database_made: Path) -> Iterator[FastAPI]:
    from imagetree.database import Database

    with Database.open(furnished_database_made) as database:
        yield create_app(database, version="0")


PLACES = [
    "/", "/tree", "/tree/n02091134", "/synset/n02091134", "/search?q=hunting+dog", "/releases",
    "/releases/v1", "/runs", "/runs/first", "/runs/broken", "/tree/n02084071?only=images",
    "/synset/n02084071", "/synset/n02300554", "/collections/2", "/collections", "/collections/1",
    "/log", "/jobs", "/health",
]  # fmt: skip


def ask(app: FastAPI, address: str) -> httpx.Response:
    """The application's answer, without a socket."""

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
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


def test_boxes_of_every_state_are_drawn(app: FastAPI) -> None:
    photo = ask(app, "/synset/n02091134.json").json()["photos"][0]["sha256"]
    boxes = ask(app, f"/image/{photo}.json").json()["boxes"]
    assert [(one["xmin"], one["ymax"], one["state"]) for one in boxes] == [
        (2, 40, "verified"),
        (30, 70, "drawn"),
        (70, 30, "refused"),
    ]
    page = ask(app, f"/image/{photo}").text
    assert page.count('class="box ') == 3
    assert 'alt="whippet, 3 boxes"' in page


def test_an_image_knows_its_neighbours(app: FastAPI) -> None:
    photos = [one["sha256"] for one in ask(app, "/synset/n02091134.json").json()["photos"]]
    found = [ask(app, f"/image/{one}.json").json() for one in (photos[0], photos[5], photos[-1])]
    assert [(one["before"], one["after"]) for one in found] == [
        ("", photos[1]),
        (photos[4], photos[6]),
        (photos[-2], ""),
    ]


def test_the_tree_can_leave_out_what_has_no_images(app: FastAPI) -> None:
    whole = ask(app, "/tree/n02084071.json").json()["columns"]
    some = ask(app, "/tree/n02084071.json?only=images").json()["columns"]
    assert len(whole[-1]["nodes"]) > 10
    assert {one["name"] for one in some[-1]["nodes"]} == {"hunting dog", "working dog"}
    bare = ask(app, "/tree/n02121620.json?only=images").json()["columns"]  # no cats here
    assert bare[-1]["open"] == "n02121620"  # the way to it stays
    page = ask(app, "/tree/n02084071?only=images").text
    assert 'href="/tree/n02087122?only=images"' in page
    assert ask(app, "/tree?only=nothing").status_code == 422


def test_a_synset_tells_what_is_near_it(app: FastAPI) -> None:
    leaf = ask(app, "/synset/n02091134.json").json()
    assert (leaf["children"], [one["name"] for one in leaf["siblings"]]) == (
        [],
        ["Italian greyhound"],
    )
    assert {"v1"} == leaf["releases"].keys()
    assert sum(leaf["releases"]["v1"].values()) == 12
    above = ask(app, "/synset/n02087122.json").json()  # hunting dog: images below, none of its own
    assert (above["photos"], above["n_photos_below"]) == ([], 24)
    assert len(above["below"]) == 6
    assert not above["siblings"]


def test_the_newest_score_of_each_kind(app: FastAPI) -> None:
    run = ask(app, "/runs/first.json").json()
    assert [one["metric"] for one in run["scores"]] == ["top1_error", "top5_error"]
    assert len(run["figure"]) == 8
    assert [one["name"] for one in ask(app, "/releases/v1.json").json()["runs"]] != []


def test_commands_name_the_database_as_one_types_it(
    furnished_database_made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagetree.database import Database

    monkeypatch.chdir(furnished_database_made.parent.parent)
    with Database.open(furnished_database_made) as database:
        page = ask(create_app(database, version="0"), "/releases/v1").text
    folder = f"{furnished_database_made.parent.name}/tiny.imagetree"
    assert f'data-copy="imagetree release public {folder} v1 v1-test/ --split test"' in page


def test_a_page_that_fails_says_so_in_the_look(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("imagetree.catalog.statements.event.last_event", fail)
    page = ask(app, "/health")
    assert page.status_code == 500
    assert "This page could not be made." in page.text
    assert "secret" not in page.text
    assert ask(app, "/health.json").json()["code"] == "unexpected"
