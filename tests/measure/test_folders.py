"""Scoring folders as users have them: layouts, mistakes, odd files, several methods, processes that die."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure import InputError, Options, score_folder
from measure.aggregation import SIZE_CLASSES, size_class
from measure.commands.benchmark import measure_times, write_smooth_pairs
from measure.commands.score import main
from measure.io.atomic_write import write_json
from measure.parallel import map_in_order

ROOT = Path(__file__).parents[2]
MASK = np.zeros((40, 50), np.uint8)
MASK[10:30, 15:40] = 255


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def soft(seed: int, shape: tuple[int, int] = MASK.shape) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape) * 12
    return np.clip(cv2.GaussianBlur(cv2.resize(MASK, shape[::-1]), (0, 0), 3) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Two data sets of three images, and their maps."""
    for name in ("CVC-300", "Kväsir 2"):
        for number in range(1, 4):
            save(tmp_path / "gt" / name / "masks" / f"{number}.png", MASK)
            save(tmp_path / "pred" / name / f"{number}.png", soft(number))
    return tmp_path / "gt", tmp_path / "pred"


def run(roots: tuple[Path, Path], out: Path, *more: str) -> int:
    folders = ["--GT_root", str(roots[0]), "--pred_root", str(roots[1])]
    return main([*folders, "--out", str(out), "--no-plots", "--workers", "1", *more])


def test_maps_of_one_set_beside_a_folder_of_sets_are_told(roots: tuple[Path, Path], capsys) -> None:
    gt, pred = roots
    assert run((gt, pred / "CVC-300"), pred.parent / "out") == 2
    assert capsys.readouterr().err == (
        f"error: {pred / 'CVC-300'} holds images itself and no folder called CVC-300, Kväsir 2, as {gt} has; if they "
        f"are the maps of one of these sets, name it: --GT_root {gt / 'CVC-300'}\n"
    )
    assert run((gt / "CVC-300", pred / "CVC-300"), pred.parent / "out") == 0


def test_every_layout_gives_the_same_scores(roots: tuple[Path, Path]) -> None:
    gt, pred = roots
    nested = score_folder(gt, pred)["datasets"]
    assert list(nested) == ["CVC-300", "Kväsir 2"]
    for masks in (gt / "CVC-300", gt / "CVC-300" / "masks"):
        assert score_folder(masks, pred / "CVC-300")["datasets"] == {"CVC-300": nested["CVC-300"]}


def test_a_missing_map_is_an_error_unless_partial(roots: tuple[Path, Path]) -> None:
    (roots[1] / "CVC-300" / "2.png").unlink()
    save(roots[1] / "CVC-300" / "x.png", MASK)
    with pytest.raises(InputError, match="2 of 3 maps found; 1 missing, first missing: 2; 1 extra, first extra: x"):
        score_folder(*roots)
    result = score_folder(*roots, options=Options(partial=True))
    counts = result["counts"]["CVC-300"]
    assert (counts["images"], counts["missing_maps"], counts["extra_maps"]) == (2, ["2"], ["x"])
    roots[0].joinpath("CVC-300").rename(roots[0].parent / "elsewhere")
    with pytest.raises(InputError, match="1 folder of maps in .* has no ground truth: CVC-300"):
        score_folder(*roots)
    assert result["options"]["partial"] is True


def test_a_missing_data_set_under_partial_is_recorded(roots: tuple[Path, Path]) -> None:
    for path in (roots[1] / "CVC-300").iterdir():
        path.unlink()
    (roots[1] / "CVC-300").rmdir()
    with pytest.raises(InputError, match="no folder .*CVC-300"):
        score_folder(*roots)
    result = score_folder(*roots, options=Options(partial=True))
    assert list(result["datasets"]) == ["Kväsir 2"]
    assert result["counts"]["CVC-300"]["missing_maps"] == ["1", "2", "3"]


def test_unreadable_files_are_all_named(roots: tuple[Path, Path]) -> None:
    (roots[1] / "CVC-300" / "1.png").write_bytes(b"")
    cut = roots[0] / "CVC-300" / "masks" / "3.png"
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(
        InputError, match=r"2 of 6 pairs cannot be scored: .*1\.png: the file is empty; .*3\.png: the PNG"
    ):
        score_folder(*roots)
    counts = score_folder(*roots, options=Options(partial=True))["counts"]["CVC-300"]
    assert (counts["images"], counts["unreadable"]) == (1, ["1", "3"])


def test_a_map_of_another_size_is_resized_in_memory_only(roots: tuple[Path, Path]) -> None:
    path = roots[1] / "CVC-300" / "1.png"
    save(path, soft(1, (20, 25)))
    before = path.read_bytes()
    result = score_folder(*roots)
    assert result["counts"]["CVC-300"]["resized_maps"] == ["1"]
    save(path, cv2.resize(soft(1, (20, 25)), MASK.shape[::-1]))
    assert score_folder(*roots)["per_image"]["CVC-300"]["1"] == result["per_image"]["CVC-300"]["1"]
    assert before != path.read_bytes()


def test_grey_and_one_level_masks_are_scored_and_counted(roots: tuple[Path, Path]) -> None:
    masks = roots[0] / "CVC-300" / "masks"
    save(masks / "1.png", np.where(MASK > 0, 250, 7).astype(np.uint8) - (np.arange(50) % 2).astype(np.uint8))
    save(masks / "2.png", np.zeros_like(MASK))
    counts = score_folder(*roots, options=Options(border=True))["counts"]["CVC-300"]
    assert counts["grey_masks"] == ["1"]
    assert counts["one_level_masks"] == counts["no_contour"] == ["2"]
    assert counts["images"] == 3


def test_minmax_changes_the_normalized_scores_alone(roots: tuple[Path, Path]) -> None:
    save(roots[1] / "CVC-300" / "1.png", soft(1) // 2)
    on, off = (score_folder(*roots, options=Options(minmax=value))["per_image"]["CVC-300"]["1"] for value in (1, 0))
    assert on["Dice"] > off["Dice"] + 0.1
    assert all(on[key] == off[key] for key in on if "@" in key)


@pytest.mark.parametrize(
    ("share", "name"),
    [(0.0, "no polyp"), (1e-6, "small"), (0.05, "medium"), (0.2, "medium"), (0.2001, "large"), (1.0, "large")],
)
def test_bounds_of_the_size_classes(share: float, name: str) -> None:
    assert size_class(share).startswith(name)
    assert share == 0.0 or size_class(share) in SIZE_CLASSES


def test_pooled_scores_and_sizes_by_hand(tmp_path: Path) -> None:
    """TP, FP, FN, TN: (4, 0, 0, 96) and (10, 10, 20, 60)."""
    small, large = np.zeros((2, 10, 10), np.uint8)
    small[:2, :2], large[:3] = 255, 255
    other = np.zeros_like(large)
    other[2:4] = 255
    for name, mask, prediction in (("s", small, small), ("l", large, other)):
        save(tmp_path / "gt" / f"{name}.png", mask)
        save(tmp_path / "pred" / f"{name}.png", prediction)
    result = score_folder(tmp_path / "gt", tmp_path / "pred")
    scores = result["datasets"]["gt"]
    assert scores["pooledDice@0.5"] == pytest.approx(28 / (28 + 10 + 20))
    assert scores["pooledAccuracy@0.5"] == pytest.approx(170 / 200)
    assert scores["Dice@0.5"] == pytest.approx((1 + 20 / 50) / 2)
    assert scores["F2@0.5"] == pytest.approx((1 + 5 * 0.5 / 3 / (2 + 1 / 3)) / 2)
    by_size = result["by_size"]["gt"]
    assert by_size["small (under 5 %)"]["Dice@0.5"] == pytest.approx(1)
    assert by_size["large (over 20 %)"]["Dice@0.5"] == pytest.approx(0.4)


def test_vps_cases_weigh_alike_and_short_ones_are_refused(tmp_path: Path) -> None:
    gt, pred = tmp_path / "gt" / "TestEasyDataset" / "Seen" / "GT", tmp_path / "pred" / "TestEasyDataset" / "Seen"
    for case, frames in (("case1", 4), ("case2", 8)):
        for number in range(1, frames + 1):
            save(gt / case / f"f{number}.png", MASK)
            if 1 < number < frames:
                save(pred / case / f"f{number}.png", MASK if case == "case1" else 255 - MASK)
    result = score_folder(tmp_path / "gt", tmp_path / "pred", options=Options("vps"))
    scores, cases = result["datasets"]["TestEasyDataset/Seen"], result["per_case"]["TestEasyDataset/Seen"]
    assert scores["MAE"] == pytest.approx(0.5)  # (0 + 1) / 2, although six of eight frames are inverted
    assert [case["images"] for case in cases.values()] == [2, 6]
    assert result["counts"]["TestEasyDataset/Seen"]["dropped_frames"] == [
        *("case1/f1", "case1/f4", "case2/f1", "case2/f8"),
    ]
    save(gt / "case3" / "f1.png", MASK)
    with pytest.raises(InputError, match="case3 has 1 frame, at least 3.*--partial leaves such cases out"):
        score_folder(tmp_path / "gt", tmp_path / "pred", options=Options("vps"))
    partial = score_folder(tmp_path / "gt", tmp_path / "pred", options=Options("vps", partial=True))
    assert partial["datasets"] == result["datasets"]
    assert partial["counts"]["TestEasyDataset/Seen"]["short_cases"] == ["case3"]


def test_the_split_to_train_on_is_passed_over(tmp_path: Path) -> None:
    for split in ("TrainDataset", "TestEasyDataset/Seen"):
        for number in range(3):
            save(tmp_path / "gt" / split / "GT" / "case1" / f"{number}.png", MASK)
    save(tmp_path / "pred" / "TestEasyDataset" / "Seen" / "case1" / "1.png", MASK)
    scores = score_folder(tmp_path / "gt", tmp_path / "pred", options=Options("vps"))["datasets"]
    assert list(scores) == ["TestEasyDataset/Seen"] and scores["TestEasyDataset/Seen"]["maxDice"] == 1.0


def test_several_methods_in_one_call(roots: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    for path in roots[1].rglob("*.png"):
        save(other / path.relative_to(roots[1]), MASK)
    assert run(roots, tmp_path / "out", str(other)) == 2  # a stray argument
    folders = ["--GT_root", str(roots[0]), "--pred_root", str(roots[1]), str(other), "--model", "Ours", "Truth"]
    assert main([*folders, "--out", str(tmp_path / "out"), "--no-plots", "--workers", "1"]) == 0
    inside = ["--out", str(tmp_path), "--model", "pred", "other"]  # would put scores.json among the maps
    assert main([*folders, "--no-plots", "--workers", "1", *inside]) == 2
    assert not list(roots[1].glob("*.json"))
    dice = {name: json.loads((tmp_path / "out" / name / "scores.json").read_text()) for name in ("Ours", "Truth")}
    assert [each["format_version"] for each in dice.values()] == [1, 1]
    assert dice["Truth"]["datasets"]["CVC-300"]["Dice"] == 1.0 > dice["Ours"]["datasets"]["CVC-300"]["Dice"]
    assert "**1.000**" in (tmp_path / "out" / "scores.md").read_text()


def test_mistakes_end_with_one_line_and_status_2(
    roots: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gt, pred = roots
    for folders, more, text in (
        ((gt / "nope", pred), (), "no folder"),
        ((gt, pred / "nope"), (), "holds CVC-300, Kväsir 2"),
        ((gt, gt), (), "0 of 3 maps found"),
        ((gt, pred), ("--protocol", "vps"), "no split under"),
        ((gt, pred), ("--br_rate", "0"), "--br_rate 0 was given; it must be at least 1"),
        ((gt, pred), ("--out", str(pred / "scores")), "and would be written to; choose another place"),
        ((gt, pred), ("--record_path", str(gt / "record.txt")), "and would be written to; choose another place"),
        ((gt, pred), ("--model", "a/b"), "cannot be that of a folder"),
        ((gt / "CVC-300", gt), (), "0 of 3 maps found"),
        ((gt, pred), ("--workers", "0"), "--workers"),
    ):
        assert run(folders, tmp_path / "out", *more) == 2
        error = capsys.readouterr().err
        assert text in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()
    assert not (pred / "scores").exists()


@pytest.mark.parametrize(
    ("folders", "names", "message"),
    [
        (
            ["a/maps", "a/maps"],
            [],
            "{0}/a/maps and {0}/a/maps cannot be told apart by their names; name",
        ),
        (["a/maps", "b/maps"], ["x", "x"], "the methods in {0}/a/maps and {0}/b/maps are both called x; name"),
        (["a/maps", "b/maps"], ["x", "y", "z"], "3 names in --model for 2 folders in --pred_root; give one for each"),
    ],
)
def test_methods_of_one_name_are_told_by_their_folders(folders, names, message, tmp_path, capsys) -> None:
    words = ["--GT_root", str(tmp_path), "--pred_root", *(str(tmp_path / folder) for folder in folders)]
    assert main([*words, *(["--model", *names] if names else [])]) == 2
    assert message.format(tmp_path) in capsys.readouterr().err


def test_nan_is_null_in_json(tmp_path: Path) -> None:
    write_json({"a": [math.nan, 0.1], "b": {"ü": math.nan}}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == {"a": [None, 0.1], "b": {"ü": None}}


def double(number: int) -> int:
    if number == 1001:
        raise InputError("1001 is bad")
    if number == 1002:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    return 2 * number


def test_processes_return_everything_in_order() -> None:
    assert list(map_in_order(double, range(100), workers=3)) == [(n, 2 * n) for n in range(100)]


@pytest.mark.parametrize(("last", "text"), [(1001, "1001 is bad"), (1002, "a scoring process died")])
def test_what_a_process_raises_and_its_death_arrive(last: int, text: str) -> None:
    with pytest.raises(InputError, match=text):
        list(map_in_order(double, [*range(60), last], workers=2))


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_and_shapes_end_in_scores_or_a_sentence(seed: int, tmp_path: Path) -> None:
    """Random images whose files are cut, flipped or replaced here and there: nothing but scores or an InputError."""
    random = np.random.default_rng(seed)
    for number in range(40):
        shape = tuple(random.integers(1, 30, 2))
        for root in ("gt", "pred"):
            suffix = str(random.choice([".png", ".jpg", ".bmp", ".tiff"]))
            channels = [int(random.choice([1, 3]))]
            image = random.integers(0, 256, [*shape, *channels]).astype(np.uint8)
            data = bytearray(cv2.imencode(suffix, image)[1].tobytes())
            kind = random.integers(6)
            if kind == 0:
                data = data[: random.integers(len(data))]
            elif kind == 1:
                for place in random.integers(0, len(data), 4):
                    data[place] = random.integers(256)
            elif kind == 2:
                data = bytearray(random.bytes(int(random.integers(200))))
            (tmp_path / root).mkdir(exist_ok=True)
            (tmp_path / root / f"{number}{suffix}").write_bytes(data)
    result = score_folder(tmp_path / "gt", tmp_path / "pred", options=Options(border=True, partial=True))
    counts = result["counts"]["gt"]
    assert counts["images"] + len(counts["unreadable"]) == 40
    assert 0 < counts["images"] < 40


def test_scoring_needs_neither_torch_nor_scipy() -> None:
    code = "import sys, measure.__main__ as m; m.main(['--help'])\n"
    code += "print([n for n in ('torch', 'scipy', 'matplotlib', 'jinja2') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "--GT_root" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_the_benchmark_times_the_whole_path(tmp_path: Path) -> None:
    pairs = write_smooth_pairs(tmp_path, shape=(64, 80), count=2)
    timings = measure_times(pairs, Options(border=True), repeats=1)
    assert [timing.name.split()[0] for timing in timings[:3]] == ["decoding", "measure,", "reference"]
    assert timings[0].ratio == 1.0 < timings[1].ratio < timings[2].ratio
    pairs[1].mask.write_bytes(pairs[1].mask.read_bytes()[:50])
    with pytest.raises(InputError, match="1 of 2 pairs cannot be scored: cannot read"):
        measure_times(pairs, Options(), repeats=1)


def test_the_benchmarks_ratios_are_of_the_same_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding takes a second of each of three pairs, ten of the others; ours twice, the formulas 100 times as long."""
    pairs = write_smooth_pairs(tmp_path, shape=(16, 16), count=9)
    seconds = {pair: 1.0 if place < 3 else 10.0 for place, pair in enumerate(pairs)}
    factors = {"_decode": 1, "<lambda>": 2}

    def spent(way, pair) -> float:
        return seconds[pair] * (100 if "_reference" in way.__code__.co_names else factors[way.__name__])

    monkeypatch.setattr("measure.commands.benchmark._seconds", spent)
    monkeypatch.setattr("measure.commands.benchmark._py_sod_metrics", lambda: None)
    assert [timing.ratio for timing in measure_times(pairs, Options())] == [1, 2, 100]
