"""Several methods through the command line: intervals, comparison, groups, marks, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure.commands.score import main
from measure.report.certainty import comparison_tables
from measure.report.figures.forest import comparison_figures
from measure.report.tables import BEST, PLAIN, SECOND, Block, Row, column_of
from measure.statistics import Bootstrap, compare_methods, told_apart
from tests.helpers.report_results import result


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Twelve discs in six sequences, and maps of three methods: nearly right, nearly the same, far off."""
    random = np.random.default_rng(0)
    for number in range(12):
        mask = np.zeros((40, 48), np.uint8)
        cv2.circle(mask, (16 + number, 20), 8, 255, -1)
        maps = {"A": np.roll(mask, random.integers(-1, 2), 1), "B": np.roll(mask, random.integers(-1, 2), 0)}
        maps |= {"C": np.roll(mask, 7 + number % 3, 1)}
        for place, image in {"gt/Set/masks": mask, **{f"{name}/Set": map_ for name, map_ in maps.items()}}.items():
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / place / f"seq{number // 2}_{number}.png"), image)
    roots = ["--GT_root", str(tmp_path / "gt"), "--pred_root", *(str(tmp_path / name) for name in "ABC")]
    return [*roots, "--out", str(tmp_path / "out"), "--workers", "1", "--resamples", "500", "--no-plots"]


def test_files_of_a_comparison(folders, tmp_path, capsys) -> None:
    assert main(folders) == 0
    out = tmp_path / "out"
    scores = json.loads((out / "A" / "scores.json").read_text())
    low, high = scores["intervals"]["Set"]["Dice"]
    assert low <= scores["datasets"]["Set"]["Dice"] <= high
    assert scores["units"] == {"Set": {"kind": "images", "number": 12}}
    assert scores["quartiles"]["Set"]["Dice"][1] == pytest.approx(
        np.median([image["Dice"] for image in scores["per_image"]["Set"].values()])
    )
    comparison = json.loads((out / "comparison.json").read_text())
    pair = next(p for p in comparison["pairs"] if (p["a"], p["b"], p["metric"]) == ("A", "C", "Dice"))
    assert pair["difference"] > 0 and pair["interval"][0] > 0 and pair["p"] <= pair["p_holm"] <= 1
    assert (pair["wins"], pair["losses"], pair["units"]) == (12, 0, 12)
    error = next(p for p in comparison["pairs"] if (p["a"], p["b"], p["metric"]) == ("A", "C", "MAE"))
    assert error["difference"] < 0 and (error["wins"], error["losses"]) == (12, 0), "the lower error is the better one"
    assert comparison["ranks"]["Set"]["Dice"]["methods"]["C"]["rank"] == 3
    assert not [metric for metric in comparison["metrics"] if metric.startswith("max")]
    with (out / "intervals.csv").open() as file:
        rows = {(row["method"], row["metric"]): row for row in csv.DictReader(file)}
    assert float(rows["A", "Dice"]["low"]) == low
    text = (out / "scores.md").read_text()
    assert "Threshold of the greatest mean Dice, of min-max normalized maps" in text
    assert "Set, differences on 12 images" in text and "A better" in text and "not told apart" in text
    page = (out / "report.html").read_text()
    assert 'id="certainty"' in page and 'id="comparison"' in page
    capsys.readouterr()


def test_only_what_is_certain_is_marked(folders, tmp_path, capsys) -> None:
    """A and B are not told apart, so neither is bold; without the flag one of them is."""
    assert main([*folders, "--mark", "certain"]) == 0
    assert "**" not in capsys.readouterr().out
    assert "**" not in (tmp_path / "out" / "scores.md").read_text(), "polyp sizes are not tested"
    table = (tmp_path / "out" / "scores.tex").read_text()
    assert "textbf" not in table and "% Best in bold where the 95 % intervals of its differences" in table
    assert main(folders) == 0
    assert "**" in capsys.readouterr().out
    by_size = (tmp_path / "out" / "scores.md").read_text().partition("## By polyp size")[2]
    assert "**" in by_size
    assert "% Best in bold, second best underlined" in (tmp_path / "out" / "scores.tex").read_text()


def test_methods_are_compared_on_the_images_that_all_of_them_have(folders, tmp_path, capsys) -> None:
    """C lacks one image of twelve: A and B are compared on the other eleven too, and the table says so."""
    (tmp_path / "C/Set/seq0_0.png").unlink()
    assert main([*folders, "--partial"]) == 0
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert comparison["units"] == {"Set": {"kind": "images", "number": 11, "left_out": 1}}
    images = [json.loads((tmp_path / "out" / m / "scores.json").read_text())["per_image"]["Set"] for m in "AB"]
    dice = [[scores["Dice"] for stem, scores in stems.items() if stem != "seq0_0"] for stems in images]
    pair = next(p for p in comparison["pairs"] if (p["a"], p["b"], p["metric"]) == ("A", "B", "Dice"))
    assert pair["difference"] == pytest.approx(np.mean(dice[0]) - np.mean(dice[1])) and pair["units"] == 11
    text = (tmp_path / "out" / "scores.md").read_text()
    assert "### Set, differences on 11 images, without 1 that a method lacks" in text
    assert "### Set, mean and 95 % interval (11 to 12 images)" in text
    said = "caution: Set: the methods were not scored on the same images (A on 12, B on 12, C on 11), so that"
    assert said in capsys.readouterr().err


def test_groups_are_resampled_as_a_whole(folders, tmp_path, capsys) -> None:
    assert main([*folders, "--group_pattern", r"^seq\d+"]) == 0
    scores = json.loads((tmp_path / "out" / "A" / "scores.json").read_text())
    assert scores["units"] == {"Set": {"kind": "groups", "number": 6}}
    assert scores["intervals"] == {"Set": {}}
    assert "Set: 6 groups are too few for intervals or tests" in capsys.readouterr().err
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert {pair[key] for pair in comparison["pairs"] for key in ("interval", "p", "p_holm")} == {None}
    assert comparison["ranks"] == {}, "six groups tell no more of ranks than of differences"
    assert main([*folders, "--group_pattern", "nowhere"]) == 0
    assert "Set: no two of its 12 names share a group" in capsys.readouterr().err
    assert main([*folders, "--group_pattern", r"^seq([0-4]?)"]) == 0
    told = capsys.readouterr().err
    assert "Set: 2 names are in no group and count as if they were independent" in told, "an empty find is no group"
    groups = tmp_path / "groups.csv"
    groups.write_text("".join(f"seq{n // 2}_{n}.png,{'first' if n < 2 else n}\n" for n in range(12)))
    assert main([*folders, "--groups", str(groups)]) == 0
    scores = json.loads((tmp_path / "out" / "A" / "scores.json").read_text())
    assert scores["units"]["Set"] == {"kind": "groups", "number": 11} and scores["intervals"]["Set"]["Dice"]


def test_a_file_of_groups_is_of_names_in_whatever_set(folders, tmp_path, capsys) -> None:
    """Numbers of ClinicDB's sequences are names of other sets' images too."""
    for place in ("gt/Set/masks", "A/Set", "B/Set", "C/Set"):
        shutil.copytree(tmp_path / place, tmp_path / place.replace("Set", "Other"))
    for place in ("gt/Other/masks", "A/Other", "B/Other", "C/Other"):
        (tmp_path / place / "seq0_0.png").rename(tmp_path / place / "alone.png")
    groups = tmp_path / "groups.csv"
    groups.write_text("seq0_1,a\nseq1_2,a\n")
    assert main([*folders, "--groups", str(groups)]) == 0
    told = capsys.readouterr().err
    assert "Set: 2 names are in other data sets too, where --groups gives them the same groups" in told
    assert main([*folders, "--group_pattern", "^seq0"]) == 0
    assert "in other data sets" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--groups", "nowhere.csv"], "cannot read nowhere.csv"),
        (["--group_pattern", "("], "is no regular expression"),
        (["--group_pattern", "a", "--groups", "b"], "not allowed with"),
        (["--no-intervals", "--group_pattern", "a"], "--group_pattern a was given without --intervals"),
        (["--resamples", "10"], "--resamples 10 was given; it must be at least 100"),
        (["--mark", "maybe"], "invalid choice"),
        (
            ["--mark", "certain", "--no-intervals"],
            "--mark certain was given with --no-intervals; it marks by intervals",
        ),
    ],
)
def test_mistakes(folders, tmp_path, capsys, flags, said) -> None:
    assert main([*folders, *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_intervals_leaves_everything_out(folders, tmp_path, capsys) -> None:
    assert main([*folders, "--no-intervals"]) == 0
    scores = json.loads((tmp_path / "out" / "A" / "scores.json").read_text())
    assert not {"intervals", "quartiles", "units"} & scores.keys() and "resamples" not in scores["options"]
    assert not (tmp_path / "out" / "comparison.json").exists()
    assert "Certainty" not in (tmp_path / "out" / "scores.md").read_text()
    capsys.readouterr()


def test_figures_of_a_comparison() -> None:
    """A forest plot with a row per pair, and ranks with a bar that joins what is not told apart."""
    methods = [runs("A", 0.0), runs("B", 0.1), runs("C", 0.1001)]
    found = compare_methods(methods, {"Dice": True}, bootstrap=Bootstrap(200))
    figures = {stem: figure for _, _, stem, figure in comparison_figures(methods, found)}
    assert figures.keys() == {"differences_S", "ranks_S"}
    forest, ranks = (figure.axes[0] for figure in figures.values())
    assert [text.get_text() for text in forest.get_yticklabels()] == ["B - C", "A - C", "A - B"]
    assert [text.get_text() for text in ranks.get_yticklabels()] == ["C", "B", "A"]


def runs(method: str, shift: float) -> dict:
    dice = np.linspace(0.3, 0.8, 15) + shift
    return result(
        method, {"S": {"Dice": dice.mean()}}, per_image={"S": {str(i): {"Dice": d} for i, d in enumerate(dice)}}
    )


def test_seeds_of_a_method_are_told_from_methods() -> None:
    """Seeds .00 and .02 apart of A, B one tenth above: of single runs nearly all variance lies between the methods."""
    found = compare_methods(
        [runs("A@0", 0.0), runs("A@1", 0.02), runs("B@0", 0.1), runs("B@1", 0.12)],
        {"Dice": True, "HD95": False},
        bootstrap=Bootstrap(200),
    )
    seeds = found["seeds"]["S"]["Dice"]
    assert seeds["means"] == pytest.approx({"A": 0.56, "B": 0.66})
    assert seeds["deviations"] == pytest.approx({"A": 0.02 / 2**0.5, "B": 0.02 / 2**0.5})
    assert seeds["seed_share"] == pytest.approx(0.0002 / (0.0002 + (0.01 - 0.0002) / 2))
    assert found["metrics"] == ["Dice"]
    assert any("over seeds" in table.caption for table in comparison_tables(found))


def test_marks_fall_away_where_a_difference_is_not_certain() -> None:
    rows = (Row("A", (0.9,)), Row("B", (0.8,)), Row("C", (0.5,)))
    columns = [column_of("Dice")]

    def marks(beaten):
        return [row[0] for row in Block("S", rows, {"Dice": beaten}).marks(columns)]

    assert marks({"A": ["B", "C"], "B": ["A", "C"], "C": ["A", "B"]}) == [BEST, SECOND, PLAIN]
    assert marks({"A": ["B", "C"], "B": ["A"], "C": ["A"]}) == [BEST, PLAIN, PLAIN]
    assert marks({"A": ["C"], "B": ["C"], "C": ["A", "B"]}) == [PLAIN, PLAIN, PLAIN]
    pair = {"a": "A", "b": "B", "dataset": "S", "metric": "Dice", "interval": [0.1, 0.2]}
    assert told_apart({"pairs": [pair, {**pair, "b": "C", "interval": [-0.1, 0.2]}]}, "A") == {"S": {"Dice": ["B"]}}


def test_a_verdict_says_whether_it_outlives_the_correction() -> None:
    """An interval that leaves out 0 beside a corrected p of 0.2 would read as a contradiction."""
    pair = {"a": "A", "b": "B", "dataset": "S", "metric": "MAE", "difference": -0.01, "interval": [-0.02, -0.001]}
    pair |= {"p": 0.02, "wins": 41, "losses": 34, "units": 75}
    found = {"metrics": ["MAE"], "units": {"S": {"kind": "images", "number": 75}}, "ranks": {}, "seeds": {}}
    found["pairs"] = [{**pair, "p_holm": p} for p in (0.02, 0.2)]
    (table,) = comparison_tables(found)
    assert [row[-2:] for row in table.rows] == [("41 : 34", "A better"), ("41 : 34", "A better (not after Holm)")]
