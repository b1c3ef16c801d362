"""The EndoCV2021 protocol against its formulas, written out as its tool has them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure.commands.score import main


def challenge_scores(mask: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Of one pair of binary images, 0 and 1; the tool's 1e-15 in every ratio."""
    tiny = 1e-15
    both, marked, polyp = (mask * prediction).sum(), prediction.sum(), mask.sum()
    precision, recall = (both + tiny) / (marked + tiny), (both + tiny) / (polyp + tiny)
    return {
        "Dice@0.5": (2 * both + tiny) / (marked + polyp + tiny),
        "IoU@0.5": (both + tiny) / (marked + polyp - both + tiny),
        "F2@0.5": 5 * precision * recall / (4 * precision + recall + tiny),
        "Precision@0.5": precision,
        "Recall@0.5": recall,
        "Accuracy@0.5": (mask == prediction).mean(),
    }


def test_scores_of_a_folder(tmp_path: Path, capsys) -> None:
    """Binary maps, one of them empty beside an empty mask: the challenge's score and its deviation."""
    random, images = np.random.default_rng(0), []
    for number in range(12):
        mask = np.zeros((30, 40), np.uint8)
        if number:
            cv2.circle(mask, (20, 15), 3 + number // 2, 1, -1)
        prediction = np.roll(mask, random.integers(-5, 6, 2), (0, 1))
        images.append(challenge_scores(mask.astype(np.int64), prediction.astype(np.int64)))
        for place, image in {"gt/Center1/masks": mask, "pred/Center1": prediction}.items():
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / place / f"{number}.png"), 255 * image)
    roots = ["--GT_root", str(tmp_path / "gt"), "--pred_root", str(tmp_path / "pred"), "--out", str(tmp_path / "out")]
    assert main(["--protocol", "endocv", *roots, "--workers", "1", "--no-plots"]) == 0
    assert "EndoCVScore" in capsys.readouterr().out
    result = json.loads((tmp_path / "out" / "scores.json").read_text())
    scores = result["datasets"]["Center1"]
    columns = {key: np.array([image[key] for image in images]) for key in images[0]}
    for key, values in columns.items():
        assert scores[key] == pytest.approx(values.mean(), abs=1e-12), key
    terms = ("Dice@0.5", "F2@0.5", "Precision@0.5", "Recall@0.5")
    assert scores["EndoCVScore"] == pytest.approx(np.mean([columns[key].mean() for key in terms]))
    assert scores["EndoCVDeviation"] == pytest.approx(np.mean([columns[key].std() for key in terms]))
    assert result["intervals"]["Center1"]["EndoCVScore"] and result["options"]["minmax"] is False
