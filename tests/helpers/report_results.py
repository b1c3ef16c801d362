"""Result dictionaries for the tests of reports: written by hand for tables, scored on drawn discs for pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from measure import Options, score_folder


def result(method: str, scores: dict[str, dict], *, protocol: str = "image", **parts) -> dict:
    """A result of the given data sets' scores; `parts` fills in or replaces the other keys."""
    base = {
        "format_version": 1,
        "protocol": protocol,
        "method": method,
        "options": {"minmax": True, "br_rate": 15},
        "versions": {"numpy": "2.0"},
        "seconds": 1.5,
        "counts": {name: {"images": 4} for name in scores},
    }
    return base | {"datasets": scores} | parts


def scored_discs(root: Path, methods: tuple[str, ...] = ("Good", "Poor"), *, images: int = 7) -> list[dict]:
    """Score methods on discs drawn under `root`: the n-th method's maps are the masks shifted by 4 n + 1 pixels."""
    for number in range(images):
        mask = np.zeros((48, 64), np.uint8)
        cv2.circle(mask, (20 + 3 * number, 24), 4 + number, 255, -1)
        _write(root / "gt" / "Set A" / "masks" / f"{number}.png", mask)
        _write(root / "gt" / "Set A" / "images" / f"{number}.png", np.dstack([mask // 2 + 60] * 3))
        for place, method in enumerate(methods):
            _write(root / method / "Set A" / f"{number}.png", np.roll(mask, 4 * place + 1, axis=1))
    return [score_folder(root / "gt", root / method, options=Options(), method=method) for method in methods]


def scored_video(root: Path, *, cases: int = 2) -> dict:
    """Score one method on a split of short cases drawn under `root`."""
    for case in range(cases):
        for frame in range(5):
            mask = np.zeros((40, 40), np.uint8)
            cv2.circle(mask, (12 + 3 * frame, 20), 6 + case, 255, -1)
            name = Path(f"case{case}_1", f"image{frame:04d}.png")
            _write(root / "gt" / "Easy" / "Seen" / "GT" / name, mask)
            _write(root / "gt" / "Easy" / "Seen" / "Frame" / name, np.dstack([mask] * 3))
            _write(root / "Maps" / "Easy" / "Seen" / name, np.roll(mask, 2, axis=0))
    return score_folder(root / "gt", root / "Maps", options=Options(protocol="vps"))


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
