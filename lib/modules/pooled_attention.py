"""Pooled non-local fusion of two aligned maps (SALI, MICCAI 2024; after Wang et al., Non-local Networks, CVPR 2018).

(N, 2 M, H, W) -> (N, M, H, W). Every position looks at a max-pooled grid of positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvBN
from .precision import full_precision

__all__ = ["PooledAttention"]


class PooledAttention(nn.Module):
    """Mix what every position of two concatenated maps sees elsewhere into it.

    Args:
        channels: M; the input has twice as many.
        pool: side of the pooled cells, pixels; rows and columns that fill no cell are left out.
    """

    def __init__(self, channels: int, *, pool: int):
        super().__init__()
        both = 2 * channels
        self.pool = pool
        self.value = nn.Conv2d(both, channels, 1)
        self.expand = nn.Conv2d(channels, both, 1)
        self.merge = nn.Conv2d(2 * both, both, 1)
        self.reduce = ConvBN(both, channels, 3)
        # nothing is added at the start: `value` gets its first gradient once `expand` has moved
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:
        mixed = x + self.expand(self.attend(x))
        return self.reduce(self.merge(torch.cat((x, mixed), dim=1)))

    def attend(self, x: Tensor) -> Tensor:
        """Mean of the pooled values, weighted by a softmax of unscaled products. (N, 2 M, H, W) -> (N, M, H, W)."""
        keys = full_precision(F.max_pool2d(x, self.pool)).flatten(2)  # (N, 2 M, P)
        values = full_precision(F.max_pool2d(self.value(x), self.pool)).flatten(2)  # (N, M, P)
        with torch.autocast(x.device.type, enabled=False):  # unscaled products leave the range of half precision
            queries = full_precision(x).flatten(2).transpose(1, 2)  # (N, HW, 2 M)
            weights = (queries @ keys).softmax(dim=-1)  # (N, HW, P)
            seen = weights @ values.transpose(1, 2)
        return seen.transpose(1, 2).unflatten(2, x.shape[-2:])
