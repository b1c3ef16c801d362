"""Soft Dice, IoU and MAE of probability maps, as `measure` defines them, where the logits are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "PICTURES",
    "Loss",
    "as_numbers",
    "mean_loss",
    "means",
    "overlap",
    "overlap_scores",
    "soft_scores",
    "with_score",
]


Loss = Callable[[Tensor, Tensor], Tensor]  # of logits and mask, (1, K, h, w) and (1, K, H, W)
PICTURES = 4  # held-out samples shown in TensorBoard


def soft_scores(probability: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Soft Dice, soft IoU and MAE of one map, as `measure` defines them.

    Args:
        probability: (H, W) in [0, 1].
        mask: (H, W), 0 or 1.
    """
    return overlap_scores(**overlap(probability, mask))


def overlap(probability: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return the sums over the pixels of a map that soft scores are made of; those of several images add up.

    Args:
        probability: (H, W) in [0, 1].
        mask: (H, W), 0 or 1.

    Returns:
        "both", of probability x mask; "total", of probability + mask; "error", of their distance; "pixels", how many.
    """
    probability, mask = probability.double(), mask.double()
    return {
        "both": (probability * mask).sum(),
        "total": probability.sum() + mask.sum(),
        "error": (probability - mask).abs().sum(),
        "pixels": torch.tensor(mask.numel()),
    }


def overlap_scores(*, both: Any, total: Any, error: Any, pixels: Any) -> dict[str, Any]:
    """Return soft Dice, soft IoU and MAE of sums as `overlap` gives them, tensors or numbers."""
    return {"Dice": (2 * both + 1) / (total + 1), "IoU": (both + 1) / (total - both + 1), "MAE": error / pixels}


def as_numbers(row: Mapping[str, Tensor]) -> dict[str, float]:
    """Fetch the values of one image from the device."""
    return {name: float(value) for name, value in row.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every value over `rows`, at least one."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def mean_loss(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of `val_loss` over `rows`; nothing where they have none."""
    losses = [row["val_loss"] for row in rows if "val_loss" in row]
    return {"val_loss": sum(losses) / len(losses)} if losses else {}


def with_score(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of soft scores over `rows`, and `score` = Dice + IoU - MAE."""
    found = means(rows)
    return found | {"score": found["Dice"] + found["IoU"] - found["MAE"]}
