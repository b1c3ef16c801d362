"""Scores of a network on held-out pairs while it trains: the soft ones of `measure`, computed where the logits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .distributed import ALONE, World
from .image_data import EvaluationData
from .montage import montage
from .stopping import own_process_group
from .transforms import normalise

__all__ = [
    "PICTURES",
    "ImageValidation",
    "Validation",
    "as_numbers",
    "grey_map",
    "means",
    "probability_map",
    "soft_scores",
    "with_score",
]

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


def as_numbers(row: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def with_score(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of soft scores over `rows`, and `score` = Dice + IoU - MAE."""
    found = means(rows)
    return found | {"score": found["Dice"] + found["IoU"] - found["MAE"]}


class ImageValidation:
    """Held-out images, scored at their masks' own sizes, maps stretched per image as in `measure`'s default.

    The processes of a run share the batches, none twice; their images' scores are gathered, so that the means are
    those of a single process.
    """

    def __init__(
        self, data: EvaluationData, *, batch_size: int, workers: int, device: torch.device, world: World = ALONE
    ):
        self.data, self.device, self.world = data, device, world
        indices = range(len(data))
        self.batches = DataLoader(
            data,
            batch_sampler=world.share([indices[i : i + batch_size] for i in range(0, len(data), batch_size)]),
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
        batches = [list(self._rows(model, batch, amp)) for batch in self.batches]  # on the device until all are done
        model.train(was_training)
        mine = [[as_numbers(row) for row in rows] for rows in batches]
        return with_score([row for rows in self.world.collect(mine) for row in rows])

    def _rows(self, model: nn.Module, batch: dict[str, Any], amp: torch.autocast) -> Iterator[dict[str, Tensor]]:
        with amp:
            logits = model(normalise(batch["image"].to(self.device, non_blocking=True)))["out"]
        for logit, mask in zip(logits, batch["mask"], strict=True):
            probability = probability_map(logit, tuple(mask.shape[-2:]), minmax=True)
            yield soft_scores(probability, mask[0].to(self.device) > 128)

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
