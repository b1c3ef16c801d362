"""What a network sees, drawn into an image."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["MAP_COLOR", "draw_mask_and_map", "draw_outline", "draw_prediction"]

MASK_COLOR = (0, 200, 0)  # green: where the polyp is
MAP_COLOR = (255, 210, 0)  # yellow: where the network sees it
TINT_ALPHA = 0.5  # opacity of the tint where the probability is 1


def draw_mask_and_map(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the image with the outlines of mask and map.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, or (H, W, 3) where colors tell classes apart; its brightest channel is cut at 128.
        prediction: the map, as `mask`.
    """
    drawn = image.copy()
    for plane, color in ((mask, MASK_COLOR), (prediction, MAP_COLOR)):
        draw_outline(drawn, np.atleast_3d(plane).max(axis=2), color)
    return drawn


def draw_outline(image: np.ndarray, plane: np.ndarray, color: tuple[int, int, int]) -> None:
    """Draw the outline of an (H, W) plane, cut at 128, into an (H, W, 3) RGB image, in place."""
    outlines, _ = cv2.findContours((plane >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(min(image.shape[:2]) / 150))
    cv2.drawContours(image, outlines, -1, color, thickness, cv2.LINE_AA)


def draw_prediction(
    frame: np.ndarray, grey: np.ndarray, *, tint: bool = False, rate: float | None = None
) -> np.ndarray:
    """Return the frame with the outline of a map at probability 1/2.

    Args:
        frame: (H, W, 3) uint8 RGB.
        grey: the map, (H, W) uint8, 255 x probability.
        tint: also color the frame, the more the higher the probability.
        rate: frames a second, written into a corner; None: nothing is written.
    """
    drawn = tinted(frame, grey) if tint else frame.copy()
    draw_outline(drawn, grey, MAP_COLOR)
    if rate:
        scale = max(frame.shape[0], 240) / 800
        for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):  # readable on light and dark
            place, width = (int(16 * scale), int(32 * scale)), max(1, round(thickness * scale))
            cv2.putText(drawn, f"{rate:.1f} fps", place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)
    return drawn


def tinted(frame: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Blend the color of maps into the frame, the more the higher the probability."""
    alpha = (TINT_ALPHA / 255 * grey.astype(np.float32))[:, :, None]
    return (frame + alpha * (np.array(MAP_COLOR, np.float32) - frame)).round().astype(np.uint8)
