"""`measure why --published`: which definition a row fits, and rows that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure import InputError, Options, score_folder
from measure.commands.compare import main
from measure.commands.published import definitions_in, impossibility, parse_published, score_definitions
from tests.helpers.report_results import result


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Soft discs of many sizes, shifted, whose maps do not use the full range."""
    root = tmp_path_factory.mktemp("published")
    for number in range(12):
        mask = np.zeros((60, 80), np.uint8)
        cv2.circle(mask, (30 + number, 30), 5 + number, 255, -1)
        soft = cv2.GaussianBlur(np.roll(mask, number % 4, 1), (0, 0), 3).astype(float) * 0.7 + 20
        for place, image in {"gt/Set/masks": mask, "pred/Set": soft.astype(np.uint8)}.items():
            (root / place).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / place / f"{number}.png"), image)
    return root


def test_rows_are_read_with_their_precision() -> None:
    dice, iou, error = parse_published("mDice=85.87, mIoU=.734,MAE=0.03")
    assert (dice.key, dice.value, dice.rounding) == ("Dice", pytest.approx(0.8587), pytest.approx(0.00005))
    assert (iou.key, iou.value, iou.rounding) == ("IoU", 0.734, pytest.approx(0.0005))
    assert (error.key, error.rounding) == ("MAE", pytest.approx(0.005))
    pixels, alarms = parse_published("HD95=112.4,FalseAlarmsPerImage=1.5")
    assert (pixels.value, pixels.rounding, alarms.value) == (112.4, pytest.approx(0.05), 1.5), "no percentages"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("mDice", "expected numbers as printed"),
        ("mDice=x", "expected numbers as printed"),
        ("mDice=.", "expected numbers as printed"),
        ("mDice=120", "between 0 and 1"),
        ("HD95=12%", "HD95 is 12 %; it is no share"),
        ("mDice=.8,Dice=.9", "names a score twice"),
    ],
)
def test_other_rows_are_refused(row: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_published(row)


def test_impossible_pairs_by_hand() -> None:
    """Of a mean Dice of 0.8 the mean IoU lies between 0.8 / 1.2 = 0.667 and 0.8."""
    assert impossibility(parse_published("mDice=.800,mIoU=.667")) == ""
    assert impossibility(parse_published("mDice=.800,mIoU=.800")) == ""
    assert impossibility(parse_published("mDice=.800,MAE=.03")) == ""
    for wrong in ("mDice=.800,mIoU=.660", "mDice=.800,mIoU=.802"):
        assert "between 0.6660 and 0.8005" in impossibility(parse_published(wrong))


def test_every_definition_is_found_again(folders: Path) -> None:
    """Printed to four decimals, the scores of each run fit their own definition; stretched and saved are told apart."""
    definitions = score_definitions(folders / "gt", folders / "pred", options=Options())["Set"]
    for minmax, words in ((True, "stretched"), (False, "as saved")):
        scores = score_folder(folders / "gt", folders / "pred", options=Options(minmax=minmax))["datasets"]["Set"]
        for title, dice, iou in (("soft", "Dice", "IoU"), ("mean over 256", "meanDice", "meanIoU")):
            row = parse_published(f"mDice={scores[dice]:.4f},mIoU={scores[iou]:.4f}")
            fitting = [definition.text for definition in definitions if definition.fits(row)]
            assert len(fitting) == 1 and fitting[0].startswith(title) and f"{words}, at the mask's" in fitting[0]


def test_scores_at_half_in_a_file_are_of_maps_as_saved() -> None:
    """Whatever a run's `minmax` was: only the other definitions take the stretched maps."""
    scores = {"Dice": 0.8, "IoU": 0.7, "Dice@0.5": 0.78, "IoU@0.5": 0.68}
    scores |= {"pooledDice@0.5": 0.82, "pooledIoU@0.5": 0.7}
    assert [definition.text for definition in definitions_in(result("Net", {"S": scores}))["S"]] == [
        "soft, no threshold; stretched, at the mask's size",
        "at 0.5, mean over images; Dice and IoU as saved, at the mask's size, other scores stretched",
        "at 0.5, pooled over pixels; Dice and IoU as saved, at the mask's size, other scores stretched",
    ]


def test_classes_and_sizes_by_a_plain_count(folders: Path) -> None:
    """Polyp and background at 0.5 of maps as saved, over images and pooled; the same resized to 352 x 352."""
    texts = {d.text: d.scores for d in score_definitions(folders / "gt", folders / "pred", options=Options())["Set"]}
    for size, words in ((None, "at the mask's size"), (352, "at 352 x 352")):
        per_image, totals = [], np.zeros(4)
        for number in range(12):
            mask, map_ = (
                cv2.imread(str(folders / place / f"{number}.png"), 0) for place in ("gt/Set/masks", "pred/Set")
            )
            if size:
                mask, map_ = cv2.resize(mask, (size, size)), cv2.resize(map_, (size, size))
            b, g = map_ >= 128, mask > 128
            counts = np.array([(b & g).sum(), (b & ~g).sum(), (~b & g).sum(), (~b & ~g).sum()], float)
            per_image.append(both_dice(counts))
            totals += counts
        name = f"at 0.5, mean of polyp and background, {{}}; as saved, {words}"
        assert texts[name.format("over images")]["Dice"] == pytest.approx(np.mean(per_image))
        assert texts[name.format("pooled over pixels")]["Dice"] == pytest.approx(both_dice(totals))


def both_dice(counts: np.ndarray) -> float:
    tp, fp, fn, tn = counts
    return (2 * tp / (2 * tp + fp + fn) + 2 * tn / (2 * tn + fp + fn)) / 2


def test_the_command_line(folders: Path, tmp_path: Path, capsys) -> None:
    roots = ["--GT_root", str(folders / "gt"), "--pred_root", str(folders / "pred")]
    scores = score_folder(folders / "gt", folders / "pred")["datasets"]["Set"]
    assert main(["--published", f"mDice={scores['maxDice']:.4f},MAE={scores['MAE']:.4f}", *roots, "--top", "3"]) == 0
    told = capsys.readouterr().out
    assert "as printed this is: best of 256 thresholds; stretched, at the mask's size" in told and "fits" in told
    assert main(["--published", f"mDice={scores['Dice'] + 0.003:.4f}", *roots]) == 0
    assert "other images, as a split of another size has, could give it" in capsys.readouterr().out
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(result("Net", {"S": {"Dice": 0.8, "IoU": 0.7, "meanDice": 0.75, "meanIoU": 0.66}})))
    assert main(["--published", "Dice=.80,IoU=.66", str(file)]) == 0
    told = capsys.readouterr().out
    assert "no definition gives the row as printed" in told and "IoU alone fits: mean over 256 thresholds" in told
    for words, said in (
        (["--published", "Dice=.8", str(file), str(file)], "takes one scores.json"),
        (["--published", "Dice=.8", str(file), "--dataset", "T"], "no data set is called T; there are S"),
        (["--published", "nothing", str(file)], "expected numbers as printed"),
        (["--published", "foo=.5", str(file)], "no definition has all of foo; known are"),
        ([str(file)], "1 file was given; give two"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
