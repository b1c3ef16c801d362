"""What a phantom shows: the random description of a stretch of colon, before anything is painted.

Positions and lengths are in units of half the frame's shorter side, x to the right and y down, the origin in
the middle of the canvas; a frame of 288 x 352 pixels therefore spans 2.44 x 2 units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measure.io import InputError

__all__ = ["LOOKS", "Fold", "Look", "Outline", "Patch", "Polyp", "Scene", "draw_scene", "look_named"]

Range = tuple[float, float]
Colour = tuple[float, float, float]  # red, green, blue; 1 is the brightest the picture can hold

# What well-lit mucosa looks like in the picture; a case mixes these at random.
MUCOSA: tuple[Colour, ...] = (
    (0.84, 0.50, 0.42),  # pink
    (0.82, 0.38, 0.22),  # orange red
    (0.78, 0.55, 0.32),  # tan
    (0.70, 0.32, 0.25),  # dark red
    (0.84, 0.64, 0.52),  # pale
)
# Polyp over mucosa, channel by channel, at contrast 1: reddened, pale, inflamed, yellowish.
TINTS: tuple[Colour, ...] = ((1.35, 0.88, 0.80), (1.35, 1.40, 1.45), (1.10, 0.65, 0.70), (1.45, 1.30, 0.95))


@dataclass(frozen=True)
class Look:
    """The character of a set: how hard its polyps are to find. Ranges are (low, high), drawn per polyp."""

    contrast: Range  # 0: same colour and no relief; 1: obvious
    share: Range  # area of a polyp over area of the frame, its square root drawn uniformly
    without: float  # probability of an image without any polyp
    second: float  # probability that an image with a polyp has a second, smaller one
    clutter: float  # mean number of each distractor: residue, bubbles, polyp-like folds


LOOKS: dict[str, Look] = {
    "mixed": Look(contrast=(0.3, 1.0), share=(0.006, 0.30), without=0.1, second=0.15, clutter=0.7),
    "clear": Look(contrast=(0.7, 1.0), share=(0.03, 0.30), without=0.0, second=0.1, clutter=0.3),
    "busy": Look(contrast=(0.5, 1.0), share=(0.02, 0.30), without=0.0, second=0.4, clutter=1.5),
    "hard": Look(contrast=(0.2, 0.6), share=(0.006, 0.15), without=0.15, second=0.2, clutter=1.2),
}


def look_named(name: str) -> Look:
    """The look called `name`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in LOOKS:
        raise InputError(f"unknown look '{name}'; the looks are {', '.join(LOOKS)}")
    return LOOKS[name]


@dataclass(frozen=True)
class Outline:
    """An irregular ellipse: a circle of `radius`, stretched, turned, its radius rippled by a few harmonics."""

    centre: tuple[float, float]
    radius: float  # of the circle of the same area
    aspect: float = 1.0  # long axis over short axis
    angle: float = 0.0  # of the long axis, radians
    ripple: tuple[complex, ...] = (0j,)  # amplitude and phase of the harmonics 2, 3, 4, ... of the radius

    def level(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the centre over the outline's radius in that direction: below 1 inside, 1 on it.

        `x` and `y` broadcast against each other: (1,W) and (H,1), or (H,W) both.
        """
        turn = np.exp(-1j * self.angle)
        along, across = self.radius * self.aspect**0.5, self.radius / self.aspect**0.5
        dx, dy = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
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
    """A haustral fold: a rim around the lumen, strongest in one direction, dark behind its edge."""

    outline: Outline
    direction: complex  # unit vector from the outline's centre to where the fold is highest
    extent: float  # 0: only around `direction`; 1: all around
    depth: float  # how dark it is behind the edge, 0 to 1


@dataclass(frozen=True)
class Polyp:
    """A protrusion that the mask covers."""

    outline: Outline
    contrast: float  # scales everything that tells it from the wall
    tint: Colour  # its colour over the wall's, at contrast 1
    flatness: float  # exponent of the dome: 0.5 a hemisphere, 1.2 a gentle mound
    lobes: float  # strength of the bumps on it, 0 to 1
    pits: float  # strength of its surface pattern, 0 to 1
    stalk: Outline | None  # pedunculated: the column between head and wall, part of the polyp


@dataclass(frozen=True)
class Patch:
    """A distractor: `residue` (stool), `bubbles` (foam), or `mound` (a fold's end that resembles a polyp)."""

    kind: str
    outline: Outline


@dataclass(frozen=True)
class Scene:
    """One stretch of colon."""

    mucosa: Colour
    lumen: tuple[float, float]
    reach: float  # distance from the lumen at which the wall is fully lit
    folds: tuple[Fold, ...]  # from near to far
    polyps: tuple[Polyp, ...]
    patches: tuple[Patch, ...]
    vessels: float  # visibility of the vessels, 0 to 1
    creases: float  # depth of the wall's small wrinkles, 0 to 1


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
        polyps = 0 if rng.random() < look.without else 1 + int(rng.random() < look.second)
    return Scene(
        mucosa=_mixture(rng, MUCOSA, 0.6),
        lumen=lumen,
        reach=rng.uniform(0.6, 1.8),
        folds=_draw_folds(rng, lumen),
        polyps=_draw_polyps(rng, look, polyps, lumen, half),
        patches=_draw_patches(rng, look.clutter * spread, (half[0] * spread, half[1] * spread)),
        vessels=rng.uniform(0, 1),
        creases=rng.uniform(0, 1) ** 2,
    )


def _mixture(rng: np.random.Generator, colours: tuple[Colour, ...], evenness: float) -> Colour:
    """Their mean with random weights: the lower the `evenness`, the nearer to one of them."""
    red, green, blue = rng.dirichlet([evenness] * len(colours)) @ np.array(colours)
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
        centre = lumen[0] + rng.uniform(-wander, wander), lumen[1] + rng.uniform(-wander, wander)
        outline = Outline(centre, radius, rng.uniform(1.0, 1.4), rng.uniform(0, np.pi), _draw_ripple(rng, 0.12, 4))
        direction = complex(np.exp(2j * np.pi * rng.random()))
        folds.append(Fold(outline, direction, rng.uniform(-0.3, 0.7), rng.uniform(0.25, 0.75)))
        radius *= rng.uniform(0.5, 0.75)
    return tuple(folds)


def _draw_polyps(
    rng: np.random.Generator, look: Look, count: int, lumen: tuple[float, float], half: tuple[float, float]
) -> tuple[Polyp, ...]:
    polyps: list[Polyp] = []
    for index in range(count):
        low, high = np.sqrt(look.share)
        root = rng.uniform(low, high if index == 0 else (low + high) / 2)
        radius = float(root * np.sqrt(4 * half[0] * half[1] / np.pi))
        centre, radius = _draw_place(rng, radius, [p.outline for p in polyps], lumen, half)
        polyps.append(_draw_polyp(rng, look, centre, radius, lumen))
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
        clear = all(np.hypot(x - o.centre[0], y - o.centre[1]) > 1.4 * (radius + o.radius) for o in others)
        if lit and shown and clear:
            break
        radius *= 0.95 if others else 1.0
    return (x, y), radius


def _draw_polyp(
    rng: np.random.Generator,
    look: Look,
    centre: tuple[float, float],
    radius: float,
    lumen: tuple[float, float],
) -> Polyp:
    aspect = 1 + rng.gamma(2.0, 0.15)
    outline = Outline(centre, radius, aspect, rng.uniform(0, np.pi), _draw_ripple(rng, rng.uniform(0.04, 0.2), 4))
    stalk = None
    if rng.random() < 0.2:
        away = np.arctan2(centre[1] - lumen[1], centre[0] - lumen[0]) + rng.normal(0, 0.4)
        foot = centre[0] + 0.85 * radius * np.cos(away), centre[1] + 0.85 * radius * np.sin(away)
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


def _draw_patches(rng: np.random.Generator, clutter: float, half: tuple[float, float]) -> tuple[Patch, ...]:
    patches = []
    for kind, size, aspect in (("residue", 0.2, 1.5), ("bubbles", 0.3, 1.6), ("mound", 0.25, 2.0)):
        for _ in range(rng.poisson(clutter)):
            centre = rng.uniform(-half[0], half[0]), rng.uniform(-half[1], half[1])
            radius, stretch = size * rng.uniform(0.5, 1.6), aspect * rng.uniform(0.8, 1.3)
            ripple = _draw_ripple(rng, 0.25 if kind == "residue" else 0.1, 5)
            patches.append(Patch(kind, Outline(centre, radius, stretch, rng.uniform(0, np.pi), ripple)))
    return tuple(patches)
