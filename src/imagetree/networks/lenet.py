"""LeNet-5 as published: partial connections, trainable subsampling, scaled tanh.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, Proc.
IEEE 86 (1998), section II.B, table I and appendix A. Trainable parameters for grey images:

    C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164: together exactly 60,000

The output layer is a trainable linear one for any number of classes, where the paper compares F6
with fixed 7 x 12 drawings of the ten digits (radial basis functions): those exist for digits
only. Colour images (channels=3) make C1 456, so 60,300 up to F6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imagetree.core.errors import InvalidInput

IMAGE_PX = 32

# Table I: which of the six maps of S2 each of the sixteen maps of C3 sees
CONNECTIONS: tuple[tuple[int, ...], ...] = (
    *(tuple(sorted((i + j) % 6 for j in range(3))) for i in range(6)),
    *(tuple(sorted((i + j) % 6 for j in range(4))) for i in range(6)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class ScaledTanh(nn.Module):
    """Returns 1.7159 tanh(2x/3), which maps 1 to 1 and -1 to -1 (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2.0 / 3.0))


class Subsampling(nn.Module):
    """Returns half the side: the sum of 2 x 2, times a coefficient, plus a bias, a map each."""

    def __init__(self, n_maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((n_maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(n_maps, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return functional.avg_pool2d(maps, 2) * 4.0 * self.coefficient + self.bias


class TableConv(nn.Module):
    """Returns (N, 16, 10, 10) for (N, 6, 14, 14): a 5 x 5 convolution along table I only."""

    to_map: Tensor
    from_map: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = [(out, source) for out, row in enumerate(CONNECTIONS) for source in row]
        self.register_buffer("to_map", torch.tensor([p[0] for p in pairs]), persistent=False)
        self.register_buffer("from_map", torch.tensor([p[1] for p in pairs]), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.zeros(len(CONNECTIONS)))

    def forward(self, maps: Tensor) -> Tensor:
        dense = self.weight.new_zeros(len(CONNECTIONS), 6, 5, 5)
        dense = dense.index_put((self.to_map, self.from_map), self.weight)
        return functional.conv2d(maps, dense, self.bias)


class LeNet5(nn.Module):
    """Returns logits (N, n_classes) for images (N, channels, 32, 32).

    Errors: InvalidInput when the image size is not 32.

    Example:
        >>> LeNet5(10)(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, n_classes: int, *, image_size: int = IMAGE_PX, channels: int = 1) -> None:
        super().__init__()
        if image_size != IMAGE_PX:
            raise InvalidInput(
                f"lenet5 takes images of 32 x 32 px, not {image_size}.",
                hint="Give image_size=32, or use alexnet, which adapts to the size.",
            )
        self.c1 = nn.Conv2d(channels, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = TableConv()
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, n_classes)
        self.squash = ScaledTanh()
        self._start()

    def forward(self, images: Tensor) -> Tensor:
        x = self.squash(self.s2(self.squash(self.c1(images))))
        x = self.squash(self.s4(self.squash(self.c3(x))))
        x = self.squash(self.c5(x)).flatten(1)
        logits: Tensor = self.output(self.squash(self.f6(x)))
        return logits

    def _start(self) -> None:
        """Uniform in +-2.4 / fan-in (appendix A); C3's fan-in depends on the map."""
        for layer in (self.c1, self.c5, self.f6, self.output):
            bound = 2.4 / layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        n_inputs = torch.tensor([25.0 * len(row) for row in CONNECTIONS for _ in row])
        bound_of_map = (2.4 / n_inputs)[:, None, None]
        with torch.no_grad():
            self.c3.weight.uniform_(-1.0, 1.0).mul_(bound_of_map)
