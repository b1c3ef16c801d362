"""Phantom clips: a camera moves over one painted wall, the polyp comes and goes, bursts of frames are bad."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from measure.io import FRAME_MASKS, FRAMES, InputError

from .camera import Camera, draw_camera, render_frame
from .files import check_count, check_folder, check_size, claim_folder, member_seed, write_pair
from .scene import Scene, draw_scene, find_look
from .wall import Wall, paint_wall

__all__ = ["check_clip", "check_clip_folders", "phantom_clip", "write_clips"]

SPREAD = 2.6  # side of the painted wall over the side of the frame: how far the camera can turn away
FEWEST_FRAMES = 6  # enough for the polyp to be in view, out of view and in view again
SECTION = 8  # frames to one "_aN_" of a SUN-SEG name
WORST = 8  # severity from which nothing at all is left to see
STEADY_PACE = 0.25  # of the sway, where the camera is steady
FIRST_SECTION = 9  # so that natural order (a9, a10) differs from the alphabet's


@dataclass(frozen=True)
class CameraPose:
    """Where the camera looks in one frame.

    Attributes:
        center: scene coordinates of the frame's middle.
        angle: radians.
        zoom: magnification.
    """

    center: tuple[float, float]
    angle: float
    zoom: float


def phantom_clip(
    *,
    seed: int,
    frames: int = 24,
    size: tuple[int, int] = (288, 352),
    bursts: int = 1,
    severity: float = 1.0,
    steady: bool = False,
    look: str = "mixed",
) -> tuple[np.ndarray, np.ndarray]:
    """A synthetic clip of one polyp: a pure function of its arguments.

    The camera drifts, turns and zooms smoothly; once it looks away until the polyp is wholly out of view, and
    returns. In a burst, an eighth of the clip (at least one frame), the image is blurred by motion, out of focus or
    flooded with light. Bursts change only the frames they fall on, never the masks.

    Args:
        frames: T, at least 6.
        size: (height, width) in pixels, at least 64 each.
        bursts: how many bursts, spread over the clip: at most a third of its frames.
        severity: factor of a burst's blur and light; at 4 little is left to see.
        steady: the camera never looks away and sways at a quarter of the speed, so that a frame tells where the polyp
            is in the next ones.
        look: as in `phantom_still`.

    Returns:
        frames: (T,H,W,3) uint8 RGB.
        masks: (T,H,W) uint8, 0 or 255.

    Raises:
        InputError: an illegal option.
    """
    check_clip(seed=seed, frames=frames, size=size, bursts=bursts, severity=severity)
    scene_rng, path_rng, burst_rng, noise_rng = (
        np.random.Generator(np.random.PCG64(part)) for part in np.random.SeedSequence(seed).spawn(4)
    )
    unit = min(size) / 2
    half = size[1] / 2 / unit, size[0] / 2 / unit
    scene = draw_scene(scene_rng, find_look(look), half=half, polyps=1, spread=SPREAD)
    camera = draw_camera(scene_rng, scene, size=size)
    canvas = int(SPREAD * size[0]), int(SPREAD * size[1])
    wall = paint_wall(scene, canvas=canvas, unit=unit, rng=scene_rng)
    poses = _draw_path(path_rng, scene, frames, half, steady=steady)
    cameras = _add_bursts(burst_rng, _add_motion_blur(camera, poses, unit), bursts, severity)
    rendered = [
        render_frame(_crop_wall(wall, pose, size), moving, noise_rng)
        for pose, moving in zip(poses, cameras, strict=True)
    ]
    return np.stack([image for image, _ in rendered]), np.stack([mask for _, mask in rendered])


def check_clip(*, seed: int, frames: int, size: tuple[int, int], bursts: int, severity: float) -> None:
    """Raise an InputError where `phantom_clip` could not take these options."""
    check_count("the seed", seed, least=0)
    check_count("the number of frames", frames, least=FEWEST_FRAMES)
    check_size(size)
    check_count("the number of bursts", bursts, least=0)
    if bursts > frames // 3:
        raise InputError(f"{bursts} bursts do not fit in {frames} frames; give at most {frames // 3}")
    if not 0 < severity <= WORST:
        raise InputError(f"the severity is {severity}; it must be above 0 and at most {WORST}")


def _draw_path(
    rng: np.random.Generator, scene: Scene, frames: int, half: tuple[float, float], *, steady: bool
) -> list[CameraPose]:
    """A smooth sway around the middle and, unless steady, an excursion up or down to where the polyp is out of view."""
    outline = scene.polyps[0].outline
    reach = 1.9 * outline.radius * outline.aspect**0.5  # a stalk and the ripple included
    side = -1.0 if outline.center[1] > 0 else 1.0  # the polyp leaves by the nearer edge
    distance = max(1.2 * half[1] + reach - abs(outline.center[1]), 0.5)
    away = np.zeros(frames) if steady else _draw_excursion(rng, frames)
    time = np.arange(frames) / 24 * (STEADY_PACE if steady else 1)  # seconds at 24 frames a second
    x, y, turn, zoom = (_sway(rng, time) for _ in range(4))
    down = 0.3 * y * (1 - away) + side * distance * away
    return [CameraPose((0.3 * x[t], down[t]), 0.2 * turn[t], 1.1 + 0.1 * zoom[t]) for t in range(frames)]


def _sway(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """A smooth movement within [-1, 1]: two sines of about half and one turn a second."""
    rates, phases = rng.uniform((0.3, 0.7), (0.7, 1.3)), rng.uniform(0, 1, 2)
    slow, fast = (np.sin(2 * np.pi * (rate * time + phase)) for rate, phase in zip(rates, phases, strict=True))
    return 0.7 * slow + 0.3 * fast


def _draw_excursion(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) 0 while the camera stays, 1 while it looks away; the first and the last frame stay."""
    ramp = max(1, frames // 8)
    length = max(1, int(frames * rng.uniform(0.05, 0.15)))
    first = int(rng.integers(1 + ramp, frames - length - ramp))
    distance = np.maximum(first - np.arange(frames), np.arange(frames) - (first + length - 1))
    t = np.clip(1 - distance / ramp, 0, 1)
    return t * t * (3 - 2 * t)


def _add_motion_blur(camera: Camera, poses: list[CameraPose], unit: float) -> list[Camera]:
    """The camera of every frame: its movement smears the picture, a fifth of the way between two frames."""
    centers = np.array([pose.center for pose in poses])
    ways = np.clip(0.2 * unit * np.gradient(centers, axis=0), -0.03 * unit, 0.03 * unit)
    return [replace(camera, motion_blur=(float(x), float(y))) for x, y in ways]


def _add_bursts(rng: np.random.Generator, cameras: list[Camera], bursts: int, severity: float) -> list[Camera]:
    """The cameras with `bursts` runs of bad frames, one in each equal part of the clip."""
    cameras, frames = list(cameras), len(cameras)
    edges = np.linspace(0, frames, bursts + 1).astype(int)
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        length = min(max(1, frames // 8), stop - start)
        first = int(rng.integers(start, stop - length + 1))
        fault = str(rng.choice(["smear", "defocus", "flood"]))
        for t in range(first, first + length):
            cameras[t] = _degrade(cameras[t], fault, severity * rng.uniform(1, 2), rng)
    return cameras


def _degrade(camera: Camera, fault: str, strength: float, rng: np.random.Generator) -> Camera:
    """One bad frame's camera."""
    if fault == "smear":
        angle, way = rng.uniform(0, 2 * np.pi), 30 * strength * camera.blur_sigma
        return replace(camera, motion_blur=(float(way * np.cos(angle)), float(way * np.sin(angle))))
    if fault == "defocus":
        return replace(camera, blur_sigma=4 * strength * camera.blur_sigma)
    flood = 2 * strength
    return replace(camera, exposure=flood * camera.exposure, highlight_size=flood, blur_sigma=2 * camera.blur_sigma)


def _crop_wall(wall: Wall, pose: CameraPose, size: tuple[int, int]) -> Wall:
    """The part of the wall that fills a frame of (height, width) `size` in this view."""
    cos, sin = np.cos(pose.angle) / pose.zoom, np.sin(pose.angle) / pose.zoom
    turn = np.array([[cos, -sin], [sin, cos]])  # frame pixels -> wall pixels
    middle = np.array([(side - 1) / 2 for side in wall.height.shape[::-1]])
    shift = middle + wall.unit * np.array(pose.center) - turn @ np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    warp = partial(
        cv2.warpAffine,
        M=np.column_stack([turn, shift]),
        dsize=size[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    planes = [warp(plane) for plane in wall.layers]
    return Wall(np.stack(planes), wall.unit * pose.zoom)


def write_clips(
    root: str | Path,
    *,
    split: str,
    cases: int,
    frames: int = 24,
    seed: int = 0,
    size: tuple[int, int] = (288, 352),
    bursts: int = 1,
    severity: float = 1.0,
    steady: bool = False,
    look: str = "mixed",
) -> None:
    """Write clips in the SUN-SEG layout: `<root>/<split>/Frame/<case>/<frame>.jpg` and `.../GT/<case>/<frame>.png`.

    Frames are called `case_M_phantom1_a9_ayy_image0001` and so on: natural order is by the number after `_a`, then
    by the image's, and differs from the alphabet's.

    Args:
        split: "TrainDataset", "TestHardDataset/Unseen", or any other; splits never share a clip.
        cases: how many clips.
        frames, size, bursts, severity, steady, look: as in `phantom_clip`.
        seed: of all clips; case i depends on seed, split and i alone.

    Raises:
        InputError: an illegal option, or a folder that holds other files or cannot be written to.
    """
    check_count("the number of cases", cases, least=1)
    check_clip(seed=seed, frames=frames, size=size, bursts=bursts, severity=severity)
    find_look(look)
    check_clip_folders(root, split=split, cases=cases, frames=frames)
    folder, names = Path(root) / split, case_names(cases)
    for part in (FRAMES, FRAME_MASKS):
        claim_folder(folder / part)
    for index, name in enumerate(tqdm(names, desc=split, unit="clip", disable=None)):
        clip_seed = member_seed(seed=seed, set_name=f"clips of {split}", index=index)
        images, masks = phantom_clip(
            seed=clip_seed, frames=frames, size=size, bursts=bursts, severity=severity, steady=steady, look=look
        )
        stems = [_frame_stem(index + 1, t) for t in range(frames)]
        paths = folder / FRAMES / name, folder / FRAME_MASKS / name
        for place in paths:
            claim_folder(place)
        for stem, image, mask in zip(stems, images, masks, strict=True):
            write_pair(paths[0] / f"{stem}.jpg", paths[1] / f"{stem}.png", image, mask)


def check_clip_folders(root: str | Path, *, split: str, cases: int, frames: int) -> None:
    """Refuse what `write_clips` would refuse to write into; nothing is created.

    Raises:
        InputError: as `check_folder`.
    """
    names = case_names(cases)
    for part, suffix in ((FRAMES, ".jpg"), (FRAME_MASKS, ".png")):
        folder = Path(root) / split / part
        check_folder(folder, names)
        for case, name in enumerate(names, start=1):
            check_folder(folder / name, (f"{_frame_stem(case, t)}{suffix}" for t in range(frames)))


def case_names(cases: int) -> list[str]:
    return [f"case{number}" for number in range(1, cases + 1)]


def _frame_stem(case: int, t: int) -> str:
    return f"case_M_phantom{case}_a{FIRST_SECTION + t // SECTION}_ayy_image{t + 1:04d}"
