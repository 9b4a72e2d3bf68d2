"""Values as pages write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetree.catalog.statements.event import EventRow
from imagetree.web.wording import by_day, inside, plural, setting, typed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (True, "yes"),
        (False, "no"),
        (None, "none"),
        ([], "none"),
        ({}, "none"),
        ([0.8, 1.0], "0.8, 1.0"),
        ({"torch": "2.13.0", "python": "3.11.7"}, "torch 2.13.0, python 3.11.7"),
    ],
)
def test_setting(value: object, text: str) -> None:
    assert setting(value) == text


def test_counts_with_their_noun() -> None:
    assert plural(1, "photo") == "1 photo"
    assert plural(1200, "photo") == "1,200 photos"
    assert plural(2, "box", "boxes") == "2 boxes"


def test_a_path_is_written_as_one_types_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed(tmp_path / "demo" / "birds.imagetree") == "demo/birds.imagetree"
    assert typed(tmp_path / "my birds.imagetree") == "'my birds.imagetree'"
    assert typed(Path("/elsewhere/birds.imagetree")) == "/elsewhere/birds.imagetree"


def test_a_file_is_named_from_the_collected_folder_on() -> None:
    assert inside("/photos/dog/1.jpg", "/photos") == "dog/1.jpg"
    assert inside("/photos/dog/1.jpg", "/photos/") == "dog/1.jpg"
    assert inside("/photos2/1.jpg", "/photos") == "/photos2/1.jpg"


def test_events_come_in_days() -> None:
    def event(number: int, at: str) -> EventRow:
        return EventRow(event_id=number, at=at, kind="", actor="", summary="")

    days = by_day(
        [event(3, "2026-03-02T01:00"), event(2, "2026-03-01T23:00"), event(1, "2026-03-01T")]
    )
    assert [(day, [one.event_id for one in events]) for day, events in days] == [
        ("2026-03-02", [3]),
        ("2026-03-01", [2, 1]),
    ]
