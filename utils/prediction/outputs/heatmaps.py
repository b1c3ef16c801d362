"""Heat maps: where a network sees a polyp and what its last features respond to, over the image.

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
from glob import escape
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib import Network
from measure.io import FOREGROUND_ABOVE, STILLS, InputError, read_mask, read_rgb

from ...visualization import draw_heat
from ..inputs import field_of_view
from ..postprocess import write_map

__all__ = ["HEAT_FOLDER", "eigen_cam", "heats_of", "recorded", "shares_inside", "write_overlays"]

HEAT_FOLDER = "heatmap"  # below the maps' folder


@contextmanager
def recorded(model: Network, *, enabled: bool = True) -> Iterator[list[Tensor]]:
    """Yield a list that the next forward fills with what the head reads and gives; empty where not enabled."""
    record: list[Tensor] = []
    if not enabled:
        yield record
        return
    hook = model.head.register_forward_hook(lambda _, inputs, output: record.extend((inputs[0], output)))
    try:
        yield record
    finally:
        hook.remove()


def heats_of(model: Network, record: list[Tensor], logits: Tensor) -> dict[str, np.ndarray]:
    """Heat of each kind, (N, h, w) float32 in [0, 1], of one forward.

    Args:
        model: the network that ran.
        record: see `recorded`; of several forwards, one after the other.
        logits: what it gave as `out`, (N, K, h, w).
    """
    features, head_logits = torch.cat(record[0::2]), torch.cat(record[1::2])  # of one forward, or of parts of a batch
    explained = model.explain(features)
    heats = {
        "features": eigen_cam(features, head_logits) if explained is None else explained,
        "probability": logits.amax(dim=1, keepdim=True).sigmoid(),
    }
    return {kind: heat[:, 0].float().cpu().numpy() for kind, heat in heats.items()}


def eigen_cam(features: Tensor, logits: Tensor) -> Tensor:
    """Project features on their first principal component over the image's pixels, and scale to [0, 1].

    A component has no sign of its own: it is turned to rise with the logits, and what falls below the mean is 0.

    Args:
        features: (N, C, h, w).
        logits: (N, K, h, w), made from them; the largest of the classes counts.

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


def write_overlays(stem: Path, image: Path, heats: Mapping[str, np.ndarray]) -> None:
    """Write `<stem>_<kind>.png` for every kind of heat, over the image as it is stored.

    Raises:
        InputError: the image cannot be read or a file cannot be written.
    """
    picture = read_rgb(image)
    visible = field_of_view(picture)
    for kind, heat in heats.items():
        write_map(stem.with_name(f"{stem.name}_{kind}.png"), draw_heat(picture, heat, visible=visible))


def shares_inside(image: Path, heats: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How much of each kind of heat lies inside the mask of its image: 0 to 1.

    Args:
        image: `<set>/images/<stem>.*`, whose mask is `<set>/masks/<stem>.*`.
        heats: see `heats_of`.

    Returns:
        By kind; empty where there is no mask that can be read, or one without a polyp, or no heat.
    """
    masks = [path for path in (image.parent.parent / STILLS.masks).glob(f"{escape(image.stem)}.*")]
    if image.parent.name != STILLS.images or len(masks) != 1:
        return {}
    try:
        mask = (read_mask(masks[0]) > FOREGROUND_ABOVE).astype(np.float32)
    except InputError:  # damaged, or of classes in color: prediction needs no masks
        return {}
    found = {}
    for kind, heat in heats.items():
        resized = cv2.resize(heat, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        if mask.any() and resized.sum() > 0:
            found[kind] = float((resized * mask).sum() / resized.sum())
    return found
