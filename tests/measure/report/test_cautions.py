"""What scoring says beside its numbers, where it says it, and that no file of an earlier run contradicts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Timer

import cv2
import numpy as np
import pytest

from tests.helpers.odd_inputs import MASKS, Save, blob, palette, save, score_in, write_case


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict, str]]:
    """Score this test's folder with the given flags."""
    return partial(score_in, tmp_path, capsys)


def test_empty_masks_are_counted_with_what_maps_show_on_them(tmp_path: Path, run) -> None:
    write_case(tmp_path, lambda p, m: save(p, m if p.stem in "01" else 0 * m))
    save(tmp_path / "maps/5.png", 0 * blob(5))
    status, scores, told = run()
    assert status == 0 and scores["counts"]["gt"]["empty_masks"] == ["2", "3", "4", "5"]
    assert scores["counts"]["gt"]["marked_empty_masks"] == ["2", "3", "4"]
    assert "gt: 4 of 6 masks are empty; images without polyp outweigh the others." in told
    assert "gt: 4 masks are empty, and the maps of 3 of these images mark something at 0.5." in told
    assert "Images with an empty mask count in the means" in (tmp_path / "out/scores.md").read_text()


def test_no_polyp_at_all_is_said(tmp_path: Path, run) -> None:
    write_case(tmp_path, MASKS["black"])
    assert "gt: no mask has a polyp; are these the right masks" in run()[2]


def test_masks_that_are_mostly_polyp_are_doubted(tmp_path: Path, run) -> None:
    write_case(tmp_path, lambda p, m: save(p, 255 - m))
    status, scores, told = run()
    assert status == 0 and scores["counts"]["gt"]["large_masks"] == ["0", "1", "2", "3", "4", "5"]
    assert "gt: 6 of 6 masks are more polyp than background; are background and polyp exchanged?" in told


MAPS: dict[str, tuple[Save, str]] = {
    "zero_one": (lambda p, m: save(p, m // 255), "every map stays below level 128"),
    "constant": (lambda p, m: save(p, 0 * m + 200), "every map is one level throughout"),
    "sixteen_bit": (lambda p, m: save(p, m.astype(np.uint16)), "6 of 6 maps are 16-bit files with values below 256"),
    "alpha": (MASKS["alpha"], "6 of 6 maps are one level throughout and their alpha channel varies"),
    "heat": (lambda p, m: save(p, cv2.applyColorMap(m, cv2.COLORMAP_JET)), "6 of 6 maps are color pictures, whose"),
    "heat_jpeg": (
        lambda p, m: save(p.with_suffix(".jpg"), cv2.applyColorMap(m, cv2.COLORMAP_JET)),
        "6 of 6 maps are color pictures, whose",
    ),
    "palette": (lambda p, m: palette(m, (255, 0, 200)).save(p), "6 of 6 maps are color pictures, whose brightness"),
}


@pytest.mark.parametrize("kind", list(MAPS))
def test_maps_of_the_wrong_kind_get_a_caution(kind: str, tmp_path: Path, run) -> None:
    write_map, sentence = MAPS[kind]
    write_case(tmp_path, save, maps=write_map)
    status, scores, told = run()
    assert status == 0 and told.count("caution: ") == len(scores["cautions"]) == 1 and sentence in told


def test_a_frame_of_one_pixel_scores_no_absurd_number(tmp_path: Path, run) -> None:
    save(tmp_path / "gt/masks/0.png", np.full((1, 1), 255, np.uint8))
    save(tmp_path / "maps/0.png", np.full((1, 1), 200, np.uint8))
    status, scores, told = run()
    assert status == 0 and all(value is None or 0 <= value <= 1 for value in scores["datasets"]["gt"].values())
    assert (
        scores["datasets"]["gt"]["maxEm"] == pytest.approx(1)
        and "1 of 1 mask is less than 8 pixels high or wide" in told
    )


def normalized(path: Path, mask: np.ndarray) -> None:
    soft = cv2.GaussianBlur(mask, (0, 0), 3).astype(float)
    save(path, np.round(255 * (soft - soft.min()) / np.ptp(soft)).astype(np.uint8))


@pytest.mark.parametrize(("record", "warned"), [(None, True), (True, True), (False, False), ("odd", True)])
def test_normalized_maps_are_told_by_predict_json_or_by_their_range(record, warned: bool, tmp_path: Path, run) -> None:
    write_case(tmp_path, save, maps=normalized)
    save(tmp_path / "gt/masks/5.png", 0 * blob(5))
    if record == "odd":
        (tmp_path / "maps/predict.json").write_text("[1")
    elif record is not None:
        (tmp_path / "maps/predict.json").write_text(json.dumps({"weights": "w.pth", "options": {"minmax": record}}))
    _, scores, told = run()
    assert ("so their levels are no probabilities" in told) == warned
    assert ("they cannot count false alarms" in told) == warned
    assert ("(predict.json)" in told) == (record is True)
    if isinstance(record, bool):
        assert scores["options"]["prediction"]["options"]["minmax"] is record


def test_maps_of_two_levels_are_not_taken_for_normalized_ones(tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    assert run()[2] == ""


def test_a_rerun_leaves_nothing_of_the_run_before(tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    assert run("--all-definitions")[0] == 0
    out = tmp_path / "out"
    (out / ".scores.999999999.partial.csv").write_text("half")
    (out / "mine.txt").write_text("kept")
    for name in ("differences_gt.png", "differences_gt.pdf", "ranks_mine.png"):
        (out / name).write_bytes(b"of an earlier comparison")
    page = (out / "report.html").read_bytes()
    (tmp_path / "gt/masks/0.png").write_bytes(b"")
    assert run()[0] == 2
    assert (out / "report.html").read_bytes() == page, "a refused run leaves whole old results"
    save(tmp_path / "gt/masks/0.png", blob(0))
    assert run()[0] == 0
    assert not (out / "definitions.md").exists() and not (out / ".scores.999999999.partial.csv").exists()
    assert (out / "mine.txt").read_text() == "kept" and (out / "ranks_mine.png").exists()
    assert not (out / "differences_gt.png").exists() and not (out / "differences_gt.pdf").exists()


def test_two_runs_write_into_one_folder_one_after_the_other(tmp_path: Path, run) -> None:
    """Else the intervals of one stood beside the scores of the other."""
    write_case(tmp_path, save)
    held = f"locked_folder({str(tmp_path / 'out')!r}, doing='', advice='')"
    code = f"import sys\nfrom measure.io import locked_folder\nwith {held}: print('held', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        ended = []

        def end() -> None:
            ended.append((tmp_path / "out/scores.json").exists())
            other.stdin.close()

        Timer(1.0, end).start()
        assert run()[0] == 0
        assert ended == [False], "nothing was written while the other process held the folder"


def test_nothing_is_written_into_any_input(tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    for flags in (["--record_path", str(tmp_path / "maps/r.txt")], ["--image_root", str(tmp_path)]):
        status, _, told = run(*flags)
        assert status == 2 and "would be written to" in told


def test_cells_are_no_formulas(tmp_path: Path, run) -> None:
    for name in ("=1+1", "@sum", "-2", "+3"):
        save(tmp_path / "gt/masks" / f"{name}.png", blob(0))
        save(tmp_path / "maps" / f"{name}.png", blob(0))
    assert run("--model", "=cmd")[0] == 0
    for name in ("per_image.csv", "scores.csv"):
        rows = (tmp_path / "out" / name).read_text().splitlines()[1:]
        assert rows and all(row.startswith("'=cmd,gt,") for row in rows)
    cells = [row.split(",")[2] for row in (tmp_path / "out/per_image.csv").read_text().splitlines()[1:]]
    assert sorted(cells) == ["'+3", "'-2", "'=1+1", "'@sum"]
