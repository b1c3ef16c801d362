"""The network as other runtimes get it: a function of one array, with or without what is done before and after it."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import Network

from ...data import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["GraphNetwork"]

LARGEST_SIDE = 16384  # pixels of a frame that a graph with processing takes


class GraphNetwork(nn.Module):
    """A copy of an image network, to be traced.

    Without `processing`: image (N, 3, S, S) float32, normalized RGB -> logits (N, K, h, w).
    With it: frames (N, H, W, 3) uint8 RGB, of any one size -> probability (N, H, W) float32, of classes the largest.

    Args:
        network: in evaluation.
        size: S, pixels.
        processing: resize, normalize, and bring the answer to the frames' size inside the graph.
    """

    def __init__(self, network: Network, size: int, *, processing: bool):
        super().__init__()
        self.network = copy.deepcopy(network).cpu().eval()
        self.size, self.processing = size, processing
        # buffers: constants made while a graph is traced do not leave the tracer
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])

    @property
    def input_name(self) -> str:
        """What the graph calls what it is given."""
        return "frames" if self.processing else "image"

    @property
    def output_name(self) -> str:
        """What the graph calls its answer."""
        return "probability" if self.processing else "logits"

    def example(self) -> Tensor:
        """What the graph takes, all zeros; two of them, since a tracer takes a batch of one for a constant."""
        if self.processing:
            return torch.zeros(2, self.size + 40, self.size + 60, 3, dtype=torch.uint8)
        return torch.zeros(2, 3, self.size, self.size)

    def dynamic_shapes(self) -> tuple[dict[int, torch.export.Dim]]:
        """The dimensions of the input that may vary, for a tracer."""
        shapes = {0: torch.export.Dim("batch")}
        if self.processing:
            shapes[1] = torch.export.Dim("height", min=2, max=LARGEST_SIDE)
            shapes[2] = torch.export.Dim("width", min=2, max=LARGEST_SIDE)
        return (shapes,)

    def forward(self, given: Tensor) -> Tensor:
        if not self.processing:
            return self.network(given)["out"]
        images = given.permute(0, 3, 1, 2).float()
        size = (self.size, self.size)
        images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        images = (images.round().clamp(0, 255) / 255 - self.mean) / self.std  # rounded, as images of 8 bits are
        logits = self.network(images)["out"]
        logits = F.interpolate(logits, size=given.shape[1:3], mode="bilinear", align_corners=False)
        return logits.sigmoid().amax(dim=1)
