"""The structure loss and deep supervision by output name. All arithmetic is float32, also under mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from measure.errors import InputError

__all__ = ["DeepSupervision", "structure_loss"]

WINDOW = 31  # pixels, the side of the neighbourhood that tells how near the border a pixel lies (F3Net, AAAI 2020)


def border_weight(mask: Tensor) -> Tensor:
    """1 far from the border of the mask, up to 6 at it. (N, 1, H, W) -> (N, 1, H, W)."""
    across = F.avg_pool2d(mask, (1, WINDOW), stride=1, padding=(0, WINDOW // 2))  # a box is two lines
    mean = F.avg_pool2d(across, (WINDOW, 1), stride=1, padding=(WINDOW // 2, 0))
    return 1 + 5 * (mean - mask).abs()


def structure_loss(logits: Tensor, mask: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy plus IoU loss, both weighted towards borders (Wei et al., F3Net, AAAI 2020).

    Args:
        logits: (N, 1, H, W). mask: (N, 1, H, W) in [0, 1].
        weight: `border_weight(mask)`, where the caller has it already.

    Returns:
        The mean over the batch of each image's loss.
    """
    logits = logits.float()
    weight = border_weight(mask) if weight is None else weight
    cross_entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    cross_entropy = (weight * cross_entropy).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
    probability = logits.sigmoid()
    intersection = (probability * mask * weight).sum(dim=(2, 3))
    union = ((probability + mask) * weight).sum(dim=(2, 3))
    iou = 1 - (intersection + 1) / (union - intersection + 1)
    return (cross_entropy + iou).mean()


class DeepSupervision(nn.Module):
    """One loss for every output of a network, weighted and summed by name.

    Args:
        loss: `structure_loss` or another function of (logits, mask, weight).
        weights: weight of each output's loss by name; the names must be the network's.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor], weights: Mapping[str, float]):
        super().__init__()
        self.loss = loss
        self.weights = dict(weights)

    def forward(self, outputs: Mapping[str, Tensor], mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum, and every output's own loss (detached).

        The mask is resized to each output's size once, bilinearly with aligned corners.

        Raises:
            InputError: the outputs are not those the weights name.
        """
        if set(outputs) != set(self.weights):
            raise InputError(
                f"the network gives {', '.join(outputs)} but losses are set for {', '.join(self.weights)}; "
                "give one weight for every output"
            )
        targets: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        parts = {}
        for name, logits in outputs.items():
            size = tuple(logits.shape[-2:])
            if size not in targets:
                resized = F.interpolate(mask, size=size, mode="bilinear", align_corners=True)
                targets[size] = (resized, border_weight(resized))
            parts[name] = self.loss(logits, *targets[size])
        total = sum(self.weights[name] * part for name, part in parts.items())
        return total, {name: part.detach() for name, part in parts.items()}
