"""Phantom stills: one image and its mask from a seed, and whole sets of them on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from measure.io import STILLS

from .camera import draw_camera, render_frame
from .files import check_count, check_folder, check_size, claim_folder, member_seed, write_pair
from .scene import draw_scene, find_look
from .wall import paint_wall

__all__ = ["check_still_folders", "phantom_still", "write_stills"]


def phantom_still(
    *, seed: int, size: tuple[int, int] = (288, 352), polyps: int | None = None, look: str = "mixed"
) -> tuple[np.ndarray, np.ndarray]:
    """One synthetic colonoscopy still with its exact mask: a pure function of its arguments.

    Args:
        seed: any integer from 0 on; the same seed gives the same image.
        size: (height, width) in pixels, at least 64 each.
        polyps: how many polyps; None lets the look's probabilities decide among 0, 1 and 2.
        look: "mixed", "clear", "busy" or "hard" (see `scene.LOOKS`).

    Returns:
        image: (H,W,3) uint8 RGB.
        mask: (H,W) uint8, 255 on polyps (head and stalk, as far as they are in view), 0 elsewhere.

    Raises:
        InputError: an unknown look, a size too small, a negative seed or number of polyps.
    """
    check_count("the seed", seed, least=0)
    check_size(size)
    if polyps is not None:
        check_count("the number of polyps", polyps, least=0)
    rng = np.random.Generator(np.random.PCG64(seed))
    unit = min(size) / 2
    scene = draw_scene(rng, find_look(look), half=(size[1] / 2 / unit, size[0] / 2 / unit), polyps=polyps)
    camera = draw_camera(rng, scene, size=size)
    return render_frame(paint_wall(scene, canvas=size, unit=unit, rng=rng), camera, rng)


def write_stills(
    folder: str | Path,
    *,
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (288, 352),
    look: str = "mixed",
    set_name: str | None = None,
) -> None:
    """Write a set of stills: `<folder>/images/phantom_0001.jpg` and `<folder>/masks/phantom_0001.png`, and so on.

    Args:
        count: how many stills.
        seed: of the whole set. Member i of a set depends on seed, set name and i alone, so that sets of different
            names (train, test) never share an image, and a longer set begins like a shorter one.
        size, look: as in `phantom_still`.
        set_name: the set's name; None takes the folder's.

    Raises:
        InputError: an illegal option, or a folder that holds other files or cannot be written to.
    """
    folder = Path(folder)
    check_count("the seed", seed, least=0)
    check_count("the number of stills", count, least=1)
    check_size(size)
    find_look(look)
    check_still_folders(folder, count=count)
    stems, images, masks = still_stems(count), folder / STILLS.images, folder / STILLS.masks
    for place in (images, masks):
        claim_folder(place)
    for index, stem in enumerate(tqdm(stems, desc=folder.name, unit="still", disable=None)):
        still_seed = member_seed(seed=seed, set_name=set_name or folder.resolve().name, index=index)
        image, mask = phantom_still(seed=still_seed, size=size, look=look)
        write_pair(images / f"{stem}.jpg", masks / f"{stem}.png", image, mask)


def still_stems(count: int) -> list[str]:
    return [f"phantom_{number:04d}" for number in range(1, count + 1)]


def check_still_folders(folder: str | Path, *, count: int) -> None:
    """Refuse what `write_stills` would refuse to write into; nothing is created.

    Raises:
        InputError: as `check_folder`.
    """
    for part, suffix in ((STILLS.images, ".jpg"), (STILLS.masks, ".png")):
        check_folder(Path(folder) / part, (f"{stem}{suffix}" for stem in still_stems(count)))
