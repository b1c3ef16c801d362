"""Probabilities of images that are already in memory, from a checkpoint alone.

    predictor = Predictor.from_checkpoint("checkpoint/run/best.pth")
    probability = predictor.probability(image)          # (H, W, 3) uint8 RGB or a PIL image -> (H, W) float32
    for probability in predictor.stream(frames): ...    # frame by frame; a video network keeps its memory
    found = predictor.predict(image)                    # its probability, mask and regions

Options are those of myTest.py (`MapOptions`), the steps are the same.
Probabilities are calibrated, as `myTest.py --no-minmax` writes them: nothing is stretched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from measure.io import InputError, refuse_narrow

from ..data import normalize
from ..runtime import choose_device
from .averaging import averaged
from .config import MapOptions
from .inputs import Placement, prepared
from .network import TrainedNetwork
from .outputs import Region, TemporalAverage, cut, find_regions
from .postprocess import as_grey, check_finite, largest, probabilities, upsampled
from .runtimes import check_runtime, load_all, with_runtime
from .streaming import stacked_images, stream_clips

__all__ = ["Prediction", "Predictor"]

Picture: TypeAlias = np.ndarray | Image.Image

PRECISIONS = ("off", "bf16")
BATCH = 8  # images a forward, myTest.py's default


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is said of one image.

    Attributes:
        probability: (H, W) float32 in [0, 1], of several classes the largest.
        mask: (H, W) uint8, 0 or 255: the probability at the options' threshold, without regions that are too small.
        regions: of the mask, largest first.
        uncertainty: (H, W) float32, the standard deviation of the probability over several weights or views; None
            where one network was asked once.
    """

    probability: np.ndarray
    mask: np.ndarray
    regions: tuple[Region, ...]
    uncertainty: np.ndarray | None = None


class Predictor:
    """A network on a device, or the mean of several, that turns images into probabilities of polyp.

    Args:
        networks: see `load_network`; one, or several to average.
        device: "auto" (CUDA where there is one), "cpu", "cuda", or one of several, as "cuda:1".
        runtime: what runs the network, one of `RUNTIMES`; "auto" is torch, of ONNX files what is installed.
        amp: "off", or "bf16", which lets OpenVINO compute so where the processor has instructions for it; PyTorch
            computes in float32 all the same.
        cuda_graphs: on a CUDA device, record the kernels of a forward once and start them all at once.
        options: threshold, border, views to average and so on; see `MapOptions`.

    Raises:
        InputError: an unknown runtime or precision, a device that is not there, or networks that cannot be averaged.
    """

    def __init__(
        self,
        networks: TrainedNetwork | Sequence[TrainedNetwork],
        *,
        device: str = "auto",
        runtime: str = "auto",
        amp: str = "off",
        cuda_graphs: bool = False,
        options: MapOptions | None = None,
    ):
        check_runtime(runtime)
        if amp not in PRECISIONS:
            raise InputError(f"the precision {amp!r} was asked for; there are {', '.join(PRECISIONS)}")
        self.options = options or MapOptions()
        self.threshold = self.options.cut_at
        self.device = choose_device(device)
        given = [networks] if isinstance(networks, TrainedNetwork) else networks
        how = {"amp": amp, "cuda_graphs": cuda_graphs}
        network = averaged([with_runtime(each, runtime, self.device, **how) for each in given], self.options)
        self.size, self.path = network.size, network.path
        self.model = network.model.to(self.device, memory_format=torch.channels_last)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path | Sequence[str | Path] | None = None,
        *,
        device: str = "auto",
        model: str | None = None,
        backbone: str | None = None,
        size: int | None = None,
        runtime: str = "auto",
        amp: str = "off",
        cuda_graphs: bool = False,
        options: MapOptions | None = None,
    ) -> Predictor:
        """Make a predictor of a weight file, or of several, whose probabilities are averaged.

        Args:
            path: a checkpoint of a training run here, or a published file; None: the starter weights.
            device: see the class.
            model: name of the network, for files that do not say; see `lib.list_models`.
            backbone: of that network.
            size: height and width of its input, pixels; None: as it was trained.
            runtime: see the class.
            amp: see the class.
            cuda_graphs: see the class.
            options: see the class.

        Raises:
            InputError: no starter weights, an unknown runtime, or a device that is not there.
            ModelError: a file or a network that cannot be used, or a size that the network cannot take.
        """
        check_runtime(runtime)
        paths = [path] if path is None or isinstance(path, (str, Path)) else list(path)
        if not paths:
            raise InputError("an empty list of weights was given; name at least one file, or none for the starter's")
        settings = {"backbone": backbone} if backbone else None
        networks = load_all(paths, name=model, options=settings, size=size)
        return cls(networks, device=device, runtime=runtime, amp=amp, cuda_graphs=cuda_graphs, options=options)

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
        found = self.predict(image)
        return found.probability if isinstance(found, Prediction) else [each.probability for each in found]

    @overload
    def predict(self, image: Picture) -> Prediction: ...

    @overload
    def predict(self, image: Sequence[Picture]) -> list[Prediction]: ...

    def predict(self, image: Picture | Sequence[Picture]) -> Prediction | list[Prediction]:
        """Return probability, mask and regions of an image, or of each of a list, as `probability` takes them.

        Raises:
            InputError, ModelError: as `probability`.
        """
        if isinstance(image, (np.ndarray, Image.Image, str)) or not isinstance(image, Iterable):
            return self._predict([as_rgb(image)])[0]  # refused there where it is no image
        return self._predict([as_rgb(each) for each in image])

    def stream(self, frames: Iterable[Picture]) -> Iterator[np.ndarray]:
        """Yield the probability of every frame of one clip, in order, as frames are drawn.

        A video network looks at the frame after the one it answers, so its first answer follows the second frame.

        Args:
            frames: as `probability` takes them, of any sizes.

        Raises:
            InputError, ModelError: as `probability`.
        """
        keep = self.options.smoothing
        smooth = TemporalAverage(keep) if keep else lambda image, logits: logits
        ready = (self._ready(rgb) for rgb in map(as_rgb, frames))
        clip = (((placement, image), image) for placement, image in ready)
        for number, ((placement, image), logits) in enumerate(stream_clips(self.model, [clip], slots=1)):
            yield self._probability(smooth(image, logits), placement, f"frame {number}")

    def _predict(self, images: list[np.ndarray]) -> list[Prediction]:
        found = []
        for start in range(0, len(images), BATCH):
            ready = [self._ready(image) for image in images[start : start + BATCH]]
            for number, ((placement, _), outputs) in enumerate(zip(ready, self._outputs(ready), strict=True), start):
                probability = self._probability(outputs["out"], placement, f"image {number}")
                spread = outputs.get("spread")
                found.append(self._described(probability, None if spread is None else self._placed(spread, placement)))
        return found

    def _described(self, probability: np.ndarray, uncertainty: np.ndarray | None) -> Prediction:
        grey = as_grey(torch.from_numpy(probability))
        mask = cut(grey, threshold=self.threshold, min_region=self.options.min_region or 0.0)
        return Prediction(probability, mask, find_regions(mask, probability), uncertainty)

    @torch.inference_mode()
    def _outputs(self, ready: list[tuple[Placement, Tensor]]) -> list[dict[str, Tensor]]:
        """What the network says of each image; a video network sees each as a clip of one frame."""
        if self.model.kind == "video":
            clips = ([(number, frame)] for number, (_, frame) in enumerate(ready))
            answers = dict(stream_clips(self.model, clips, slots=len(ready)))
            return [{"out": answers[number]} for number in range(len(ready))]
        outputs = self.model(stacked_images([frame for _, frame in ready], self.device))
        return [{name: value[place] for name, value in outputs.items()} for place in range(len(ready))]

    def _ready(self, image: np.ndarray) -> tuple[Placement, Tensor]:
        """Where the part that the network sees lies in an image, and that part, (3, S, S) normalized."""
        part, placement = prepared(image, self.size, crop_border=self.options.crop_border)
        return placement, normalize(part[None])[0]

    def _probability(self, logits: Tensor, placement: Placement, name: str) -> np.ndarray:
        check_finite(logits[None], [name])
        return largest(placement.paste(probabilities(logits, placement.seen))).cpu().numpy()

    def _placed(self, spread: Tensor, placement: Placement) -> np.ndarray:
        return placement.paste(upsampled(spread, placement.seen))[0].cpu().numpy()


def as_rgb(image: Picture) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB; 16 bits keep their upper byte, as in files (`read_rgb`).

    Raises:
        InputError: an array of another shape or type, something that is no image, or a picture of numbers that are no
            levels of grey.
    """
    if isinstance(image, Image.Image):
        return _picture_as_rgb(image)
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"a {type(image).__name__} was given; expected an (H, W, 3) uint8 RGB array or a PIL image, as "
            "PIL.Image.open reads a file"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"an array of shape {image.shape} and type {image.dtype} was given; expected (H, W, 3) uint8, RGB"
        )
    return image


def _picture_as_rgb(image: Image.Image) -> np.ndarray:
    """A PIL image as (H, W, 3) uint8; its own conversion would cut values off at 255 where it has more than 8 bits."""
    if image.mode in ("I", "F"):
        raise InputError(f"a picture of 32-bit numbers (mode {image.mode}) was given; mode L or RGB was expected")
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        refuse_narrow("the picture", values)
        return np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))
