"""Local response normalisation, written so that it is fast on a processor too.

    b_i = a_i / (k + alpha / size * sum of a_j^2 over the `size` channels around i) ^ beta

Krizhevsky, Sutskever and Hinton 2012, section 3.3, in torch's terms (alpha is divided by the
size; the paper's formula read literally has no division, which is alpha = 5e-4 here). The sum
over neighbouring channels is a 1x1 convolution with a banded matrix of zeros and ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BandedResponseNorm(nn.Module):
    """Returns the input divided by the energy of its neighbouring channels; (N, C, H, W) both.

    Equal to `torch.nn.LocalResponseNorm` on each of `groups` blocks of channels: the band never
    crosses the boundary between the towers of a two-tower network.

    Example:
        >>> BandedResponseNorm(96, groups=2)(torch.zeros(1, 96, 5, 5)).shape
        torch.Size([1, 96, 5, 5])
    """

    band: Tensor

    def __init__(
        self,
        n_channels: int,
        *,
        groups: int = 1,
        size: int = 5,
        alpha: float = 1e-4,
        k: float = 2.0,
    ) -> None:
        super().__init__()
        self.scale, self.k = alpha / size, k
        index = torch.arange(n_channels)
        near = (index[:, None] - index[None, :]).abs() <= size // 2
        tower = index // (n_channels // groups)
        band = (near & (tower[:, None] == tower[None, :])).float()
        # not persistent: it follows from the options, so a bundle need not carry it
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        energy = functional.conv2d(images * images, self.band.to(images.dtype))
        root = (energy * self.scale + self.k).rsqrt()
        # beta is 0.75: d^-0.75 = d^-0.5 * sqrt(d^-0.5), much cheaper than a power
        return images * (root * root.sqrt()).to(images.dtype)
