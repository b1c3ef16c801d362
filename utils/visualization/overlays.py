"""What a network sees, drawn into an image."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["MAP_COLOUR", "draw", "draw_outline", "overlay"]

MASK_COLOUR = (0, 200, 0)  # green: where the polyp is
MAP_COLOUR = (255, 210, 0)  # yellow: where the network sees it


def overlay(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Draw the outlines of mask and map into an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask, prediction: (H, W) uint8, or (H, W, 3) where colours tell classes apart; their brightest is cut at 128.
    """
    drawn = image.copy()
    for plane, colour in ((mask, MASK_COLOUR), (prediction, MAP_COLOUR)):
        draw_outline(drawn, np.atleast_3d(plane).max(axis=2), colour)
    return drawn


def draw_outline(picture: np.ndarray, plane: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Draw the outline of an (H, W) plane, cut at 128, into an (H, W, 3) RGB picture, in place."""
    outlines, _ = cv2.findContours((plane >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(min(picture.shape[:2]) / 150))
    cv2.drawContours(picture, outlines, -1, colour, thickness, cv2.LINE_AA)


TINT = 0.5  # opacity of the tint where the probability is 1


def draw(picture: np.ndarray, grey: np.ndarray, *, tint: bool = False, rate: float | None = None) -> np.ndarray:
    """Draw a map into a frame: the outline at probability 1/2, on demand a tint and the frames a second.

    Args:
        picture: (H, W, 3) uint8 RGB. grey: (H, W) uint8, 255 x probability.
    """
    drawn = tinted(picture, grey) if tint else picture.copy()
    draw_outline(drawn, grey, MAP_COLOUR)
    if rate:
        scale = max(picture.shape[0], 240) / 800
        for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):  # readable on light and dark
            place, width = (int(16 * scale), int(32 * scale)), max(1, round(thickness * scale))
            cv2.putText(drawn, f"{rate:.1f} fps", place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA)
    return drawn


def tinted(picture: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Blend the colour of maps into the picture, the more the higher the probability."""
    opacity = (TINT / 255 * grey.astype(np.float32))[:, :, None]
    return (picture + opacity * (np.array(MAP_COLOUR, np.float32) - picture)).round().astype(np.uint8)
