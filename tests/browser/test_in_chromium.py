"""Every page in a real browser: it opens, fits a phone, answers keys and keeps its theme."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.furnished import MOTH

from imagetree.web.routes import PAGES

pytestmark = pytest.mark.browser

DOG = "n02091134"  # whippet
PLACES = (
    "/",
    "/tree",
    f"/tree/{DOG}",
    "/tree/n02084071?only=images",
    f"/synset/{DOG}",
    f"/synset/{MOTH}",  # the longest name
    f"/synset/{DOG}?state=absent",
    "/synset/n02084071",  # candidates only
    "/synset/n02087122",  # photos below, none of its own
    "/synset/n02121620",  # none at all
    "/search",
    "/search?q=hunting+dog",
    "/search?q=qqqqqq",
    "/image",
    "/releases",
    "/releases/v1",
    "/runs",
    "/runs/first",
    "/runs/broken",
    "/collections",
    "/collections/1",
    "/collections/2",  # with rejects
    "/log",
    "/jobs",
    "/health",
)
PHONE = {"width": 390, "height": 844}

# Adds up how far content jumped while the page loaded.
SHIFTS = """window.shifts = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.shifts += one.value;
}).observe({ type: "layout-shift", buffered: true });"""

# Text that is shown smaller than 12 px.
SMALL_TEXT = """() => [...document.querySelectorAll("body *")]
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .filter((e) => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 12)
  .map((e) => e.textContent.trim().slice(0, 40))"""

# Text whose contrast with the ground behind it is under 4.5 to 1; boxes and bars lie on photos
# and figures, whose colours are no background of theirs.
FAINT_TEXT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .filter((e) => e.checkVisibility() && !e.closest(".box, .bars"))
    .map((e) => {
      const both = [numbers(getComputedStyle(e).color), ground(e)].map(light);
      const [a, b] = both.sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.textContent.trim().slice(0, 40)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.fixture(scope="session")
def an_image(site: str) -> str:
    """The path of the page of one image."""
    photos = httpx.get(f"{site}/synset/{DOG}.json").json()["photos"]
    return f"/image/{photos[0]['sha256']}"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, an_image: str) -> str:
    """The path and query of each page, one after the other."""
    return an_image if request.param == "/image" else str(request.param)


@pytest.mark.parametrize(("width_px", "narrower_px"), [(1440, 720), (390, 360)])
def test_page_is_sound(
    page: Page, site: str, place: str, faults: list[str], width_px: int, narrower_px: int
) -> None:
    page.set_viewport_size({"width": width_px, "height": 844})
    page.add_init_script(SHIFTS)
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
    assert page.evaluate("window.shifts") < 0.02
    assert page.evaluate(SMALL_TEXT) == []
    assert _width(page) == width_px
    page.set_viewport_size({"width": narrower_px, "height": 700})  # 200% zoom; a small phone
    assert _width(page) == narrower_px
    assert faults == []


def _width(page: Page) -> int:
    """How wide the page's content is; more than the window's width means scrolling sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(page: Page, site: str, place: str, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(site + place)
    assert page.evaluate(FAINT_TEXT) == []


def _matching(path: str) -> Any:
    """The page whose address `path` is, and its parameters."""
    for one in PAGES:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", one.path), path)
        if found:
            return one, found.groupdict()
    raise AssertionError(f"No page has the address {path}.")


def test_json_is_the_dataclass(site: str, place: str, furnished_database_made: Path) -> None:
    from imagetree.database import Database

    address = httpx.URL(site + place)
    one, parameters = _matching(address.path)
    twin = httpx.get(address.copy_with(path=f"{address.path}.json"))
    assert twin.status_code == 200
    with Database.open(furnished_database_made) as database:
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


def test_a_phone_can_search(page: Page, site: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{site}/runs")
    box = page.get_by_role("searchbox")
    expect(box).to_be_in_viewport(ratio=1)
    size = box.bounding_box()
    assert size is not None
    assert size["height"] >= 44
    assert size["width"] >= 110
    box.fill("whippet")
    box.press("Enter")
    expect(page).to_have_url(f"{site}/search?q=whippet")


def test_keys_reach_the_content_and_show_where_they_are(page: Page, site: str) -> None:
    page.goto(f"{site}/releases")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="To the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    first = page.get_by_role("link", name="v1")
    expect(first).to_be_focused()
    ring = first.evaluate("(one) => getComputedStyle(one).boxShadow")
    assert "4px" in ring  # 2 px of ground and 2 px of accent


def test_a_command_can_be_copied(page: Page, site: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/releases/v1")
    command = page.locator(".command", has_text="release public")
    command.get_by_role("button", name="Copy").click()
    expect(command.get_by_role("button")).to_have_text("Copied")
    expect(command.get_by_role("button")).to_have_text("Copy")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == command.locator("code").inner_text()
    assert copied.endswith(" v1 v1-test/ --split test")


def test_a_folded_path_opens(page: Page, site: str) -> None:
    page.goto(f"{site}/synset/{DOG}")
    path = page.get_by_role("navigation", name="Path in the tree")
    expect(path.get_by_role("link", name="animal", exact=True)).to_be_hidden()
    path.get_by_label("Show the levels between").click()
    path.get_by_role("link", name="animal", exact=True).click()
    expect(page.locator("h1")).to_have_text("animal")


def test_boxes_can_be_put_away_and_arrows_turn_the_page(
    page: Page, site: str, an_image: str, faults: list[str]
) -> None:
    page.goto(site + an_image)
    boxes = page.locator(".canvas .box")
    expect(boxes).to_have_count(3)
    expect(boxes.first).to_be_visible()
    switch = page.get_by_role("button", name="Boxes")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(boxes.first).to_be_hidden()
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(site + an_image)
    expect(page.locator("h1")).to_have_text("whippet")
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(site + an_image)
    assert faults == []


def test_the_tree_keeps_to_what_has_images(page: Page, site: str) -> None:
    page.goto(f"{site}/tree/n02084071")
    words = page.locator("#tree > ul").last.locator("a")
    assert words.count() > 10
    page.get_by_role("link", name="With images").click()
    expect(words).to_have_count(2)
    words.first.click()
    expect(page).to_have_url(f"{site}/tree/n02087122?only=images")


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


def test_jobs_stay_fresh(page: Page, site: str) -> None:
    page.goto(f"{site}/jobs")
    fresh = '<div id="jobs" data-live="2"><p>1 of 2 photos</p></div>'
    page.route("**/jobs", lambda route: route.fulfill(body=fresh, content_type="text/html"))
    expect(page.get_by_text("1 of 2 photos")).to_be_visible()
    expect(page.locator("h1")).to_have_text("Jobs")  # the rest of the page stays


@pytest.mark.parametrize("path", ["/nowhere", "/synset/n99999999", "/runs/none", "/image/0000"])
def test_missing_page_says_what_next(page: Page, site: str, path: str) -> None:
    answer = page.goto(site + path)
    assert answer is not None
    assert answer.status == 404
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("main").get_by_role("link", name="Home")).to_have_attribute("href", "/")
    page.set_viewport_size({"width": 360, "height": 700})
    assert _width(page) == 360
    assert httpx.get(f"{site}{path}.json").json()["status"] == 404


def test_nothing_can_be_written(site: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, f"{site}/tree").status_code == 405
