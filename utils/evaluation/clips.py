"""Held-out clips, streamed as in use: the network meets its own memory, not the true masks it learned with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Case, network_input
from ..prediction import AHEAD, grey_map, probability_map, stream_clips
from ..runtime import SINGLE_PROCESS, StopRequest, World, prefetch
from ..visualization import draw_montage
from .soft_scores import PICTURES, Loss, as_numbers, means, soft_scores, with_score

__all__ = ["ClipValidation"]

APART = 5  # frames between two that are shown


class ClipValidation:
    """Scores and pictures of held-out cases, for a trainer.

    The processes of a run take the cases in turn, none twice; the cases' scores are gathered.

    Args:
        cases: the clips and their masks.
        size: input height and width of the network, pixels.
        slots: cases side by side.
        device: where the network is.
        world: the processes of the run.
        loss: as `ImageValidation`'s.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        size: int,
        slots: int,
        device: torch.device,
        world: World = SINGLE_PROCESS,
        loss: Loss | None = None,
    ):
        self.cases = sorted(cases, key=lambda case: -len(case.frames))  # so that few slots idle at the end
        self.size, self.slots, self.device, self.world = size, min(slots, len(cases)), device, world
        self.loss = loss

    def __len__(self) -> int:
        return sum(len(case.frames) for case in self.cases)

    def scores(self, model: nn.Module, amp: torch.autocast, stop: StopRequest | None = None) -> dict[str, float]:
        """Means over the frames of a case, then over cases, of Dice, IoU and MAE, `score`, and the loss."""
        was_training = model.training
        model.eval()
        own = self.world.shard(self.cases)
        frames: dict[str, list[dict[str, Tensor]]] = {case.name: [] for case in own}
        clips = (prefetch(self._read(case), AHEAD) for case in own)
        for (case, mask), logits in stream_clips(model, clips, slots=self.slots, amp=amp):
            probability = probability_map(logits, mask.shape, minmax=True)
            target = torch.from_numpy(mask).to(self.device) > 128
            scores = soft_scores(probability, target)
            if self.loss:
                scores["val_loss"] = self.loss(logits[None], target[None, None].float())
            frames[case.name].append(scores)
            if stop:
                stop.check()
        model.train(was_training)
        mine = [means([as_numbers(row) for row in frames[case.name]]) for case in own]
        return with_score(self.world.gather_in_order(mine))

    def _read(self, case: Case) -> Iterator[tuple[tuple[Case, np.ndarray], Tensor]]:
        for pair in case.frames:
            yield (case, pair.read_mask()), network_input(pair.read_image(), self.size)

    def picture(self, model: nn.Module, amp: torch.autocast) -> np.ndarray:
        """Image, mask, map and overlay of a few of the first frames of the first case, with their names and Dice."""
        model.eval()
        frames = self.cases[0].frames[: APART * (PICTURES - 1) + 1]
        clip = ((pair, network_input(pair.read_image(), self.size)) for pair in frames)
        samples, captions = [], []
        for pair, logits in stream_clips(model, [clip], slots=1, amp=amp):
            mask = pair.read_mask()
            samples.append((pair.read_image(), mask, grey_map(logits, mask.shape, minmax=True)))
            scores = soft_scores(probability_map(logits, mask.shape, minmax=True).cpu(), torch.from_numpy(mask) > 128)
            captions.append(f"{self.cases[0].name}/{pair.image.stem}   Dice {float(scores['Dice']):.3f}")
        return draw_montage(samples[::APART], captions=captions[::APART])
