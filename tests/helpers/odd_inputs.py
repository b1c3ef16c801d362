"""Small folders of masks and maps of every odd kind, and scoring them from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from measure.commands.score import main

COUNT = 6


def blob(number: int) -> np.ndarray:
    mask = np.zeros((64, 96), np.uint8)
    return cv2.ellipse(mask, (25, 20 + number), (14, 9), 0, 0, 360, 255, -1)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def tagged(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def palette(mask: np.ndarray, second: tuple[int, int, int] = (128, 0, 0)) -> Image.Image:
    image = Image.fromarray(mask // 255)
    image.putpalette([0, 0, 0, *second] + [0] * 762)
    return image


Save = Callable[[Path, np.ndarray], None]
MASKS: dict[str, Save] = {
    "zero_one": lambda p, m: save(p, m // 255),
    "zero_one_rgb": lambda p, m: save(p, np.dstack([m // 255] * 3)),
    "sixteen_bit_zero_one": lambda p, m: save(p, (m // 255).astype(np.uint16)),
    "sixteen_bit": lambda p, m: save(p, m.astype(np.uint16) * 257),
    "one_bit": lambda p, m: Image.fromarray(m).convert("1").save(p),
    "grey_rgb": lambda p, m: save(p, np.dstack([m] * 3)),
    "grey_with_alpha": lambda p, m: save(p, np.dstack([m, m, m, 255 - m])),
    "grey_palette": lambda p, m: palette(m, (255, 255, 255)).save(p),
    "palette": lambda p, m: palette(m).save(p),
    "red": lambda p, m: save(p, np.dstack([0 * m, 0 * m, m])),
    "half": lambda p, m: save(p, m // 2),
    "at_128": lambda p, m: save(p, (m > 0).astype(np.uint8) * 128),
    "sixteen_bit_255": lambda p, m: save(p, m.astype(np.uint16)),
    "sixteen_bit_1000": lambda p, m: save(p, (m // 255).astype(np.uint16) * 1000),
    "sixteen_bit_below": lambda p, m: save(p, (m // 255).astype(np.uint16) * (129 * 256 - 1)),
    "alpha": lambda p, m: save(p, np.dstack([m * 0 + 255] * 3 + [m])),
    "black": lambda p, m: save(p, 0 * m),
    "mixed": lambda p, m: save(p, m // 255 if p.stem == "0" else m),
}


def score_in(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict, str]:
    """Score `<root>/gt` against `<root>/maps` into `<root>/out`: status, scores, and what was told on stderr."""
    out, before = root / "out", (root / "out").exists()
    folders = ["--GT_root", str(root / "gt"), "--pred_root", str(root / "maps"), "--out", str(out)]
    status = main([*folders, "--no-plots", "--workers", "1", *flags])
    told = capsys.readouterr().err
    assert status in (0, 2) and "Traceback" not in told
    assert status == 0 or out.exists() == before, "nothing is left of a refused run"
    return status, json.loads((out / "scores.json").read_text()) if status == 0 else {}, told


def write_case(root: Path, mask: Save, *, maps: Save = save, suffix: str = ".png") -> None:
    for number in range(COUNT):
        for folder in ("gt/masks", "gt/images", "maps"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        mask(root / "gt/masks" / f"{number}{suffix}", blob(number))
        maps(root / "maps" / f"{number}.png", blob(number))
