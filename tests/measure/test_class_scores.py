"""Scoring by class: every class against its own plane, all of them merged, through the same reports."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure.commands.score import main
from measure.io import InputError, Layout, parse_mask_values
from measure.io.class_masks import MERGED, examine_masks
from measure.metrics.scores import pair_scores
from measure.options import Options
from measure.scoring import score_folder
from tests.helpers.two_classes import CLASSES, TEXTS, write_two_classes

LABELS = (*CLASSES.names, MERGED)


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Two sets of color masks, and a random map of every class for each."""
    gt, pred = tmp_path / "gt", tmp_path / "pred"
    rng = np.random.default_rng(0)
    for name, count in (("A", 3), ("B", 2)):
        write_two_classes(gt / name, count=count, seed=1)
        for label in LABELS:
            (pred / label / name).mkdir(parents=True)
            for number in range(1, count + 1):
                map_ = rng.integers(256, size=(64, 80), dtype=np.uint8)
                cv2.imwrite(str(pred / label / name / f"phantom_{number:04d}.png"), map_)
    return gt, pred


def run(gt: Path, pred: Path, out: Path, *flags: str) -> int:
    return main(["--GT_root", str(gt), "--pred_root", str(pred), "--out", str(out), "--workers", "1", *flags])


def test_every_class_is_scored_against_its_own_plane(roots: tuple[Path, Path], tmp_path: Path) -> None:
    gt, pred = roots
    assert run(gt, pred, tmp_path / "out", "--classes", *TEXTS, "--no-plots") == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert list(scores["datasets"]) == [f"{label}/{name}" for label in LABELS for name in "AB"]
    assert scores["options"]["classes"] == " ".join(TEXTS) and scores["options"]["minmax"] is False
    for label in LABELS:
        for stem, found in scores["per_image"][f"{label}/A"].items():
            map_ = cv2.imread(str(pred / label / "A" / f"{stem}.png"), cv2.IMREAD_GRAYSCALE)
            mask = examine_masks(gt / "A" / "masks" / f"{stem}.png", CLASSES, [label])[0].levels
            expected = pair_scores(map_, mask, minmax=False).numbers
            assert {key: found[key] for key in expected} == expected
    red, green, merged = (scores["datasets"][f"{label}/B"]["pooledDice@0.5"] for label in LABELS)
    assert len({red, green, merged}) == 3


def test_a_mask_is_decoded_once_for_all_classes(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    read_planes = type(CLASSES).read_planes
    monkeypatch.setattr(
        type(CLASSES),
        "read_planes",
        lambda self, path, *data: (decoded.append(path), read_planes(self, path, *data))[1],
    )
    result = score_folder(*roots, options=Options(classes=CLASSES))
    assert len(decoded) == len(set(decoded)) == 5
    assert list(result["per_image"]["merged/A"]) == ["phantom_0001", "phantom_0002", "phantom_0003"]


def test_images_keep_their_order_where_a_map_of_a_class_is_missing(roots: tuple[Path, Path]) -> None:
    roots[1].joinpath(CLASSES.names[0], "A", "phantom_0001.png").unlink()
    result = score_folder(*roots, options=Options(classes=CLASSES, partial=True))
    assert list(result["per_image"][f"{CLASSES.names[0]}/A"]) == ["phantom_0002", "phantom_0003"]
    assert list(result["per_image"]["merged/A"]) == ["phantom_0001", "phantom_0002", "phantom_0003"]


@pytest.mark.slow
def test_reports_show_classes_apart(roots: tuple[Path, Path], tmp_path: Path) -> None:
    gt, pred = roots
    for folder in (gt, *(pred / label for label in LABELS)):
        shutil.rmtree(folder / "B")
    flags = ("--classes", *TEXTS, "--minmax", "--image_root", str(gt))
    assert run(gt, pred, tmp_path / "out", *flags) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "pooledDice@0.5" in (tmp_path / "out" / "scores.md").read_text().split("\n## ")[1], "in the summary"
    assert "non-neoplastic/A" in page and "merged/A" in page and " ".join(TEXTS) in page
    assert list((tmp_path / "out").glob("contact_sheet*.png"))
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["options"]["minmax"] is True


def test_a_single_set_finds_the_folders_of_its_name(roots: tuple[Path, Path]) -> None:
    gt, pred = roots
    result = score_folder(gt / "A", pred, options=Options(classes=CLASSES, minmax=False))
    assert list(result["datasets"]) == [f"{label}/A" for label in LABELS]
    either = Layout(mask_values=parse_mask_values(["255,0,0", "0,255,0"]))
    merged = score_folder(gt, pred / MERGED, options=Options(layout=either, minmax=False))["datasets"]
    assert list(merged) == ["A", "B"], "merged maps are maps like any others, and their masks those of two colors"
    assert merged["A"] == result["datasets"]["merged/A"]


def test_mistakes_with_classes_end_in_one_line(
    roots: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gt, pred = roots
    for pred_root, flags, text in (
        (pred, ("--classes", "a=1"), "give two classes or more"),
        (pred, ("--classes", "a=1", "b=2"), f"no folder {pred}/a; {pred} holds merged, neoplastic, non-neoplastic"),
        (pred, ("--classes", *TEXTS, "--protocol", "vps"), "only still images are scored by class"),
    ):
        assert run(gt, pred_root, tmp_path / "out", *flags) == 2
        error = capsys.readouterr().err
        assert text in error and len(error.splitlines()) == 1
    mask = gt / "A" / "masks" / "phantom_0002.png"
    cv2.imwrite(str(mask), np.full((64, 80, 3), (255, 0, 0), np.uint8))
    with pytest.raises(InputError, match=f"{mask}: color 0,0,255 is neither"):
        score_folder(gt, pred, options=Options(classes=CLASSES))


def test_records_of_binary_scores_stay_as_they_were() -> None:
    assert Options().record() == {"protocol": "image", "minmax": True, "border": False, "br_rate": 15, "partial": False}
