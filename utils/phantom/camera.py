"""What an endoscope makes of a painted wall: shading, highlights, blur, noise, the frame's dark border."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .scene import Scene
from .wall import Wall

__all__ = ["Camera", "draw_camera", "render_frame"]

GLARE = (1.0, 0.98, 0.92)  # color of a highlight
BORDER_LEVEL = 6  # 8-bit level of the border: never quite black


@dataclass(frozen=True)
class Camera:
    """One endoscope with its light source, at one moment.

    Attributes:
        lamp: tilt of the light against the view, (x, y).
        exposure: 1: the wall shows its own color where it is well lit.
        warmth: of the lamp: above 0 redder, below 0 bluer.
        highlight_size: 0 to 1: how large the highlights are.
        vignette: loss of light in the corners, 0 to 1.
        blur_sigma: standard deviation of the blur, pixels.
        motion_blur: how far the image moves during the exposure, pixels (x, y).
        noise: standard deviation of the sensor's noise, 8-bit levels.
        border: "none", "octagon", "rounded" or "inset".
        has_display: a black square covers the lower left corner (a position display).
    """

    lamp: tuple[float, float]
    exposure: float
    warmth: float
    highlight_size: float
    vignette: float
    blur_sigma: float
    motion_blur: tuple[float, float]
    noise: float
    border: str
    has_display: bool


def draw_camera(rng: np.random.Generator, scene: Scene, *, size: tuple[int, int]) -> Camera:
    """Draw an endoscope for frames of (height, width) `size`, held still; its display hides no polyp of `scene`."""
    border = str(rng.choice(["none", "octagon", "rounded", "inset"], p=[0.15, 0.4, 0.15, 0.3]))
    places = [polyp.outline.center for polyp in scene.polyps]
    covered = any(x < -0.1 and y > 0.1 for x, y in places)
    return Camera(
        lamp=(rng.uniform(-0.45, 0.45), rng.uniform(-0.45, 0.45)),
        exposure=rng.uniform(0.7, 1.7),
        warmth=rng.normal(0, 0.06),
        highlight_size=rng.uniform(0, 1),
        vignette=rng.uniform(0.1, 0.55),
        blur_sigma=min(size) / 288 * rng.uniform(0.4, 1.0),
        motion_blur=(0.0, 0.0),
        noise=rng.uniform(1.0, 3.5),
        border=border,
        has_display=border == "octagon" and rng.random() < 0.5 and not covered,
    )


def render_frame(wall: Wall, camera: Camera, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Render what the camera sees of a wall that fills the frame.

    Args:
        rng: for the sensor's noise.

    Returns:
        image: (H,W,3) uint8 RGB.
        mask: (H,W) uint8, 255 where a polyp is and the frame's border is not, else 0.
    """
    diffuse, gleam = _reflect(wall, camera)
    light = wall.light * diffuse
    gleam *= np.minimum(2 * light, 1)
    balance = camera.exposure * np.array((1 + camera.warmth, 1, 1 - camera.warmth), np.float32)
    seen = balance[:, None, None] * wall.color * light
    planes = 1 - np.exp(-seen)  # the tone curve's shoulder: no edge where the light saturates
    planes += gleam * (np.array(GLARE, np.float32)[:, None, None] - planes)
    field = _field_of_view(light.shape, camera)
    grain = np.float32(camera.noise) * rng.standard_normal(light.shape, dtype=np.float32)
    image = _blur(cv2.merge(list(255 * planes)), camera) + cv2.merge([grain] * 3)
    image = BORDER_LEVEL + cv2.merge([field] * 3) * (image - BORDER_LEVEL)
    mask = np.where((wall.polyp > 0) & (field > 0.5), np.uint8(255), np.uint8(0))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask


def _reflect(wall: Wall, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse factor (H,W), 1 for a level wall in the middle, and strength (H,W) of the mirror image in [0, 1]."""
    relief = cv2.GaussianBlur(wall.height, (0, 0), 1.0)
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=wall.unit / 8)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=wall.unit / 8)
    lamp_x, lamp_y = (np.float32(tilt) for tilt in camera.lamp)
    rows, columns = wall.height.shape
    y, x = np.linspace(-1, 1, rows, dtype=np.float32)[:, None], np.linspace(-1, 1, columns, dtype=np.float32)
    diffuse = np.maximum(1 - lamp_x * slope_x - lamp_y * slope_y, 0) / np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse *= 1 - np.float32(camera.vignette / 2) * (x * x + y * y)
    diffuse *= (1 + lamp_x * x + lamp_y * y) ** 2
    miss_x = slope_x + np.float32(0.14) * wall.film_tilt[0] + np.float32(0.6) * x + lamp_x
    miss_y = slope_y + np.float32(0.14) * wall.film_tilt[1] + np.float32(0.6) * y + lamp_y
    radius = np.float32(0.04 + 0.09 * camera.highlight_size)
    return diffuse, np.clip(3 - 3 * np.hypot(miss_x, miss_y) / radius, 0, 1)


def _blur(image: np.ndarray, camera: Camera) -> np.ndarray:
    """The blur of the optics, then that of a moving camera."""
    image = cv2.GaussianBlur(image, (0, 0), camera.blur_sigma)
    reach = int(np.ceil(max(abs(way) for way in camera.motion_blur) / 2))
    if reach == 0:
        return image
    trace = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    half_x, half_y = (int(round(way / 2)) for way in camera.motion_blur)
    cv2.line(trace, (reach - half_x, reach - half_y), (reach + half_x, reach + half_y), 255)
    return cv2.filter2D(image, -1, trace.astype(np.float32) / trace.sum())


def _field_of_view(size: tuple[int, int], camera: Camera) -> np.ndarray:
    """What the border leaves of the frame: (H,W) float32, 1 in view, 0 behind the border, soft between."""
    rows, columns = size
    if camera.border == "none":
        return np.ones(size, np.float32)
    side = min(size) / 2
    margin, cut = {"octagon": (0.0, 0.42), "rounded": (0.03, 0.5), "inset": (0.05, 0.25)}[camera.border]
    down, across = (
        rows / 2 - margin * side,
        (1.0 if camera.border == "octagon" else 0.92) * columns / 2 - margin * side,
    )
    y = np.abs(np.arange(rows, dtype=np.float32) - (rows - 1) / 2)[:, None] - np.float32(down)
    x = np.abs(np.arange(columns, dtype=np.float32) - (columns - 1) / 2) - np.float32(across)
    corner = np.float32(cut * side)
    if camera.border == "rounded":
        over = np.hypot(np.maximum(x + corner, 0), np.maximum(y + corner, 0)) - corner
    else:
        over = np.maximum(np.maximum(x, y), (x + y + corner) * np.float32(0.5**0.5))
    field = np.clip(np.float32(0.5) - over, 0, 1)
    if camera.has_display:
        field[int(0.68 * rows) :, : int(0.32 * columns)] = 0
    return field
