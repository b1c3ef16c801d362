"""Heat maps: where a network sees a polyp and what its last features respond to, in jet colours over the image.

    <out>/heatmap/<set>/<stem>_probability.png     the predicted probability
    <out>/heatmap/<set>/<stem>_features.png        the last features before the head

The features of DilatedSegNet are shown as its paper does. Those of the other networks are shown by Eigen-CAM (Muhammad
and Yeasin, IJCNN 2020): their first principal component over the image. Grad-CAM would tell nothing more than the
probability here, since the gradient of a logit with respect to what a 1 x 1 head reads is the head's own weights.
Of several classes, the probability is the largest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from measure.io import InputError, make_folder, read_rgb

from ..data import batches_in_order, make_loader, normalize
from ..runtime import SINGLE_PROCESS, World, in_background, load_batches
from .images import Images, PredictOptions
from .postprocess import write_map

__all__ = ["KINDS", "eigen_cam", "find_head", "jet_overlay", "write_heat_maps"]

KINDS = ("features", "probability")
SHARE = 0.5  # of the colours in the overlay, the image has the rest


def write_heat_maps(
    model: nn.Module,
    sets: Mapping[str, Mapping[str, Path]],
    out: str | Path,
    *,
    options: PredictOptions,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> int:
    """Write both heat maps of every image, at its own size; `world` shares the images. Returns their number.

    Raises:
        InputError: an image cannot be read or a file cannot be written.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    total = sum(len(images) for images in sets.values())
    with (
        tqdm(total=total, desc="heat maps", unit="image", disable=world.disable_progress) as bar,
        in_background(threads=2) as later,
    ):
        for name, images in sets.items():
            folder = make_folder(Path(out) / "heatmap" / name)
            stems, paths = world.shard(list(images)), world.shard(list(images.values()))
            for index, heats in heat_maps(model, paths, options=options, device=device):
                later(write_overlays, folder / stems[index], paths[index], heats)
                bar.update()
    return total


def write_overlays(stem: Path, image: Path, heats: Mapping[str, np.ndarray]) -> None:
    """Write `<stem>_<kind>.png` for every kind of heat."""
    picture = read_rgb(image)
    for kind, heat in heats.items():
        write_map(stem.with_name(f"{stem.name}_{kind}.png"), jet_overlay(picture, heat))


def jet_overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay heat over an image: blue is 0, red is 1.

    Args:
        image: (H, W, 3) uint8 RGB. heat: (h, w) in [0, 1], resized bilinearly to the image.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    resized = cv2.resize(heat, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((255 * resized).round().astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.addWeighted(image, 1 - SHARE, cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), SHARE, 0)


@torch.inference_mode()
def heat_maps(
    model: nn.Module, paths: list[Path], *, options: PredictOptions, device: torch.device
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield (index, heat of each kind, (h, w) float32 in [0, 1]) of every image."""
    loader = make_loader(
        Images(paths, size=options.size),
        batch_sampler=batches_in_order(len(paths), batch_size=options.batch_size),
        workers=options.workers,
        device=device,
    )
    head = find_head(model, size=options.size)
    for batch in load_batches(loader):
        image = normalize(batch["image"].to(device)).contiguous(memory_format=torch.channels_last)
        with recorded(head) as record:
            probability = model(image)["out"].amax(dim=1, keepdim=True).sigmoid()
        own = getattr(model, "heat_map", None)
        features = own(image) if own else eigen_cam(*record)
        for index, *heats in zip(batch["index"].tolist(), features, probability, strict=True):
            yield index, {kind: heat[0].cpu().numpy() for kind, heat in zip(KINDS, heats, strict=True)}


def find_head(model: nn.Module, *, size: int) -> nn.Module:
    """Return the convolution that gives the finest logits: of those to a channel a class, the last at the finest size.

    Raises:
        InputError: there is none.
    """
    ran: list[tuple[int, int, nn.Module]] = []  # pixels, place in the order, convolution

    def note(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        ran.append((output[0].numel(), len(ran), module))

    classes = model.config.classes
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.out_channels == classes]
    hooks = [m.register_forward_hook(note) for m in convolutions]
    try:
        model(torch.zeros(1, 3, size, size, device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise InputError(
            f"{type(model).__name__} has no convolution to {classes} channels; heat maps need one as its head"
        )
    return max(ran)[-1]


@contextmanager
def recorded(head: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that the next forward fills with what the head reads and gives."""
    record: list[Tensor] = []
    hook = head.register_forward_hook(lambda _, inputs, output: record.extend((inputs[0], output)))
    try:
        yield record
    finally:
        hook.remove()


def eigen_cam(features: Tensor, logits: Tensor) -> Tensor:
    """Project features on their first principal component over the image's pixels, and scale to [0, 1].

    A component has no sign of its own: it is turned to rise with the logits, and what falls below the mean is 0.

    Args:
        features: (N, C, h, w). logits: (N, K, h, w), made from them; the largest of the classes counts.

    Returns:
        (N, 1, h, w), each image's maximum 1 (0 where features are constant).
    """
    pixels = features.float().flatten(2)  # (N, C, h w)
    pixels = pixels - pixels.mean(dim=2, keepdim=True)
    _, components = torch.linalg.eigh(pixels @ pixels.transpose(1, 2))  # ascending eigenvalues
    projection = (components[:, :, -1:] * pixels).sum(dim=1)  # (N, h w)
    rises = (projection * logits.float().amax(dim=1).flatten(1)).sum(dim=1, keepdim=True).sign()
    heat = F.relu(rises * projection)
    heat = heat / heat.amax(dim=1, keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)
    return heat.unflatten(1, features.shape[-2:])[:, None]
