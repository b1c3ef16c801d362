"""Maps of a video that flicker less: a causal average over time that follows the image and starts again at a cut."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["TemporalAverage"]

SUREST = 1e-7  # probabilities are kept so far from 0 and 1, where logits are infinite
CUT = 0.6  # mean difference of normalized brightness between two frames from which the second is another scene


class TemporalAverage:
    """Mixes each frame's probabilities with the average of those before it, moved as the image has moved.

    Args:
        keep: share of the earlier frames, above 0 and below 1; a change shows by 1 - keep in its first frame.
    """

    def __init__(self, keep: float):
        self.keep = keep
        self.brightness: np.ndarray | None = None
        self.average: np.ndarray | None = None

    def __call__(self, image: Tensor, logits: Tensor) -> Tensor:
        """Take in the next frame.

        Args:
            image: (3, S, S) normalized RGB.
            logits: (K, h, w) of that frame.

        Returns:
            (K, h, w) logits of the average.
        """
        found = logits.float().sigmoid().cpu().numpy()
        resized = F.interpolate(image.mean(dim=0)[None, None].float(), found.shape[1:], mode="bilinear", antialias=True)
        brightness = resized[0, 0].cpu().numpy()
        if self.average is not None and self.average.shape == found.shape:
            step = movement(self.brightness, brightness)
            if np.abs(shifted(self.brightness, step) - brightness).mean() < CUT:
                moved = np.stack([shifted(plane, step) for plane in self.average])
                found = self.keep * moved + (1 - self.keep) * found
        self.brightness, self.average = brightness, found
        return torch.from_numpy(found).logit(eps=SUREST).to(logits.device)


def movement(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """How far the picture has moved, x and y in pixels, as a whole."""
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F) if min(before.shape) > 1 else None
    (x, y), _ = cv2.phaseCorrelate(before, after, window)
    return (x, y) if np.isfinite((x, y)).all() else (0.0, 0.0)


def shifted(plane: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """An (h, w) float32 plane moved by (x, y) pixels; what comes in at the edges repeats them."""
    matrix = np.array([[1, 0, step[0]], [0, 1, step[1]]], np.float32)
    return cv2.warpAffine(plane, matrix, plane.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
