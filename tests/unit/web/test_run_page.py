"""The page of a real run draws the curves that training wrote."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from imagetree.database import Database
from imagetree.web.app import create_app


@pytest.mark.slow
def test_run_page(tiny_database: Path) -> None:
    with Database.open(tiny_database) as database:
        # So few photos a class that a tenth of them, which is held out unless asked, is none.
        database.train("v1", "lenet5", name="first", epochs=2, validation=0.5)
        app = create_app(database, version="0")

        async def ask(address: str) -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.get(address)

        database.train("v1", "lenet5", name="unwatched", epochs=1, validation=0)
        page = asyncio.run(ask("/runs/first"))
        unwatched = asyncio.run(ask("/runs/unwatched"))
        rows = asyncio.run(ask("/runs/first.json")).json()["metrics"]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert "Not known yet" not in page.text
    assert page.text.count('class="chart"') == 2
    drawn = re.findall(r'd="M0\.00 [\d.]+L100\.00 [\d.]+"', page.text)
    assert len(drawn) == 3  # top-1, top-5 and the loss
    assert f"train {rows[-1]['loss']:.3g}" in page.text
    # Errors that will never come are not "not known yet".
    assert "Nothing was watched" in unwatched.text
    assert "Not known yet" not in unwatched.text
    assert "Nothing was watched" not in page.text
