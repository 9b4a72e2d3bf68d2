from __future__ import annotations

import pytest

from imagetree.cli.options import recipe_values, split_shares
from imagetree.core.errors import InvalidInput


def test_split_shares() -> None:
    assert split_shares(" train=0.7,test=0.3 ") == {"train": 0.7, "test": 0.3}
    assert split_shares("all=1") == {"all": 1.0}


@pytest.mark.parametrize(
    "text",
    ["", "train", "train=", "train=x", "=0.5", "train=0", "train=1.2", "a=0.5,a=0.5", "a=nan"],
)
def test_a_split_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_shares(text)
    assert repr(text) in caught.value.message
    assert "--split train=0.7,test=0.3" in caught.value.hint


def test_recipe_values_have_their_types() -> None:
    values = recipe_values(["epochs=20", "learning-rate=1e-2", "six_conv=true", "variant=code"])
    assert values == {"epochs": 20, "learning_rate": 0.01, "six_conv": True, "variant": "code"}
    assert recipe_values(["milestones=30,60"]) == {"milestones": [30, 60]}
    assert [type(value) for value in values.values()] == [int, float, bool, str]


@pytest.mark.parametrize("text", ["epochs", "=3", "two words=3"])
def test_a_setting_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        recipe_values([text])
