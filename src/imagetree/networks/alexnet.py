"""AlexNet: five convolutions, three overlapping poolings, three fully connected layers.

Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks,
NIPS 2012, and the authors' code (published 2025). The two differ; both are here:

    variant   order of the first two stages                                  alpha  N(0, s)
    paper     conv, ReLU, LRN, pool (twice)                                  5e-4   0.01
    code      conv1, LRN, pool, ReLU; conv2, ReLU, LRN, LRN, pool            1e-4   0.03, conv3-5

Alpha is in torch's terms (divided by the window of 5). 224 px gives 55 x 55 because conv1 pads
3 px on the right and on the bottom only. Biases start at 1 on conv2, conv4, conv5, fc6 and fc7.

Parameters: 60,965,224 with 1000 classes at 224 px and two groups; 99,182,152 with `six_conv` and
10,184 classes. torchvision's network of the same name is a later, different one.

The small form (below 160 px, or `small=True`) keeps the plan (five convolutions, overlapping
pooling, dropout, no batch normalisation) with a 7x7/2 first layer, fewer filters, He's weights
(the paper's N(0, 0.01) hardly starts on 5,000 photos) and no LRN unless `lrn=True`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imagetree.core.errors import InvalidInput
from imagetree.networks.normalisation import BandedResponseNorm

SMALL_BELOW_PX = 160
POOL_PX, POOL_STRIDE = 3, 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The widths and windows of one form of the network."""

    first_kernel_px: int
    first_stride: int
    first_padding: tuple[int, int, int, int]  # left, right, top, bottom
    filters: tuple[int, int, int, int, int]
    hidden: int


FULL = Plan(
    first_kernel_px=11,
    first_stride=4,
    first_padding=(0, 3, 0, 3),
    filters=(96, 256, 384, 384, 256),
    hidden=4096,
)
SMALL = Plan(
    first_kernel_px=7,
    first_stride=2,
    first_padding=(3, 3, 3, 3),
    filters=(48, 128, 192, 192, 128),
    hidden=1024,
)


class AlexNet(nn.Module):
    """Returns logits (N, n_classes) for images (N, channels, image_size, image_size).

    Errors: InvalidInput for an unknown variant, groups other than 1 and 2, an image too small.

    Example:
        >>> AlexNet(n_classes=10, image_size=96)(torch.zeros(1, 3, 96, 96)).shape
        torch.Size([1, 10])
    """

    def __init__(
        self,
        n_classes: int,
        *,
        image_size: int,
        channels: int = 3,
        variant: str = "paper",
        groups: int | None = None,
        six_conv: bool = False,
        width: float = 1.0,
        small: bool | None = None,
        lrn: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.small = image_size < SMALL_BELOW_PX if small is None else small
        self.groups = groups if groups is not None else (1 if self.small else 2)
        self.variant, self.lrn = variant, (not self.small) if lrn is None else lrn
        _check(variant, self.groups, width=width, n_classes=n_classes)
        plan = SMALL if self.small else FULL
        filters = [max(8, round(n * width / 8) * 8) for n in plan.filters]
        hidden = max(8, round(plan.hidden * width / 8) * 8)
        grid = self._grid(plan, image_size)
        self.features = nn.Sequential(*self._features(plan, filters, channels))
        if six_conv:
            # after the last pooling, connected to both towers (the 10,184-class network)
            self.features.append(_conv(filters[4], filters[4], 3))
            self.features.append(nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(filters[4] * grid * grid, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, n_classes),
        )
        self._start()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.flatten(self.features(images), 1))
        return logits

    def _grid(self, plan: Plan, image_size: int) -> int:
        side = (
            image_size + sum(plan.first_padding[:2]) - plan.first_kernel_px
        ) // plan.first_stride
        side += 1
        for _ in range(3):
            side = (side - POOL_PX) // POOL_STRIDE + 1
        if side < 1:
            raise InvalidInput(
                f"Images of {image_size} px are too small for alexnet.",
                hint="Give image_size=32 or more (small form), 63 or more with small=False.",
            )
        return side

    def _features(self, plan: Plan, filters: Sequence[int], channels: int) -> list[nn.Module]:
        n1, n2, n3, n4, n5 = filters
        conv1 = [
            nn.ZeroPad2d(plan.first_padding),
            nn.Conv2d(channels, n1, plan.first_kernel_px, stride=plan.first_stride),
        ]
        conv2 = _conv(n1, n2, 5, groups=self.groups)
        relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(POOL_PX, POOL_STRIDE)
        if self.variant == "code":
            first = [*conv1, *self._norm(n1), pool, relu]
            second = [conv2, relu, *self._norm(n2), *self._norm(n2), pool]
        else:
            first = [*conv1, relu, *self._norm(n1), pool]
            second = [conv2, relu, *self._norm(n2), pool]
        # conv3 sees both towers, conv4 and conv5 only their own
        rest = [
            *(_conv(n2, n3, 3), relu),
            *(_conv(n3, n4, 3, groups=self.groups), relu),
            *(_conv(n4, n5, 3, groups=self.groups), relu),
            pool,
        ]
        return [*first, *second, *rest]

    def _norm(self, n_channels: int) -> list[nn.Module]:
        alpha = 5e-4 if self.variant == "paper" else 1e-4
        one = BandedResponseNorm(n_channels, groups=self.groups, alpha=alpha)
        return [one] if self.lrn else []

    def _start(self) -> None:
        """Sets the first weights from torch's global generator, which the loop seeds."""
        convs = [m for m in self.features if isinstance(m, nn.Conv2d)]
        linears = [m for m in self.classifier if isinstance(m, nn.Linear)]
        layers: list[nn.Conv2d | nn.Linear] = [*convs, *linears]
        for layer in layers:
            nn.init.zeros_(layer.bias) if layer.bias is not None else None
            if self.small:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                wide = self.variant == "code" and layer in convs[2:5]
                nn.init.normal_(layer.weight, std=0.03 if wide else 0.01)
        if self.small:
            nn.init.normal_(linears[-1].weight, std=0.01)
            return
        ones: list[nn.Conv2d | nn.Linear] = [convs[1], convs[3], convs[4], *linears[:2]]
        for layer in ones:
            nn.init.ones_(layer.bias) if layer.bias is not None else None


def _conv(n_in: int, n_out: int, kernel_px: int, *, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel_px, padding=kernel_px // 2, groups=groups)


def _check(variant: str, groups: int, *, width: float, n_classes: int) -> None:
    if variant not in ("paper", "code"):
        raise InvalidInput(f"alexnet has no variant {variant!r}.", hint="Use 'paper' or 'code'.")
    if groups not in (1, 2):
        raise InvalidInput(f"alexnet has no form of {groups} groups.", hint="Use groups=1 or 2.")
    if not width > 0 or n_classes < 1:
        raise InvalidInput(
            "width and n_classes must be positive.", hint="width=1.0 is the paper's."
        )
