"""Probabilities of images that are already in memory, from a checkpoint alone.

    predictor = Predictor.from_checkpoint("checkpoint/run/best.pth")
    probability = predictor.probability(image)          # (H, W, 3) uint8 RGB or a PIL image -> (H, W) float32
    for probability in predictor.stream(frames): ...    # frame by frame; a video network keeps its memory

Probabilities are calibrated, as `myTest.py --no-minmax` writes them: nothing is stretched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from measure.io import InputError

from ..data import network_input
from ..runtime import choose_device
from .network import TrainedNetwork, load_network
from .postprocess import check_finite, probability_map
from .streaming import stream_clips

__all__ = ["Predictor", "RUNTIMES"]

Picture: TypeAlias = np.ndarray | Image.Image

RUNTIMES = ("auto", "eager")
BATCH = 8  # images a forward, myTest.py's default


class Predictor:
    """A network on a device that turns images into probabilities of polyp.

    Args:
        network: see `load_network`.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        runtime: what runs the network, one of `RUNTIMES`; "auto" takes the fastest that is sure to agree.

    Raises:
        InputError: an unknown runtime, or a device that is not there.
    """

    def __init__(self, network: TrainedNetwork, *, device: str = "auto", runtime: str = "auto"):
        check_runtime(runtime)
        self.device = choose_device(device, 0)
        self.size, self.path = network.size, network.path
        self.model = network.model.to(self.device, memory_format=torch.channels_last)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path | None = None,
        *,
        device: str = "auto",
        model: str | None = None,
        backbone: str | None = None,
        size: int | None = None,
        runtime: str = "auto",
    ) -> Predictor:
        """Make a predictor of a weight file.

        Args:
            path: a checkpoint of a training run here, or a published file; None: the starter weights.
            device: see the class.
            model: name of the network, for files that do not say; see `lib.list_models`.
            backbone: of that network.
            size: height and width of its input, pixels; None: as it was trained.
            runtime: see the class.

        Raises:
            InputError: no starter weights, an unknown runtime, or a device that is not there.
            ModelError: a file or a network that cannot be used, or a size that the network cannot take.
        """
        check_runtime(runtime)
        network = load_network(
            path,
            name=model,
            options={"backbone": backbone} if backbone else None,
            size=size,
        )
        return cls(network, device=device, runtime=runtime)

    @overload
    def probability(self, image: Picture) -> np.ndarray: ...

    @overload
    def probability(self, image: Sequence[Picture]) -> list[np.ndarray]: ...

    def probability(self, image: Picture | Sequence[Picture]) -> np.ndarray | list[np.ndarray]:
        """Return the probability of polyp at every pixel; of several classes, the largest.

        Args:
            image: (H, W, 3) uint8 RGB or a PIL image, or a list of them, of any sizes. A video network sees each by
                itself, as a clip of one frame.

        Returns:
            (H, W) float32 in [0, 1] at the image's own size; of a list, a list.

        Raises:
            InputError: something that is no such image.
            ModelError: the network's output is not finite.
        """
        if isinstance(image, (np.ndarray, Image.Image)):
            return self._probabilities([as_rgb(image)])[0]
        return self._probabilities([as_rgb(each) for each in image])

    def stream(self, frames: Iterable[Picture]) -> Iterator[np.ndarray]:
        """Yield the probability of every frame of one clip, in order, as frames are drawn.

        A video network looks at the frame after the one it answers, so its first answer follows the second frame.

        Args:
            frames: as `probability` takes them, of any sizes.

        Raises:
            InputError, ModelError: as `probability`.
        """
        clip = ((rgb.shape[:2], network_input(rgb, self.size)) for rgb in map(as_rgb, frames))
        for number, (size, logits) in enumerate(stream_clips(self.model, [clip], slots=1)):
            yield self._probability(logits, size, f"frame {number}")

    def _probabilities(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Run batches of clips of one frame each."""
        found = []
        for start in range(0, len(images), BATCH):
            batch = list(enumerate(images[start : start + BATCH], start=start))
            clips = ([(number, network_input(image, self.size))] for number, image in batch)
            answers = dict(stream_clips(self.model, clips, slots=len(batch)))
            found += [self._probability(answers[n], image.shape[:2], f"image {n}") for n, image in batch]
        return found

    def _probability(self, logits: Tensor, size: tuple[int, int], name: str) -> np.ndarray:
        check_finite(logits[None], [name])
        return probability_map(logits, size, minmax=False).cpu().numpy()


def check_runtime(runtime: str) -> None:
    """Refuse what runs no network here.

    Raises:
        InputError: an unknown name; the known ones are listed.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"the runtime {runtime!r} was asked for; there are {', '.join(RUNTIMES)}")


def as_rgb(image: Picture) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB.

    Raises:
        InputError: an array of another shape or type, or something that is no image.
    """
    if isinstance(image, Image.Image):
        return np.array(image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        raise InputError(f"a {type(image).__name__} was given; expected an (H, W, 3) uint8 RGB array or a PIL image")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"an array of shape {image.shape} and type {image.dtype} was given; expected (H, W, 3) uint8, RGB"
        )
    return image
