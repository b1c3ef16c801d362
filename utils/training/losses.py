"""Losses of logits by name, and deep supervision by output name. All arithmetic is float32, also under mixed precision.

Logits and masks are (N, K, H, W), one plane a class, masks in [0, 1]; every loss is the mean of its classes' own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from inspect import signature

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from measure.io import InputError

from .config import TrainConfig

__all__ = [
    "LOSSES",
    "MIXTURES",
    "DeepSupervision",
    "border_weight",
    "cross_entropy_dice",
    "dice_loss",
    "mixture_weights",
    "output_weights",
    "structure_loss",
    "validation_loss",
]

LARGEST_WEIGHT = 1e6  # of an output; beyond that sums overflow
WINDOW = 31  # pixels, the side of the neighbourhood that tells how near the border a pixel lies (F3Net, AAAI 2020)


def border_weight(mask: Tensor) -> Tensor:
    """1 far from the border of the mask, up to 6 at it. (N, K, H, W) -> (N, K, H, W)."""
    across = F.avg_pool2d(mask, (1, WINDOW), stride=1, padding=(0, WINDOW // 2))  # a box is two lines
    mean = F.avg_pool2d(across, (WINDOW, 1), stride=1, padding=(WINDOW // 2, 0))
    return 1 + 5 * (mean - mask).abs()


def structure_loss(
    logits: Tensor, mask: Tensor, *, weight: Tensor | None = None, weighted_entropy: bool = True
) -> Tensor:
    """Cross-entropy plus IoU loss, both weighted towards borders (Wei et al., F3Net, AAAI 2020).

    Args:
        weight: the mask's `border_weight`, where it is known already.
        weighted_entropy: off, the cross-entropy is the plain mean: PraNet's and SALI's released code averaged it
            before weighting, which cancels the weight.

    Returns:
        The mean over the batch and the classes of each plane's loss.
    """
    logits = logits.float()
    weight = border_weight(mask) if weight is None else weight
    reduction = "none" if weighted_entropy else "mean"
    cross_entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction=reduction)
    cross_entropy = (weight * cross_entropy).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
    probability = logits.sigmoid()
    intersection = (probability * mask * weight).sum(dim=(2, 3))
    union = ((probability + mask) * weight).sum(dim=(2, 3))
    iou = 1 - (intersection + 1) / (union - intersection + 1)
    return (cross_entropy + iou).mean()


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 - (2 sum p g + 1) / (sum p + sum g + 1) over all pixels of the batch as one region (V-Net, 3DV 2016).

    The mean over the classes, of which each is a region of its own.
    """
    probability = logits.float().sigmoid()
    both, all_p, all_g = (x.sum(dim=(0, 2, 3)) for x in (probability * mask, probability, mask))  # (K,) each
    return (1 - (2 * both + 1) / (all_p + all_g + 1)).mean()


def cross_entropy_dice(logits: Tensor, mask: Tensor, *, cross_entropy: float = 1.0, dice: float = 1.0) -> Tensor:
    """Weighted sum of the mean cross-entropy of the batch's pixels and `dice_loss`."""
    entropy = F.binary_cross_entropy_with_logits(logits.float(), mask)
    return cross_entropy * entropy + dice * dice_loss(logits, mask)


# a name here is a choice of `TrainConfig.loss` too, which must not load PyTorch for it
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "structure": structure_loss,
    "structure_plain_entropy": partial(structure_loss, weighted_entropy=False),
    "bce_dice": cross_entropy_dice,
    # SCR-Net's equation 8 without its L2 term, which is the optimiser's weight decay
    "ce_dice": partial(cross_entropy_dice, cross_entropy=0.4, dice=0.6),
}


def sums(logits: Tensor, subsets: Tensor) -> Tensor:
    """The sum of every subset's logits, as in MERIT (MIDL 2023) and LoMix (NeurIPS 2025).

    Args:
        logits: (M, N, K, H, W), M outputs.
        subsets: (S, M), 1 where an output belongs to a subset.

    Returns:
        (N, S K, H, W), a plane for each class of each subset.
    """
    mixed = torch.einsum("sm,mnkhw->nskhw", subsets, logits)
    return mixed.flatten(1, 2)


def products(logits: Tensor, subsets: Tensor) -> Tensor:
    """The logit of the product of every subset's probabilities: polyp where all of them say so.

    LoMix multiplies logits, of many classes; of a single class the product of two negative logits would mean polyp.
    Arguments and result as for `sums`.
    """
    # the product of 1 / (1 + exp(-z)) is exp(-total), and its logit -log(exp(total) - 1)
    total = sums(F.softplus(-logits), subsets).clamp_min(1e-6)
    return -(total + torch.log(-torch.expm1(-total)))


MIXTURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"sum": sums, "product": products}


@cache
def subsets_of(count: int, device: torch.device) -> Tensor:
    """All subsets of two or more of `count` outputs, (2^count - count - 1, count), 1 where one belongs to it."""
    rows = [[float(bool(number >> n & 1)) for n in range(count)] for number in range(2**count)]
    return torch.tensor([row for row in rows if sum(row) > 1], device=device)


class DeepSupervision(nn.Module):
    """One loss for every output of a network, weighted and summed by name; and for mixtures of outputs.

    Args:
        loss: one of `LOSSES` or another function of (logits, mask); one that takes `weight` is given the border weight.
        weights: weight of each output's loss by name; the names must be the network's.
        mixtures: weight of each kind of `MIXTURES`: of the mean loss of the mixtures of all subsets of two or more
            outputs, resized to the largest output's size, so that 1 counts as much as one output. LoMix's uniform
            weighting, which counts every mixture as an output, is as many as there are: 57 of six outputs.
    """

    def __init__(
        self, loss: Callable[..., Tensor], weights: Mapping[str, float], *, mixtures: Mapping[str, float] | None = None
    ):
        super().__init__()
        self.loss = loss
        self.takes_weight = "weight" in signature(loss).parameters
        self.weights = dict(weights)
        self.mixtures = dict(mixtures or {})

    def forward(self, outputs: Mapping[str, Tensor], mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum, and every output's own loss and every mixture's (detached).

        The mask is resized to each output's size, bilinearly with aligned corners.

        Raises:
            InputError: the outputs are not those the weights name.
        """
        if set(outputs) != set(self.weights):
            raise InputError(
                f"the network gives {', '.join(outputs)} but losses are set for {', '.join(self.weights)}; "
                "give one weight for every output"
            )
        targets = {size: self.target(mask, size) for size in {logits.shape[-2:] for logits in outputs.values()}}
        parts = {name: self.loss(logits, **targets[logits.shape[-2:]]) for name, logits in outputs.items()}
        if self.mixtures:
            parts |= self.mixture_losses(outputs, targets)
        weights = self.weights | self.mixtures
        total = sum(weights[name] * part for name, part in parts.items())
        return total, {name: part.detach() for name, part in parts.items()}

    def mixture_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[torch.Size, Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The mean loss of all mixtures of each kind; losses are means of planes, so each mixture is a plane."""
        size = max(targets, key=math.prod)
        resized = [F.interpolate(z.float(), size, mode="bilinear", align_corners=True) for z in outputs.values()]
        logits = torch.stack(resized)
        subsets = subsets_of(len(resized), logits.device)
        target = {name: planes.repeat(1, len(subsets), 1, 1) for name, planes in targets[size].items()}
        with torch.autocast(logits.device.type, enabled=False):
            return {kind: self.loss(MIXTURES[kind](logits, subsets), **target) for kind in self.mixtures}

    def target(self, mask: Tensor, size: torch.Size) -> dict[str, Tensor]:
        """What all outputs of one size share: the mask resized, and its border weight for a loss that takes one."""
        resized = F.interpolate(mask, size, mode="bilinear", align_corners=True)
        return {"mask": resized, "weight": border_weight(resized)} if self.takes_weight else {"mask": resized}


def validation_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of `out` alone, one of `LOSSES`, of (logits, mask): the mask is resized to the logits as in training."""
    supervision = DeepSupervision(LOSSES[name], {"out": 1.0})
    return lambda logits, mask: supervision({"out": logits}, mask)[0]


def output_weights(model: nn.Module, config: TrainConfig) -> dict[str, float]:
    """Weight of every output's loss, 1 where no `output=weight` is given.

    Raises:
        InputError: something else is given, an output the network does not have, or all are 0.
    """
    given = parse_weights("--loss_weights", "OUTPUT", config.loss_weights, model.output_names)
    weights = dict.fromkeys(model.output_names, 1.0) | given
    if not any(weights.values()):
        raise InputError(
            f"--loss_weights {' '.join(config.loss_weights)} leaves nothing to train, as every output weighs 0; give "
            "one of them a weight above 0"
        )
    return weights


def mixture_weights(model: nn.Module, config: TrainConfig) -> dict[str, float]:
    """Weight of every kind of mixture of outputs that is supervised.

    Raises:
        InputError: something else than `kind=weight` is given, or the network has one output alone.
    """
    weights = parse_weights("--mixtures", "KIND", config.mixtures, tuple(MIXTURES))
    if weights and len(model.output_names) < 2:
        raise InputError(
            f"--mixtures was given, but {model.name} has a single output, {model.output_names[0]}; drop the flag"
        )
    return weights


def parse_weights(flag: str, form: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """Read `name=weight` texts, each name one of `names` and given once, the weights from 0 to `LARGEST_WEIGHT`."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if name not in names or not 0 <= weight <= LARGEST_WEIGHT:
            raise InputError(
                f"{flag} {text} was given; expected {form}=WEIGHT, of {', '.join(names)}, the weight from 0 to "
                f"{LARGEST_WEIGHT:g}"
            )
        if name in weights:
            raise InputError(f"{flag} {' '.join(texts)} was given, which names {name} twice; give it one weight")
        weights[name] = weight
    return weights
