"""What a network costs, layer by layer: output size, parameters, multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One layer for one image; `output` without the batch axis."""

    name: str
    output: tuple[int, ...]
    n_parameters: int
    n_multiply_accumulates: int


def layer_costs(network: nn.Module, *, image_size: int, channels: int = 3) -> tuple[LayerCost, ...]:
    """The convolutions and linear layers in the order in which they run, for one image.

    Multiply-accumulates count the forward pass only, without biases.

    Example:
        >>> layer_costs(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), image_size=2)[0].n_parameters
        65
    """
    costs: list[LayerCost] = []
    hooks = []

    def listen(name: str, layer: nn.Conv2d | nn.Linear) -> None:
        def record(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            each = layer.weight[0].numel()  # multiplications for one number of the output
            costs.append(
                LayerCost(
                    name=name,
                    output=tuple(output.shape[1:]),
                    n_parameters=sum(p.numel() for p in layer.parameters()),
                    n_multiply_accumulates=each * output[0].numel(),
                )
            )

        hooks.append(layer.register_forward_hook(record))

    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            listen(name, layer)
    was_training = network.training
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, channels, image_size, image_size))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(costs)
