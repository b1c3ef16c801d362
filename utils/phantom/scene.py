"""What a phantom shows: the random description of a stretch of colon, before anything is painted.

Positions and lengths are in units of half the frame's shorter side, x to the right and y down, the origin in
the middle of the canvas; a frame of 288 x 352 pixels therefore spans 2.44 x 2 units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measure.io import InputError

__all__ = ["LOOKS", "Fold", "Look", "Outline", "Distractor", "Polyp", "Scene", "draw_scene", "find_look"]

Range = tuple[float, float]
Color = tuple[float, float, float]  # red, green, blue; 1 is the brightest an image can hold

# What well-lit mucosa looks like in an image; a case mixes these at random.
MUCOSA: tuple[Color, ...] = (
    (0.84, 0.50, 0.42),  # pink
    (0.82, 0.38, 0.22),  # orange red
    (0.78, 0.55, 0.32),  # tan
    (0.70, 0.32, 0.25),  # dark red
    (0.84, 0.64, 0.52),  # pale
)
# Polyp over mucosa, channel by channel, at contrast 1: reddened, pale, inflamed, yellowish.
TINTS: tuple[Color, ...] = ((1.35, 0.88, 0.80), (1.35, 1.40, 1.45), (1.10, 0.65, 0.70), (1.45, 1.30, 0.95))


@dataclass(frozen=True)
class Look:
    """The character of a set: how hard its polyps are to find. Ranges are (low, high), drawn per polyp.

    Attributes:
        contrast: 0: same color and no relief; 1: obvious.
        area_fraction: area of a polyp over area of the frame, its square root drawn uniformly.
        no_polyp_probability: probability of an image without any polyp.
        second_polyp_probability: probability that an image with a polyp has a second, smaller one.
        distractors: mean number of each distractor: residue, bubbles, polyp-like folds.
    """

    contrast: Range
    area_fraction: Range
    no_polyp_probability: float
    second_polyp_probability: float
    distractors: float


LOOKS: dict[str, Look] = {
    "mixed": Look(
        contrast=(0.3, 1.0),
        area_fraction=(0.006, 0.30),
        no_polyp_probability=0.1,
        second_polyp_probability=0.15,
        distractors=0.7,
    ),
    "clear": Look(
        contrast=(0.7, 1.0),
        area_fraction=(0.03, 0.30),
        no_polyp_probability=0.0,
        second_polyp_probability=0.1,
        distractors=0.3,
    ),
    "busy": Look(
        contrast=(0.5, 1.0),
        area_fraction=(0.02, 0.30),
        no_polyp_probability=0.0,
        second_polyp_probability=0.4,
        distractors=1.5,
    ),
    "hard": Look(
        contrast=(0.2, 0.6),
        area_fraction=(0.006, 0.15),
        no_polyp_probability=0.15,
        second_polyp_probability=0.2,
        distractors=1.2,
    ),
}


def find_look(name: str) -> Look:
    """The look called `name`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in LOOKS:
        raise InputError(f"unknown look '{name}'; the looks are {', '.join(LOOKS)}")
    return LOOKS[name]


@dataclass(frozen=True)
class Outline:
    """An irregular ellipse: a circle of `radius`, stretched, turned, its radius rippled by a few harmonics.

    Attributes:
        center: (x, y).
        radius: of the circle of the same area.
        aspect: long axis over short axis.
        angle: of the long axis, radians.
        ripple: amplitude and phase of the harmonics 2, 3, 4, ... of the radius.
    """

    center: tuple[float, float]
    radius: float
    aspect: float = 1.0
    angle: float = 0.0
    ripple: tuple[complex, ...] = (0j,)

    def relative_radius(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the center over the outline's radius in that direction: below 1 inside, 1 on it.

        `x` and `y` broadcast against each other: (1,W) and (H,1), or (H,W) both.
        """
        turn = np.exp(-1j * self.angle)
        along, across = self.radius * self.aspect**0.5, self.radius / self.aspect**0.5
        dx, dy = x - np.float32(self.center[0]), y - np.float32(self.center[1])
        z = np.empty(np.broadcast_shapes(x.shape, y.shape), np.complex64)
        z.real = dx * np.float32(turn.real / along) - dy * np.float32(turn.imag / along)
        z.imag = dx * np.float32(turn.imag / across) + dy * np.float32(turn.real / across)
        rho = np.abs(z) + np.float32(1e-6)
        z /= rho
        return rho / (1 + self._ripple(z))

    def _ripple(self, z: np.ndarray) -> np.ndarray:
        """Relative change of the radius in the directions `z` (unit complex numbers): powers instead of sines."""
        total = np.complex64(self.ripple[-1]) * z
        for amplitude in reversed(self.ripple[:-1]):
            total = (total + np.complex64(amplitude)) * z
        return (total * z).real


@dataclass(frozen=True)
class Fold:
    """A haustral fold: a rim around the lumen, strongest in one direction, dark behind its edge.

    Attributes:
        outline: of its edge.
        direction: unit vector from the outline's center to where the fold is highest.
        extent: 0: only around `direction`; 1: all around.
        depth: how dark it is behind the edge, 0 to 1.
    """

    outline: Outline
    direction: complex
    extent: float
    depth: float


@dataclass(frozen=True)
class Polyp:
    """A protrusion that the mask covers.

    Attributes:
        outline: of its head.
        contrast: scales everything that tells it from the wall.
        tint: its color over the wall's, at contrast 1.
        flatness: exponent of the dome: 0.5 a hemisphere, 1.2 a gentle mound.
        lobes: strength of the bumps on it, 0 to 1.
        pits: strength of its surface pattern, 0 to 1.
        stalk: pedunculated: the column between head and wall, part of the polyp.
    """

    outline: Outline
    contrast: float
    tint: Color
    flatness: float
    lobes: float
    pits: float
    stalk: Outline | None


@dataclass(frozen=True)
class Distractor:
    """What is no polyp and may look like one: `residue` (stool), `bubbles` (foam), or `mound` (the end of a fold).

    Attributes:
        kind: "residue", "bubbles" or "mound".
        outline: where it lies.
    """

    kind: str
    outline: Outline


@dataclass(frozen=True)
class Scene:
    """One stretch of colon.

    Attributes:
        mucosa: what well-lit wall looks like.
        lumen: where the tube goes on into the dark.
        lit_distance: distance from the lumen at which the wall is fully lit.
        folds: from near to far.
        polyps: what the mask covers.
        distractors: what it does not cover.
        vessels: visibility of the vessels, 0 to 1.
        creases: depth of the wall's small wrinkles, 0 to 1.
    """

    mucosa: Color
    lumen: tuple[float, float]
    lit_distance: float
    folds: tuple[Fold, ...]
    polyps: tuple[Polyp, ...]
    distractors: tuple[Distractor, ...]
    vessels: float
    creases: float


def draw_scene(
    rng: np.random.Generator,
    look: Look,
    *,
    half: tuple[float, float],
    polyps: int | None,
    spread: float = 1.0,
) -> Scene:
    """Draw a scene for a frame reaching `half` = (x, y) units from its middle.

    Args:
        polyps: how many; None draws 0, 1 or 2 by the look's probabilities.
        spread: the canvas over the frame, for clips; folds and distractors then fill the canvas.
    """
    lumen_angle, lumen_distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 1.15)
    lumen = lumen_distance * np.cos(lumen_angle), lumen_distance * np.sin(lumen_angle) * 0.8
    if polyps is None:
        polyps = (
            0 if rng.random() < look.no_polyp_probability else 1 + int(rng.random() < look.second_polyp_probability)
        )
    return Scene(
        mucosa=_mixture(rng, MUCOSA, 0.6),
        lumen=lumen,
        lit_distance=rng.uniform(0.6, 1.8),
        folds=_draw_folds(rng, lumen),
        polyps=_draw_polyps(rng, look, polyps, lumen, half),
        distractors=_draw_distractors(rng, look.distractors * spread, (half[0] * spread, half[1] * spread)),
        vessels=rng.uniform(0, 1),
        creases=rng.uniform(0, 1) ** 2,
    )


def _mixture(rng: np.random.Generator, colors: tuple[Color, ...], evenness: float) -> Color:
    """Their mean with random weights: the lower the `evenness`, the nearer to one of them."""
    red, green, blue = rng.dirichlet([evenness] * len(colors)) @ np.array(colors)
    return float(red), float(green), float(blue)


def _draw_ripple(rng: np.random.Generator, strength: float, harmonics: int) -> tuple[complex, ...]:
    """Amplitudes that fall with the harmonic's order, phases anywhere."""
    orders = np.arange(2, 2 + harmonics)
    amplitudes = strength * rng.uniform(0.3, 1.0, harmonics) * (2 / orders) ** 1.3
    return tuple(complex(a) for a in amplitudes * np.exp(2j * np.pi * rng.random(harmonics)))


def _draw_folds(rng: np.random.Generator, lumen: tuple[float, float]) -> tuple[Fold, ...]:
    """Rims shrinking towards the lumen by a nearly constant factor, as rings of a tube do in perspective."""
    folds = []
    radius = rng.uniform(1.2, 2.0)
    while radius > 0.22 and len(folds) < 6:
        wander = 0.25 * radius
        center = lumen[0] + rng.uniform(-wander, wander), lumen[1] + rng.uniform(-wander, wander)
        outline = Outline(center, radius, rng.uniform(1.0, 1.4), rng.uniform(0, np.pi), _draw_ripple(rng, 0.12, 4))
        direction = complex(np.exp(2j * np.pi * rng.random()))
        folds.append(Fold(outline, direction, rng.uniform(-0.3, 0.7), rng.uniform(0.25, 0.75)))
        radius *= rng.uniform(0.5, 0.75)
    return tuple(folds)


def _draw_polyps(
    rng: np.random.Generator, look: Look, count: int, lumen: tuple[float, float], half: tuple[float, float]
) -> tuple[Polyp, ...]:
    polyps: list[Polyp] = []
    for index in range(count):
        low, high = np.sqrt(look.area_fraction)
        root = rng.uniform(low, high if index == 0 else (low + high) / 2)
        radius = float(root * np.sqrt(4 * half[0] * half[1] / np.pi))
        center, radius = _draw_place(rng, radius, [p.outline for p in polyps], lumen, half)
        polyps.append(_draw_polyp(rng, look, center, radius, lumen))
    return tuple(polyps)


def _draw_place(
    rng: np.random.Generator,
    radius: float,
    others: list[Outline],
    lumen: tuple[float, float],
    half: tuple[float, float],
) -> tuple[tuple[float, float], float]:
    """Centre and radius of a polyp on the lit wall, most of it in view: it shrinks until it is clear of `others`."""
    for _ in range(30):
        room = [max(0.78 * side - 0.8 * radius, 0.05) for side in half]
        x, y = rng.uniform(-room[0], room[0]), rng.uniform(-room[1], room[1])
        lit = np.hypot(x - lumen[0], y - lumen[1]) > 0.35 + 0.5 * radius
        shown = abs(x) + abs(y) < half[0] + half[1] - 0.65 - 0.2 * radius  # not in an octagon's corner
        clear = all(np.hypot(x - o.center[0], y - o.center[1]) > 1.4 * (radius + o.radius) for o in others)
        if lit and shown and clear:
            break
        radius *= 0.95 if others else 1.0
    return (x, y), radius


def _draw_polyp(
    rng: np.random.Generator,
    look: Look,
    center: tuple[float, float],
    radius: float,
    lumen: tuple[float, float],
) -> Polyp:
    aspect = 1 + rng.gamma(2.0, 0.15)
    outline = Outline(center, radius, aspect, rng.uniform(0, np.pi), _draw_ripple(rng, rng.uniform(0.04, 0.2), 4))
    stalk = None
    if rng.random() < 0.2:
        away = np.arctan2(center[1] - lumen[1], center[0] - lumen[0]) + rng.normal(0, 0.4)
        foot = center[0] + 0.85 * radius * np.cos(away), center[1] + 0.85 * radius * np.sin(away)
        stalk = Outline(
            foot,
            rng.uniform(0.5, 0.7) * radius,
            rng.uniform(1.2, 1.9),
            float(away),
            _draw_ripple(rng, 0.1, 3),
        )
    return Polyp(
        outline=outline,
        contrast=rng.uniform(*look.contrast),
        tint=_mixture(rng, TINTS, 0.2),
        flatness=rng.uniform(0.5, 1.1),
        lobes=rng.uniform(0, 1) ** 1.5,
        pits=rng.uniform(0.2, 1),
        stalk=stalk,
    )


def _draw_distractors(rng: np.random.Generator, mean_count: float, half: tuple[float, float]) -> tuple[Distractor, ...]:
    distractors = []
    for kind, size, aspect in (("residue", 0.2, 1.5), ("bubbles", 0.3, 1.6), ("mound", 0.25, 2.0)):
        for _ in range(rng.poisson(mean_count)):
            center = rng.uniform(-half[0], half[0]), rng.uniform(-half[1], half[1])
            radius, stretch = size * rng.uniform(0.5, 1.6), aspect * rng.uniform(0.8, 1.3)
            ripple = _draw_ripple(rng, 0.25 if kind == "residue" else 0.1, 5)
            distractors.append(Distractor(kind, Outline(center, radius, stretch, rng.uniform(0, np.pi), ripple)))
    return tuple(distractors)
