"""Several networks, or several views of an image, asked as one network: their mean, and how far they disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import Network
from measure.io import InputError

from .config import LARGEST_SIDE, MapOptions
from .network import TrainedNetwork

__all__ = ["AveragedNetwork", "averaged"]

FLIPS = ((), (3,), (2,), (2, 3))  # axes of (N, C, H, W): as it is, left to right, upside down, both
SUREST = 1e-7  # probabilities are kept so far from 0 and 1, where logits are infinite


class AveragedNetwork(nn.Module):
    """Image networks whose probabilities are averaged, over mirror images and input sizes too.

    `forward` returns "out", the logit of the mean probability, (N, K, h, w) at the first network's resolution, and
    "spread", (N, 1, h, w): the standard deviation over all answers, of several classes that of the largest probability.

    Args:
        networks: image networks of equally many classes.
        sides: height and width that each takes, pixels.
        flips: also ask for the image mirrored left to right, upside down and both.
        scales: input sizes, as multiples of each network's own; rounded to what the network takes.
    """

    kind = "image"

    def __init__(
        self, networks: Sequence[Network], sides: Sequence[int], *, flips: bool, scales: Sequence[float] = (1.0,)
    ):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.sides = tuple(sides)
        self.flips, self.scales = FLIPS if flips else FLIPS[:1], tuple(scales)

    def __len__(self) -> int:
        """Forwards for one image."""
        return len(self.networks) * len(self.flips) * len(self.scales)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        answers = [logits.float().sigmoid() for logits in self._answers(image)]
        mean = torch.stack(answers).mean(dim=0)
        highest = torch.stack([answer.amax(dim=1, keepdim=True) for answer in answers])
        return {"out": mean.logit(eps=SUREST), "spread": highest.std(dim=0, correction=0)}

    def _answers(self, image: Tensor) -> Iterator[Tensor]:
        """Logits of every network and view, all at the resolution of the first answer."""
        resolution = None
        for network, own_side in zip(self.networks, self.sides, strict=True):
            for scale in self.scales:
                side = own_side if scale == 1 else scaled_side(network, own_side, scale)
                resized = resized_to(image, side)
                for axes in self.flips:
                    logits = network(resized.flip(axes) if axes else resized)["out"]
                    logits = logits.flip(axes) if axes else logits
                    resolution = resolution or logits.shape[-2:]
                    yield resized_to(logits, resolution)


def scaled_side(network: Network, side: int, scale: float) -> int:
    """A multiple of an input size, rounded to what the network takes, pixels."""
    return max(network.smallest, round(side * scale / network.divisor) * network.divisor)


def resized_to(batch: Tensor, size: int | tuple[int, int]) -> Tensor:
    """A (N, C, h, w) float batch at another size; the same where it has it."""
    size = (size, size) if isinstance(size, int) else tuple(size)
    if tuple(batch.shape[-2:]) == size:
        return batch
    return F.interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)


def averaged(networks: Sequence[TrainedNetwork], options: MapOptions) -> TrainedNetwork:
    """Put networks and views together; a single network that is asked once stays as it is.

    Raises:
        InputError: networks of video, of different classes or one of them twice, where answers are to be averaged.
    """
    first = networks[0]
    if len(networks) == 1 and not options.averages:
        return first
    paths = [network.path.resolve() for network in networks]
    if len(set(paths)) < len(paths):
        twice = next(path for place, path in enumerate(paths) if path in paths[:place])
        raise InputError(
            f"{twice} was given twice; a network's answer averaged with itself stays the same: name it once"
        )
    for network in networks:
        if network.model.kind != "image":
            raise InputError(
                f"{network.path} is of {network.model.name}, a video network; only networks of still images are "
                "averaged over several weights, --flips or --scales"
            )
        if options.scales and not isinstance(network.model, Network):
            raise InputError(
                f"--scales was given with {network.path} outside torch, where it takes one size; leave it out"
            )
        largest = max(options.scales or (1.0,))
        if options.scales and scaled_side(network.model, network.size, largest) > LARGEST_SIDE:
            raise InputError(
                f"--scales {largest:g} was given with an input of {network.size} pixels; they lead to "
                f"{scaled_side(network.model, network.size, largest)}, and at most {LARGEST_SIDE} are taken"
            )
        if network.classes != first.classes:
            raise InputError(f"{first.path} and {network.path} know other classes; only equal ones can be averaged")
    model = AveragedNetwork(
        [network.model for network in networks],
        [network.size for network in networks],
        flips=options.flips,
        scales=options.scales or (1.0,),
    )
    return TrainedNetwork(model.eval(), first.path, max(network.size for network in networks), first.classes)
