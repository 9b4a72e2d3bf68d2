"""Every page in a real browser: it opens, fits a phone, answers keys and keeps its theme."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from imagetree.web.routes import PAGES

pytestmark = pytest.mark.browser

DOG = "n02091134"  # whippet
PLACES = (
    "/",
    "/tree",
    f"/tree/{DOG}",
    f"/synset/{DOG}",
    "/synset/n02084071",
    "/search",
    "/search?q=hunting+dog",
    "/search?q=qqqqqq",
    "/image",
    "/releases",
    "/releases/v1",
    "/runs",
    "/collections",
    "/collections/1",
    "/log",
    "/jobs",
    "/health",
)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def an_image(site: str) -> str:
    """The path of the page of one image."""
    photos = httpx.get(f"{site}/synset/{DOG}.json").json()["photos"]
    return f"/image/{photos[0]['sha256']}"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, an_image: str) -> str:
    """The path and query of each page, one after the other."""
    return an_image if request.param == "/image" else str(request.param)


def test_page_opens(page: Page, site: str, place: str, faults: list[str]) -> None:
    answer = page.goto(site + place, wait_until="networkidle")
    assert answer is not None
    assert answer.status == 200
    expect(page.locator("h1")).to_be_visible()
    assert " · tiny · imagetree" in page.title()
    path, _, query = place.partition("?")
    twin = page.get_by_role("link", name="This page as JSON")
    expect(twin).to_have_attribute("href", f"{path}.json" + (f"?{query}" if query else ""))
    for image in page.locator("img").all():  # their room is kept while they load
        assert re.fullmatch(r"[1-9]\d*", image.get_attribute("width") or "")
        assert re.fullmatch(r"[1-9]\d*", image.get_attribute("height") or "")
        assert image.get_attribute("alt") is not None
    assert faults == []


def test_fits_a_phone(page: Page, site: str, place: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(site + place, wait_until="networkidle")
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths == [PHONE["width"], PHONE["width"]]


def _matching(path: str) -> Any:
    """The page whose address `path` is, and its parameters."""
    for one in PAGES:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", one.path), path)
        if found:
            return one, found.groupdict()
    raise AssertionError(f"No page has the address {path}.")


def test_json_is_the_dataclass(site: str, place: str, tiny_database_made: Path) -> None:
    from imagetree.database import Database

    address = httpx.URL(site + place)
    one, parameters = _matching(address.path)
    twin = httpx.get(address.copy_with(path=f"{address.path}.json"))
    assert twin.status_code == 200
    with Database.open(tiny_database_made) as database:
        built = one.build(database, {**dict(address.params), **parameters})
    assert isinstance(built, one.context)
    expected = httpx.Response(200, json=asdict(built)).json()
    assert twin.json() == expected


def test_slash_searches(page: Page, site: str, faults: list[str]) -> None:
    page.goto(f"{site}/tree")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("whippet")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site}/search?q=whippet")
    expect(page.get_by_role("searchbox")).to_have_value("whippet")
    page.locator(f'main a[href="/synset/{DOG}"]').first.click()
    expect(page.locator("h1")).to_have_text("whippet")
    assert faults == []


def test_arrows_walk_the_tree(page: Page, site: str) -> None:
    page.goto(f"{site}/tree")
    column = page.locator("#tree > ul")  # not the list of kinds beside them
    here = column.locator("a[aria-current]")
    here.focus()
    page.keyboard.press("ArrowRight")
    first = column.nth(1).locator("a").first
    expect(first).to_be_focused()
    page.keyboard.press("ArrowDown")
    second = column.nth(1).locator("a").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(here).to_be_focused()
    page.keyboard.press("ArrowRight")
    href = first.get_attribute("href")
    page.keyboard.press("ArrowRight")  # not open yet: its page opens
    expect(page).to_have_url(f"{site}{href}")
    expect(column).to_have_count(3)


def test_from_synset_to_image(page: Page, site: str, faults: list[str]) -> None:
    page.goto(f"{site}/synset/{DOG}")
    photos = page.locator("main a.thumb")
    expect(photos).to_have_count(12)
    photos.first.click()
    expect(page).to_have_url(re.compile("/image/[0-9a-f]{64}$"))
    shown = page.locator(".canvas img")
    expect(shown).to_be_visible()
    expect(shown).to_have_js_property("naturalWidth", 96)
    expect(shown).to_have_js_property("naturalHeight", 72)
    expect(page.locator("main")).to_contain_text("96 × 72 px")
    expect(page.get_by_role("link", name="v1")).to_have_attribute("href", "/releases/v1")
    assert faults == []


@pytest.mark.parametrize("system", ["light", "dark"])
def test_theme_is_kept(page: Page, site: str, system: Any) -> None:
    page.emulate_media(color_scheme=system)
    other = {"light": "dark", "dark": "light"}[system]
    ground = "getComputedStyle(document.body).backgroundColor"
    page.goto(site)
    before = page.evaluate(ground)
    page.get_by_role("button", name="Dark or light").click()
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", other)
    after = page.evaluate(ground)
    assert after != before
    page.goto(f"{site}/runs")
    expect(root).to_have_attribute("data-theme", other)
    assert page.evaluate(ground) == after
    page.get_by_role("button", name="Dark or light").click()
    expect(root).to_have_attribute("data-theme", system)
    assert page.evaluate(ground) == before


@pytest.mark.parametrize("path", ["/nowhere", "/synset/n99999999", "/runs/none", "/image/0000"])
def test_missing_page_says_what_next(page: Page, site: str, path: str) -> None:
    answer = page.goto(site + path)
    assert answer is not None
    assert answer.status == 404
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("main").get_by_role("link", name="Home")).to_have_attribute("href", "/")
    assert httpx.get(f"{site}{path}.json").json()["status"] == 404


def test_nothing_can_be_written(site: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, f"{site}/tree").status_code == 405
