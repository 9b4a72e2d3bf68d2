"""Values as pages write them."""

from __future__ import annotations

import pytest

from imagetree.web.wording import setting


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
