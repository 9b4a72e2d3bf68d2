from __future__ import annotations

from imagetree.web.chart import chart


def test_a_chart_spans_its_epochs_and_ends_at_the_last_value() -> None:
    rows = [{"epoch": 1, "loss": 2.0}, {"epoch": 2}, {"epoch": 3, "loss": float("nan")}]
    rows.append({"epoch": 5, "loss": 1.0})
    drawn = chart(rows, ["loss"])
    assert drawn is not None
    (line,) = drawn.lines
    assert line.path == "M0.00 0.00L100.00 50.00"
    assert line.last == "1"


def test_nothing_to_draw_is_no_chart() -> None:
    assert chart([{"epoch": 1}], ["loss"]) is None
