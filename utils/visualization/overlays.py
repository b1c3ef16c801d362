"""What a network sees, drawn into an image."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["MAP_COLOR", "draw_mask_and_map", "draw_outline", "draw_prediction", "draw_heat", "draw_tint"]

MASK_COLOR = (0, 200, 0)  # green: where the polyp is
MAP_COLOR = (255, 210, 0)  # yellow: where the network sees it
TINT_COLORS = cv2.COLORMAP_VIRIDIS  # violet, green, yellow: apart from the reds of tissue, and from each other in grey
TINT_ALPHA = 0.5  # opacity of the tint, reached at a probability of `TINT_FULL`
TINT_FULL = 0.25  # below it the tint fades out, so that the rest of the frame stays as it is


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
    _, mask = cv2.threshold(plane, 127, 1, cv2.THRESH_BINARY)
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)  # drawn in half the time
    thickness = max(1, round(min(image.shape[:2]) / 150))
    cv2.drawContours(image, outlines, -1, color, thickness, cv2.LINE_AA)


def draw_prediction(
    frame: np.ndarray,
    grey: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    tint: bool = False,
    rate: float | None = None,
) -> np.ndarray:
    """Return the frame with the outline of what was found in it.

    Args:
        frame: (H, W, 3) uint8 RGB.
        grey: the map, (H, W) uint8, 255 x probability.
        mask: what was found, (H, W) uint8, 0 or 255; None: the map at probability 1/2.
        tint: also color the frame by the probability, from violet over green to yellow.
        rate: frames a second, written into a corner; None: nothing is written.
    """
    drawn = draw_tint(frame, grey) if tint else frame.copy()
    draw_outline(drawn, grey if mask is None else mask, MAP_COLOR)
    if rate:
        scale = max(frame.shape[0], 240) / 800
        for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):  # readable on light and dark
            place, width = (int(16 * scale), int(32 * scale)), max(1, round(thickness * scale))
            cv2.putText(drawn, f"{rate:.1f} fps", place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)
    return drawn


def draw_heat(image: np.ndarray, heat: np.ndarray, *, visible: np.ndarray | None = None) -> np.ndarray:
    """Lay heat over an image in perceptual colors, with a bar of them beside it.

    Where it is low the tissue stays visible as it is; colors reach their full opacity at `TINT_FULL`.

    Args:
        image: (H, W, 3) uint8 RGB.
        heat: (h, w) in [0, 1], such as a probability; resized bilinearly to the image.
        visible: (H, W) bool, where heat is shown; None: everywhere.

    Returns:
        (H, W + bar, 3) uint8 RGB.
    """
    resized = cv2.resize(heat.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    shown = resized if visible is None else resized * visible
    drawn = draw_tint(image, (255 * shown).round().astype(np.uint8))
    return np.concatenate((drawn, color_bar(len(image))), axis=1)


def color_bar(height: int) -> np.ndarray:
    """The colors of `draw_tint` from 1 at the top to 0, with numbers where there is room; (height, width, 3) RGB."""
    scale = max(height, 240) / 800
    width = round(28 * scale)
    ramp = np.linspace(255, 0, height).round().astype(np.uint8)[:, None].repeat(width, axis=1)
    colors = cv2.cvtColor(cv2.applyColorMap(ramp, TINT_COLORS), cv2.COLOR_BGR2RGB)
    labels = np.full((height, round(60 * scale), 3), 255, np.uint8)
    for value in (0.0, 0.5, 1.0) if height >= 60 else ():
        place = int(np.clip(round((1 - value) * height) + 7 * scale, 16 * scale, height - 4))
        cv2.putText(
            labels,
            f"{value:g}",
            (int(6 * scale), place),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.8 * scale,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return np.concatenate((np.full((height, max(2, width // 4), 3), 255, np.uint8), colors, labels), axis=1)


def draw_tint(frame: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Blend a color for every probability into the frame; where it is 0 the frame stays as it is."""
    colors = cv2.cvtColor(cv2.applyColorMap(grey, TINT_COLORS), cv2.COLOR_BGR2RGB).astype(np.float32)
    alpha = TINT_ALPHA * np.minimum(grey / np.float32(255 * TINT_FULL), 1)[:, :, None]
    return (frame + alpha * (colors - frame)).round().astype(np.uint8)
