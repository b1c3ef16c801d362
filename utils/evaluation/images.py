"""Scores of a network on held-out pairs while it trains: the soft ones of `measure`, computed where the logits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..data import EvaluationData, batches_in_order, make_loader, normalize, resize
from ..prediction import grey_map, minmax_normalized, probability_map
from ..runtime import SINGLE_PROCESS, StopRequest, World, load_batches
from ..visualization import draw_montage
from .soft_scores import PICTURES, Loss, as_numbers, mean_loss, soft_scores, with_score

__all__ = ["ImageValidation", "Validation"]


class Validation(Protocol):
    """What a trainer judges a network by after every epoch."""

    def __len__(self) -> int:
        """How many pictures are scored."""

    def scores(self, model: nn.Module, amp: torch.autocast, stop: StopRequest | None = None) -> dict[str, float]:
        """Means of Dice, IoU and MAE, `score`, the released Dice + IoU - MAE, and `val_loss` where a loss is known.

        Raises:
            Interrupted: `stop` was told of a signal meanwhile.
        """

    def picture(self, model: nn.Module, amp: torch.autocast) -> np.ndarray:
        """(H, W, 3) uint8 RGB: a look at a few samples, with their names and Dice."""


class ImageValidation:
    """Held-out images, scored at their masks' own sizes, maps min-max normalized per image as in `measure`'s default.

    The processes of a run take the batches in turn, none twice; their images' scores are gathered, so that the means
    are those of a single process.

    Args:
        data: the images and masks.
        batch_size: images a forward.
        workers: processes that load images.
        device: where the network is.
        world: the processes of the run.
        loss: of logits (1, K, h, w) and mask (1, K, H, W) in [0, 1]; None: no loss is asked for.
    """

    def __init__(
        self,
        data: EvaluationData,
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
        world: World = SINGLE_PROCESS,
        loss: Loss | None = None,
    ):
        self.data, self.device, self.world, self.loss = data, device, world, loss
        self.batches = make_loader(
            data,
            batch_sampler=batches_in_order(len(data), batch_size=batch_size, world=world),
            workers=workers,
            device=device,
            collate=EvaluationData.collate,
            persistent=True,
        )

    def __len__(self) -> int:
        return len(self.data)

    @torch.inference_mode()
    def scores(self, model: nn.Module, amp: torch.autocast, stop: StopRequest | None = None) -> dict[str, float]:
        """Means over images of Dice, IoU and MAE, `score`, and `val_loss` where a loss is known.

        Where there are images without polyp: `Dice_polyp`, the mean over the others, and `false_alarms`, the fraction
        of those without whose probability reaches 1/2 somewhere.
        """
        was_training = model.training
        model.eval()
        batches = []
        for batch in load_batches(self.batches):
            batches.append(list(self._rows(model, batch, amp)))  # on the device until all are done
            if stop:
                stop.check()
        model.train(was_training)
        mine = [[as_numbers(row) for row in rows] for rows in batches]
        return self.summary([row for rows in self.world.gather_in_order(mine) for row in rows])

    def _rows(self, model: nn.Module, batch: dict[str, Any], amp: torch.autocast) -> Iterator[dict[str, Tensor]]:
        with amp:
            logits = model(normalize(batch["image"].to(self.device, non_blocking=True)))["out"]
        for logit, mask in zip(logits, batch["mask"], strict=True):
            target = mask.to(self.device, non_blocking=True) > 128
            loss = {"val_loss": self.loss(logit[None], target[None].float())} if self.loss else {}
            yield self.row(logit, target) | loss

    def row(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """What is kept of one image: of logits (1, h, w) and mask (1, H, W), its scores, and what is there and seen."""
        probability = probability_map(logits, tuple(mask.shape[-2:]), minmax=False)
        scores = soft_scores(minmax_normalized(probability), mask[0])
        return scores | {"has_polyp": mask.any(), "is_marked": (probability >= 0.5).any()}

    def summary(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The scores of all images' rows."""
        found = with_score([{name: row[name] for name in ("Dice", "IoU", "MAE")} for row in rows]) | mean_loss(rows)
        positive = [row["Dice"] for row in rows if row["has_polyp"]]
        negative = [row["is_marked"] for row in rows if not row["has_polyp"]]
        if not negative:
            return found
        found["false_alarms"] = sum(negative) / len(negative)
        return found | ({"Dice_polyp": sum(positive) / len(positive)} if positive else {})

    def shown(self, logits: Tensor, mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Mask and map to look at, of logits (1, h, w) and mask (1, H, W)."""
        return mask[0].numpy(), grey_map(logits, tuple(mask.shape[-2:]), minmax=True)

    @torch.inference_mode()
    def picture(self, model: nn.Module, amp: torch.autocast) -> np.ndarray:
        """Image, mask, map and overlay of the first samples, each with its name and Dice."""
        model.eval()
        samples = [self.data[index] for index in range(min(PICTURES, len(self.data)))]
        with amp:
            logits = model(normalize(torch.stack([s["image"] for s in samples]).to(self.device)))["out"]
        images = [resize(s["image"], s["mask"].shape[-2:]).permute(1, 2, 0).numpy() for s in samples]
        planes = [self.shown(logit, s["mask"]) for s, logit in zip(samples, logits, strict=True)]
        captions = [
            f"{pair.image.stem}   Dice {self.dice(logit, s['mask'] > 128):.3f}"
            for pair, s, logit in zip(self.data.pairs, samples, logits.cpu(), strict=False)
        ]
        return draw_montage([(image, *both) for image, both in zip(images, planes, strict=True)], captions=captions)

    def dice(self, logits: Tensor, mask: Tensor) -> float:
        """The mean Dice of one image as the epoch's is made, of logits (K, h, w) and mask (K, H, W)."""
        return self.summary([as_numbers(self.row(logits, mask))])["Dice"]
