"""Phantoms of two classes: odd ones hold red polyps (neoplastic), even ones bluish ones, green in the mask."""

from pathlib import Path

import cv2
import numpy as np

from measure.io.class_masks import parse_classes
from utils.phantom import write_stills

TEXTS = ["neoplastic=255,0,0", "non-neoplastic=0,255,0"]
CLASSES = parse_classes(TEXTS)
INDEX_TEXTS = ["neoplastic=1", "non-neoplastic=2"]
BLUISH = np.array([0.55, 0.9, 1.6])  # factors on R, G, B of the second class's polyps


def write_two_classes(folder: Path, *, count: int, seed: int = 0, size: tuple[int, int] = (64, 80), by_index=False):
    """Write `<folder>/images` and `<folder>/masks`, the masks in colours or as indices 1 and 2."""
    write_stills(folder, count=count, seed=seed, size=size, look="clear")
    classes = parse_classes(INDEX_TEXTS) if by_index else CLASSES
    for number in range(1, count + 1):
        mask_path, image_path = folder / f"masks/phantom_{number:04d}.png", folder / f"images/phantom_{number:04d}.jpg"
        polyp = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) > 128
        picture = classes.picture(polyp * (1 if number % 2 else 2))
        cv2.imwrite(str(mask_path), picture[..., ::-1] if picture.ndim == 3 else picture)
        if number % 2 == 0:
            image = cv2.imread(str(image_path))
            image[polyp] = np.clip(image[polyp] * BLUISH[::-1], 0, 255)
            cv2.imwrite(str(image_path), image)
