"""Scores of a network on held-out pairs while it trains: the soft ones of `measure`, computed where the logits are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transforms import normalise

__all__ = ["probability_map", "soft_scores", "validate"]


def probability_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> Tensor:
    """Bring one image's logits to the size of the image, as probabilities.

    Args:
        logits: (1, h, w). size: height and width of the image.
        minmax: stretch to [0, 1] over the image, as published maps are; a constant map stays as it is.

    Returns:
        (H, W) float32 in [0, 1].
    """
    resized = F.interpolate(logits[None].float(), size=size, mode="bilinear", align_corners=False)
    probability = resized[0, 0].sigmoid()
    if minmax:
        low, high = probability.min(), probability.max()
        probability = torch.where(high > low, (probability - low) / (high - low).clamp_min(1e-12), probability)
    return probability


def soft_scores(probability: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Soft Dice, soft IoU and MAE of one map, as `measure` defines them.

    Args:
        probability: (H, W) in [0, 1]. mask: (H, W), 0 or 1.
    """
    probability, mask = probability.double(), mask.double()
    both, total = (probability * mask).sum(), probability.sum() + mask.sum()
    return {
        "Dice": (2 * both + 1) / (total + 1),
        "IoU": (both + 1) / (total - both + 1),
        "MAE": (probability - mask).abs().mean(),
    }


@torch.inference_mode()
def validate(
    model: nn.Module, batches: Iterable[dict], *, device: torch.device, amp: torch.autocast
) -> dict[str, float]:
    """Score a network at the masks' own sizes, maps stretched per image as in `measure`'s default.

    Args:
        batches: of `EvaluationData`. amp: the autocast context of the run.

    Returns:
        Means over images of Dice, IoU and MAE, and `score` = Dice + IoU - MAE, which chooses the best checkpoint.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, Tensor] = {}
    count = 0
    for batch in batches:
        with amp:
            logits = model(normalise(batch["image"].to(device, non_blocking=True)))["out"]
        for logit, mask in zip(logits, batch["mask"], strict=True):
            probability = probability_map(logit, tuple(mask.shape[-2:]), minmax=True)
            for name, value in soft_scores(probability, mask[0].to(device) > 128).items():
                sums[name] = sums.get(name, 0.0) + value
        count += len(logits)
    model.train(was_training)
    means = {name: float(value) / count for name, value in sums.items()}
    return means | {"score": means["Dice"] + means["IoU"] - means["MAE"]}
