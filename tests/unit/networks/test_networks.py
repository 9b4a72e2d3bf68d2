from __future__ import annotations

import pytest
import torch

from imagetree.core.errors import InvalidInput
from imagetree.networks import registry
from imagetree.networks.costs import layer_costs
from imagetree.networks.normalisation import BandedResponseNorm


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_lenet_has_60000_parameters_up_to_f6() -> None:
    grey = registry.build("lenet5", n_classes=10, image_size=32, channels=1)
    assert count(grey) - count(grey.get_submodule("output")) == 60_000
    colour = registry.build("lenet5", n_classes=10, image_size=32, channels=3)
    assert count(colour) - count(colour.get_submodule("output")) == 60_300


def test_alexnet_counts_and_costs() -> None:
    network = registry.build("alexnet", n_classes=1000, image_size=224)
    assert count(network) == 60_965_224
    costs = layer_costs(network, image_size=224)
    mmac = [round(c.n_multiply_accumulates / 1e6, 1) for c in costs]
    assert mmac[:5] == [105.4, 223.9, 149.5, 112.1, 74.8]
    assert round(sum(c.n_multiply_accumulates for c in costs) / 1e6, 1) == 724.4
    assert [c.output[-1] for c in costs[:5]] == [55, 27, 13, 13, 13]
    assert [c.n_parameters for c in costs[:5]] == [34_944, 307_456, 885_120, 663_936, 442_624]


def test_six_conv_counts() -> None:
    network = registry.build("alexnet", n_classes=10_184, image_size=224, six_conv=True)
    assert count(network) == 99_182_152


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_small_form_takes_sizes(variant: str, groups: int, size: int) -> None:
    network = registry.build(
        "alexnet", n_classes=7, image_size=size, variant=variant, groups=groups, lrn=True, width=0.5
    )
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_banded_norm_equals_torch_in_each_tower() -> None:
    x = 20 * torch.randn(2, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    torch_norm = torch.nn.LocalResponseNorm(5, 1e-4, 0.75, 2)
    expected = torch.cat([torch_norm(x[:, :16]), torch_norm(x[:, 16:])], 1)
    torch.testing.assert_close(BandedResponseNorm(32, groups=2)(x), expected)
    assert not torch.allclose(torch_norm(x), expected)


def test_unknown_names_list_what_exists() -> None:
    with pytest.raises(InvalidInput, match="alexnet, lenet5"):
        registry.build("resnet", n_classes=2, image_size=32)
    with pytest.raises(InvalidInput, match="six_conv"):
        registry.build("alexnet", n_classes=2, image_size=32, depth=3)
    with pytest.raises(InvalidInput, match="too small"):
        registry.build("alexnet", n_classes=2, image_size=16)
