"""The painted wall of a scene: color, light, relief and polyps, for every pixel of a canvas, before any camera.

The bare numbers are strengths and sizes (in scene units), set by eye beside real colonoscopy images.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .scene import Color, Distractor, Fold, Outline, Polyp, Scene

__all__ = ["Wall", "paint_wall"]

RESIDUE: Color = (0.80, 0.51, 0.17)
FOAM: Color = (0.93, 0.86, 0.70)
VESSEL = (0.72, 0.48, 0.55)  # what a vessel leaves of the wall's red, green and blue
RIM_FALL = 6.0  # how fast a fold's rim falls off, per fold radius
BEHIND_FALL = 2.5  # how fast the dark behind a fold lifts, per fold radius


@dataclass
class Wall:
    """Layers of a canvas of H x W pixels. Planes come first: arithmetic on whole planes is several times faster."""

    layers: np.ndarray  # (8,H,W) float32, in the order of the properties below
    unit: float  # pixels to the scene's unit of length

    @property
    def color(self) -> np.ndarray:
        """(3,H,W) RGB, as amounts of reflected light (see `light_for`)."""
        return self.layers[:3]

    @property
    def light(self) -> np.ndarray:
        """(H,W) light that reaches the wall; 1 shows its color as it is."""
        return self.layers[3]

    @property
    def height(self) -> np.ndarray:
        """(H,W) relief towards the camera, in scene units."""
        return self.layers[4]

    @property
    def polyp(self) -> np.ndarray:
        """(H,W) above 0 inside a polyp, 0 on its border."""
        return self.layers[5]

    @property
    def film_tilt(self) -> np.ndarray:
        """(2,H,W) tilt of the wet film on the wall in x and y: it scatters the highlights."""
        return self.layers[6:]


@dataclass
class WallRegion(Wall):
    """A wall, or a rectangle of one, being painted: it knows where in the scene it lies."""

    x: np.ndarray  # (1,W) scene coordinates of the columns
    y: np.ndarray  # (H,1) scene coordinates of the rows

    def around(self, outline: Outline, margin: float) -> WallRegion:
        """The rectangle (a view, no copy) outside which `outline.relative_radius` is above `margin`."""
        reach = outline.radius * outline.aspect**0.5 * margin * (1 + sum(abs(a) for a in outline.ripple))
        columns = _span(self.x[0], outline.center[0], reach)
        rows = _span(self.y[:, 0], outline.center[1], reach)
        return WallRegion(self.layers[:, rows, columns], self.unit, self.x[:, columns], self.y[rows])


def _span(axis: np.ndarray, center: float, reach: float) -> slice:
    """The indices of the ascending `axis` within `reach` of `center`."""
    first, last = np.searchsorted(axis, (center - reach, center + reach))
    return slice(int(first), int(last))


def paint_wall(scene: Scene, *, canvas: tuple[int, int], unit: float, rng: np.random.Generator) -> Wall:
    """Paint `scene` on a canvas of (height, width) pixels, `unit` pixels to the scene's unit of length."""
    region = WallRegion(np.empty((8, *canvas), np.float32), unit, *_grid(canvas, unit))
    region.light[:], region.height[:] = _lay_folds(scene, canvas, unit, rng)
    region.color[:] = _mucosa(scene, canvas, unit, rng)
    region.polyp.fill(-1)
    region.film_tilt[:] = [smooth_noise(rng, canvas, 0.07 * unit) for _ in range(2)]
    for distractor in scene.distractors:
        PAINTERS[distractor.kind](distractor, region.around(distractor.outline, 1.6), rng)
    for polyp in scene.polyps:
        _raise_polyp(polyp, region.around(polyp.outline, 2.2), rng)
    return Wall(region.layers, unit)


def _grid(canvas: tuple[int, int], unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Scene coordinates of the pixels' centers, (1,W) and (H,1), the origin in the middle of the canvas."""
    rows, columns = canvas
    x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) / np.float32(unit)
    y = (np.arange(rows, dtype=np.float32) - (rows - 1) / 2) / np.float32(unit)
    return x[None], y[:, None]


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], step: float) -> np.ndarray:
    """A random field (H,W) float32 of about unit variance: normal nodes `step` pixels apart, cubic between."""
    rows, columns = (int(side / step) + 2 for side in size)
    nodes = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(nodes, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high` on, a cubic between."""
    t = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def light_for(color: Color) -> np.ndarray:
    """The amounts of light (3,1,1) that the camera's tone curve, 1 - exp(-light), shows as `color`."""
    return -np.log1p(-np.array(color, np.float32))[:, None, None]


def _lay_folds(
    scene: Scene, canvas: tuple[int, int], unit: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Light and relief (H,W) of the bare wall, worked out at half resolution: folds have no finer detail."""
    size, half = ((canvas[0] + 1) // 2, (canvas[1] + 1) // 2), unit / 2
    x, y = _grid(size, half)
    x, y = x + 0.10 * smooth_noise(rng, size, 0.9 * half), y + 0.10 * smooth_noise(rng, size, 0.9 * half)
    open_light = _depth_light(scene, x, y)
    light = open_light.copy()
    wrinkle = np.abs(smooth_noise(rng, size, 0.3 * half))
    height = 0.035 * smooth_noise(rng, size, 0.4 * half) + 0.08 * scene.creases * wrinkle
    for fold in reversed(scene.folds):
        _raise_fold(fold, x, y, open_light, light, height)
    return cv2.resize(light, canvas[::-1]), cv2.resize(height, canvas[::-1])


def _depth_light(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Light on the bare wall: it falls towards the lumen, where the wall is far away."""
    away = np.hypot(x - np.float32(scene.lumen[0]), y - np.float32(scene.lumen[1]))
    near = away * np.float32(1 / scene.lit_distance)
    return np.float32(0.03) + np.float32(1.7) * near**1.5 / (np.float32(0.8) + near**1.5)


def _raise_fold(
    fold: Fold, x: np.ndarray, y: np.ndarray, open_light: np.ndarray, light: np.ndarray, height: np.ndarray
) -> None:
    """Cover what lies outside the fold's edge, brighten its rim, darken what is seen behind it; in place."""
    outside = fold.outline.relative_radius(x, y) - 1
    dx, dy = x - np.float32(fold.outline.center[0]), y - np.float32(fold.outline.center[1])
    towards = dx * np.float32(fold.direction.real) + dy * np.float32(fold.direction.imag)
    towards /= np.hypot(dx, dy) + np.float32(1e-3)
    strength = smooth_step(towards, -0.4 - fold.extent, 0.8 - fold.extent)
    front = strength * smooth_step(outside, -0.015, 0.015)
    rim = np.exp(-np.abs(outside) * np.float32(RIM_FALL))
    light *= 1 - np.float32(fold.depth) * strength * np.exp(np.minimum(outside, 0) * np.float32(BEHIND_FALL))
    light += front * (open_light * (1 + np.float32(0.5 * fold.depth) * rim) - light)
    height *= 1 - front
    height += np.float32(0.12 * fold.outline.radius**0.5) * strength * rim


def _mucosa(scene: Scene, canvas: tuple[int, int], unit: float, rng: np.random.Generator) -> np.ndarray:
    """Color of the healthy wall (3,H,W): patches of hue, a fine grain, vessels."""
    blotch, grain = smooth_noise(rng, canvas, 0.5 * unit), smooth_noise(rng, canvas, 0.025 * unit)
    hue = smooth_noise(rng, canvas, 0.6 * unit)
    shade = 1 + np.float32(0.06) * blotch + np.float32(0.035) * grain
    large, small = _vessels(rng, canvas, 0.18 * unit, 0.15), _vessels(rng, canvas, 0.07 * unit, 0.25)
    vessel = np.float32(0.8 * scene.vessels) * np.maximum(large, np.float32(0.7) * small)
    lean = np.array((0.02, -0.06, -0.09), np.float32)[:, None, None]
    stain = 1 - np.array(VESSEL, np.float32)[:, None, None]
    return light_for(scene.mucosa) * shade * (1 + lean * hue) * (1 - stain * vessel)


def _vessels(rng: np.random.Generator, canvas: tuple[int, int], step: float, width: float) -> np.ndarray:
    """Thin winding lines (H,W): where a random field changes sign, in some places more than in others."""
    line = 1 - np.abs(smooth_noise(rng, canvas, step)) * np.float32(1 / width)
    return np.maximum(line, 0) * smooth_step(smooth_noise(rng, canvas, 2.5 * step), -0.8, 0.6)


def _paint_residue(distractor: Distractor, region: WallRegion, rng: np.random.Generator) -> None:
    """Yellow-brown stool with a ragged border; in place."""
    size = region.height.shape
    ragged = np.float32(0.35) * smooth_noise(rng, size, 0.12 * region.unit)
    cover = smooth_step(1 + ragged - distractor.outline.relative_radius(region.x, region.y), 0.0, 0.25)
    crumbs = smooth_noise(rng, size, 0.05 * region.unit)
    stool = light_for(RESIDUE) * (1 + np.float32(0.12) * crumbs)
    region.color[:] += np.float32(0.8) * cover * (stool - region.color)
    region.height[:] += np.float32(0.006) * cover * (2 + crumbs)


def _paint_bubbles(distractor: Distractor, region: WallRegion, rng: np.random.Generator) -> None:
    """Foam: small domes close together, bright at their rims; in place."""
    rings, domes = (np.zeros(region.height.shape, np.uint8) for _ in range(2))
    for _ in range(rng.integers(10, 60)):
        spot = np.array(distractor.outline.center) + distractor.outline.radius * rng.normal(0, 0.5, 2)
        pixel = int((spot[0] - region.x[0, 0]) * region.unit), int((spot[1] - region.y[0, 0]) * region.unit)
        radius = int(region.unit * (0.012 + 0.035 * rng.random() ** 3)) + 1
        cv2.circle(domes, pixel, radius, 255, -1, cv2.LINE_AA)
        cv2.circle(rings, pixel, radius, int(rng.integers(90, 200)), 1, cv2.LINE_AA)
    region.color[:] += rings.astype(np.float32) / 255 * (light_for(FOAM) - region.color)
    region.height[:] += 0.02 * cv2.GaussianBlur(domes.astype(np.float32) / 255, (0, 0), 1.5)


def _raise_mound(distractor: Distractor, region: WallRegion, rng: np.random.Generator) -> None:
    """A long swelling of the wall that keeps the wall's color and vessels; in place."""
    dome = np.maximum(1 - distractor.outline.relative_radius(region.x, region.y) ** 2, 0) ** 2
    region.height[:] += np.float32(rng.uniform(0.2, 0.5) * distractor.outline.radius) * dome


PAINTERS = {"residue": _paint_residue, "bubbles": _paint_bubbles, "mound": _raise_mound}


def _raise_polyp(polyp: Polyp, region: WallRegion, rng: np.random.Generator) -> None:
    """Put a polyp on the wall: a dome with its own color and texture, a shadow at its foot; in place."""
    size, radius, contrast = region.height.shape, polyp.outline.radius, np.float32(polyp.contrast)
    inside, dome = _polyp_body(polyp, region)
    np.maximum(region.polyp, inside, out=region.polyp[:])
    blur = 2.0 / (radius * region.unit)  # the border is four pixels wide
    cover = smooth_step(inside, -blur, blur)
    lit = np.float32(max(cv2.mean(region.light, (inside > 0).astype(np.uint8))[0], 0.35))
    region.light[:] *= 1 - np.float32(0.5) * contrast * np.exp(-np.abs(inside) * np.float32(9))
    region.light[:] += cover * (lit * (1 + np.float32(0.6) * contrast * (dome - np.float32(0.2))) - region.light)
    lumps = 1 + np.float32(0.16 * polyp.lobes) * smooth_noise(rng, size, 0.35 * radius * region.unit)
    steep = radius * (0.12 + 0.55 * contrast)
    region.height[:] += cover * (steep * dome * lumps - np.float32(0.85) * region.height)
    region.color[:] += cover * np.sqrt(contrast) * (_polyp_skin(polyp, region, rng) - region.color)


def _polyp_body(polyp: Polyp, region: WallRegion) -> tuple[np.ndarray, np.ndarray]:
    """(H,W) above 0 inside the polyp, and (H,W) its height over its radius, 0 outside."""
    inside = 1 - polyp.outline.relative_radius(region.x, region.y)
    dome = np.maximum(1 - (1 - inside) ** 2, 0) ** np.float32(polyp.flatness)
    if polyp.stalk is not None:
        column = 1 - polyp.stalk.relative_radius(region.x, region.y)
        dome = np.maximum(dome, np.float32(0.6) * np.sqrt(np.maximum(column, 0)))
        inside = np.maximum(inside, column)
    return inside, dome


def _polyp_skin(polyp: Polyp, region: WallRegion, rng: np.random.Generator) -> np.ndarray:
    """Color of a polyp (3,H,W): the wall's mean tinted, with a pattern of pits in place of vessels."""
    tint = 1 + polyp.contrast * (np.array(polyp.tint, np.float32) - 1)
    mean = region.color.mean(axis=(1, 2)) * tint
    size = region.height.shape
    pits, blotch = smooth_noise(rng, size, 0.035 * region.unit), smooth_noise(rng, size, 0.15 * region.unit)
    pattern = 1 + np.float32(0.10 * polyp.pits) * pits + np.float32(0.08) * blotch
    return mean.astype(np.float32)[:, None, None] * pattern
