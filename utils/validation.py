"""Scores of a network on held-out pairs while it trains: the soft ones of `measure`, computed where the logits are."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .image_data import EvaluationData
from .montage import montage
from .stopping import own_process_group
from .transforms import normalise

__all__ = ["PICTURES", "ImageValidation", "Validation", "grey_map", "probability_map", "soft_scores", "with_score"]

PICTURES = 4  # held-out samples shown in TensorBoard


class Validation(Protocol):
    """What a trainer judges a network by after every epoch."""

    def __len__(self) -> int:
        """How many pictures are scored."""

    def scores(self, model: nn.Module, amp: torch.autocast) -> dict[str, float]:
        """Means of Dice, IoU and MAE, and `score`, which chooses the best checkpoint."""

    def picture(self, model: nn.Module, amp: torch.autocast) -> np.ndarray:
        """(H, W, 3) uint8 RGB: a look at a few samples."""


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


def grey_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> np.ndarray:
    """(1, h, w) logits -> (H, W) uint8 map of `size`, 255 x `probability_map`."""
    return (255 * probability_map(logits, size, minmax=minmax)).round().to(torch.uint8).cpu().numpy()


def with_score(sums: dict[str, Tensor], count: int) -> dict[str, float]:
    """Means of summed soft scores, and `score` = Dice + IoU - MAE."""
    means = {name: float(value) / count for name, value in sums.items()}
    return means | {"score": means["Dice"] + means["IoU"] - means["MAE"]}


class ImageValidation:
    """Held-out images, scored at their masks' own sizes, maps stretched per image as in `measure`'s default."""

    def __init__(self, data: EvaluationData, *, batch_size: int, workers: int, device: torch.device):
        self.data, self.device = data, device
        self.batches = DataLoader(
            data,
            batch_size=batch_size,
            collate_fn=EvaluationData.collate,
            generator=torch.Generator(),  # its own: a start of a loader draws from one, and no run may depend on that
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
            worker_init_fn=own_process_group,
        )

    def __len__(self) -> int:
        return len(self.data)

    @torch.inference_mode()
    def scores(self, model: nn.Module, amp: torch.autocast) -> dict[str, float]:
        """Means over images of Dice, IoU and MAE, and `score`."""
        was_training = model.training
        model.eval()
        sums: dict[str, Tensor] = {}
        for batch in self.batches:
            with amp:
                logits = model(normalise(batch["image"].to(self.device, non_blocking=True)))["out"]
            for logit, mask in zip(logits, batch["mask"], strict=True):
                probability = probability_map(logit, tuple(mask.shape[-2:]), minmax=True)
                for name, value in soft_scores(probability, mask[0].to(self.device) > 128).items():
                    sums[name] = sums.get(name, 0.0) + value
        model.train(was_training)
        return with_score(sums, len(self.data))

    @torch.inference_mode()
    def picture(self, model: nn.Module, amp: torch.autocast) -> np.ndarray:
        """Image, mask, map and overlay of the first samples."""
        model.eval()
        samples = [self.data[index] for index in range(min(PICTURES, len(self.data)))]
        with amp:
            logits = model(normalise(torch.stack([s["image"] for s in samples]).to(self.device)))["out"]
        return montage(
            [
                (
                    sample["image"].permute(1, 2, 0).numpy(),
                    sample["mask"][0].numpy(),
                    grey_map(logit, tuple(sample["mask"].shape[-2:]), minmax=True),
                )
                for sample, logit in zip(samples, logits, strict=True)
            ]
        )
