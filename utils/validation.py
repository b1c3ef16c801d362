"""Scores of a network on held-out pairs while it trains: the soft ones of `measure`, computed where the logits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .background import loaded
from .batches import batches_in_order
from .distributed import ALONE, World
from .image_data import EvaluationData
from .montage import montage
from .stopping import own_process_group
from .transforms import normalise, resize

__all__ = [
    "PICTURES",
    "ImageValidation",
    "Validation",
    "as_grey",
    "as_numbers",
    "grey_map",
    "means",
    "overlap",
    "overlap_scores",
    "probabilities",
    "probability_map",
    "soft_scores",
    "stretched",
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


def probabilities(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring one image's logits (K, h, w) to the image's size (H, W), as (K, H, W) float32 probabilities."""
    return F.interpolate(logits[None].float(), size=size, mode="bilinear", align_corners=False)[0].sigmoid()


def stretched(probability: Tensor) -> Tensor:
    """Stretch a map to [0, 1] over the image, as published maps are; a constant map stays as it is."""
    low, high = probability.min(), probability.max()
    return torch.where(high > low, (probability - low) / (high - low).clamp_min(1e-12), probability)


def probability_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> Tensor:
    """Tell the probability of polyp at every pixel of an image; of several classes it is the largest.

    Args:
        logits: (K, h, w). size: height and width of the image.
        minmax: see `stretched`.

    Returns:
        (H, W) float32 in [0, 1].
    """
    probability = probabilities(logits, size).amax(dim=0)
    return stretched(probability) if minmax else probability


def soft_scores(probability: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Soft Dice, soft IoU and MAE of one map, as `measure` defines them.

    Args:
        probability: (H, W) in [0, 1]. mask: (H, W), 0 or 1.
    """
    return overlap_scores(**overlap(probability, mask))


def overlap(probability: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The sums over the pixels of a map that soft scores are made of; those of several images add up."""
    probability, mask = probability.double(), mask.double()
    return {
        "both": (probability * mask).sum(),
        "total": probability.sum() + mask.sum(),
        "error": (probability - mask).abs().sum(),
        "pixels": torch.tensor(mask.numel()),
    }


def overlap_scores(*, both: Any, total: Any, error: Any, pixels: Any) -> dict[str, Any]:
    """Soft Dice, soft IoU and MAE of sums as `overlap` gives them, tensors or numbers."""
    return {"Dice": (2 * both + 1) / (total + 1), "IoU": (both + 1) / (total - both + 1), "MAE": error / pixels}


def grey_map(logits: Tensor, size: tuple[int, int], *, minmax: bool) -> np.ndarray:
    """(K, h, w) logits -> (H, W) uint8 map of `size`, 255 x `probability_map`."""
    return as_grey(probability_map(logits, size, minmax=minmax))


def as_grey(probability: Tensor) -> np.ndarray:
    """Probabilities -> uint8 of the same shape, 255 times and rounded."""
    return (255 * probability).round().to(torch.uint8).cpu().numpy()


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
        self.batches = DataLoader(
            data,
            batch_sampler=batches_in_order(len(data), batch_size=batch_size, world=world),
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
        batches = [
            list(self._rows(model, batch, amp)) for batch in loaded(self.batches)
        ]  # on the device until all are done
        model.train(was_training)
        mine = [[as_numbers(row) for row in rows] for rows in batches]
        return self.summary([row for rows in self.world.collect(mine) for row in rows])

    def _rows(self, model: nn.Module, batch: dict[str, Any], amp: torch.autocast) -> Iterator[dict[str, Tensor]]:
        with amp:
            logits = model(normalise(batch["image"].to(self.device, non_blocking=True)))["out"]
        for logit, mask in zip(logits, batch["mask"], strict=True):
            yield self.row(logit, mask.to(self.device) > 128)

    def row(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """What is kept of one image: of logits (1, h, w) and mask (1, H, W), its scores."""
        return soft_scores(probability_map(logits, tuple(mask.shape[-2:]), minmax=True), mask[0])

    def summary(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The scores of all images' rows."""
        return with_score(rows)

    def shown(self, logits: Tensor, mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Mask and map to look at, of logits (1, h, w) and mask (1, H, W)."""
        return mask[0].numpy(), grey_map(logits, tuple(mask.shape[-2:]), minmax=True)

    @torch.inference_mode()
    def picture(self, model: nn.Module, amp: torch.autocast) -> np.ndarray:
        """Image, mask, map and overlay of the first samples."""
        model.eval()
        samples = [self.data[index] for index in range(min(PICTURES, len(self.data)))]
        with amp:
            logits = model(normalise(torch.stack([s["image"] for s in samples]).to(self.device)))["out"]
        images = [resize(s["image"], s["mask"].shape[-2:]).permute(1, 2, 0).numpy() for s in samples]
        planes = [self.shown(logit, s["mask"]) for s, logit in zip(samples, logits, strict=True)]
        return montage([(image, *both) for image, both in zip(images, planes, strict=True)])
