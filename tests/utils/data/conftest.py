"""What several tests of data share: a small folder of pairs."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path):
    """Twelve pairs named 1 ... 12 with mixed suffixes; the mask of image k holds a k-pixel-wide square."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    rng = np.random.default_rng(0)
    for k in range(1, 13):
        image = rng.integers(256, size=(40, 50, 3), dtype=np.uint8)
        mask = np.zeros((40, 50), np.uint8)
        mask[5 : 5 + k, 5 : 5 + k] = 255
        cv2.imwrite(str(tmp_path / "images" / f"{k}.{'jpg' if k % 2 else 'png'}"), image)
        cv2.imwrite(str(tmp_path / "masks" / f"{k}.png"), mask)
    return tmp_path
