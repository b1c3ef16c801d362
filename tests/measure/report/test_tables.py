"""Tables of scores: which numbers are marked, and that every format says the same without breaking on names."""

from __future__ import annotations

import csv
import math

import pytest

from measure.report import columns as definitions
from measure.report import sanity, tables
from measure.report.certainty import headline_dice
from measure.report.dice_definitions import definitions_table
from measure.report.table_files import headline_table, write_tables
from tests.helpers.report_results import result

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "higher", "marks"),
    [
        ([0.9, 0.8, 0.7], True, ["best", "second", ""]),
        ([0.02, 0.01, 0.03], False, ["second", "best", ""]),
        ([0.9, 0.9, 0.8, 0.7], True, ["best", "best", "second", ""]),
        ([0.9, 0.8, 0.8], True, ["best", "second", "second"]),
        ([0.90004, 0.90001, 0.5], True, ["best", "best", "second"]),
        ([NAN, 0.4, 0.5], True, ["", "second", "best"]),
        ([0.5, 0.5], True, ["", ""]),
        ([0.5, NAN], True, ["", ""]),
        ([NAN, NAN], False, ["", ""]),
        ([0.5], True, [""]),
        ([3, 4], None, ["", ""]),
    ],
)
def test_rank_marks_best_and_second_as_printed(values, higher, marks):
    assert tables.rank_marks(values, higher_is_better=higher) == marks


def test_markdown_marks_and_dashes():
    text = headline_table(
        [result("A", {"S": {"Dice": 0.91234, "MAE": 0.02}}), result("B", {"S": {"Dice": None, "MAE": 0.01}})]
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[0] == ["Data set", "Method", "Dice ↑", "MAE ↓"]
    assert rows[2:] == [["S", "A", "0.912", "<u>0.020</u>"], ["S", "B", "–", "**0.010**"]]
    assert len({len(line) for line in text.splitlines()}) == 1


def test_marks_are_taken_within_a_data_set():
    a, b = result("A", {"S": {"Dice": 0.9}, "T": {"Dice": 0.1}}), result("B", {"S": {"Dice": 0.8}, "T": {"Dice": 0.2}})
    lines = headline_table([a, b]).splitlines()[2:]
    assert ["**" in line for line in lines] == [True, False, False, True]


def test_data_sets_of_one_method_only_are_dashes_for_the_other():
    lines = headline_table([result("A", {"S": {"Dice": 0.9}}), result("B", {"T": {"Dice": 0.8}})]).splitlines()
    assert [line.count("–") for line in lines[2:]] == [0, 1, 1, 0]


def test_markdown_escapes_names():
    lines = headline_table([result("a|b*c <i> my_net_", {"S": {"Dice": 0.5}})]).splitlines()
    assert r"a\|b\*c \<i\> my_net\_" in lines[2]


def test_latex_escapes_marks_and_headings():
    first = result("a_b & 50% #1 {x} \\y ~^ $ |", {"S_1": {"Dice": 0.9, "MAE": 0.1}})
    text = tables.render_latex(tables.combined_table([first, result("B", {"S_1": {"Dice": 0.8, "MAE": None}})]))
    assert r"a\_b \& 50\% \#1 \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{} \$ \textbar{}" in text
    assert r"\textbf{0.900} & 0.100 \\" in text
    assert r"B & \underline{0.800} & -- \\" in text
    assert r"Dice $\uparrow$ & $\mathcal{M}$ $\downarrow$ \\" in text
    assert r"\multicolumn{3}{l}{\emph{S\_1}} \\" in text
    assert text.count(r"\begin") == text.count(r"\end") == 2


def test_csv_keeps_every_digit_and_leaves_missing_scores_empty(tmp_path):
    third = 1 / 3
    per_image = {"S": {'b,"1"': {"Dice": third}, "ü 2": {"Dice": None}}}
    by_size = {"S": {"small (under 5 %)": {"images": 2, "Dice": 0.1}}}
    write_tables([result("A", {"S": {"Dice": third, "IoU": NAN}}, per_image=per_image, by_size=by_size)], tmp_path)
    scores = list(csv.DictReader((tmp_path / "scores.csv").open(encoding="utf-8")))
    assert [(row["subset"], row["images"], row["IoU"]) for row in scores] == [
        ("all", "4", ""),
        ("small (under 5 %)", "2", ""),
    ]
    assert float(scores[0]["Dice"]) == third
    images = {row["image"]: row["Dice"] for row in csv.DictReader((tmp_path / "per_image.csv").open(encoding="utf-8"))}
    assert images == {'b,"1"': repr(third), "ü 2": ""}
    assert not (tmp_path / "per_case.csv").exists()
    assert not list(tmp_path.glob(".*"))


def test_every_column_appears_once_per_data_set():
    keys = [known.key for family in definitions.FAMILIES.values() for known in family]
    for protocol in ("image", "vps"):
        scored = result("A", {"S": dict.fromkeys([*keys, "novel"], 0.5)}, protocol=protocol)
        parts = tables.dataset_tables([scored], "S")
        assert sorted(known.key for part in parts for known in part.columns) == sorted([*keys, "novel"])
        assert [known.key for known in parts[0].columns] == list(definitions.TOOL_TABLES[protocol])


def test_the_video_tool_prints_seventeen_columns():
    assert len(definitions.TOOL_TABLES["vps"]) == 17


def test_lower_is_better_for_errors_alone():
    known = [member for family in definitions.FAMILIES.values() for member in family]
    away = {"HD", "HD95", "HD95_pooled", "ASSD", "MASD"}
    lower = {"MAE", "fnr", "BR_mae", *away, *(f"{name}_both" for name in away)}
    lower |= {f"FalseAlarmsPerImage{bound}" for bound in ("", "@.25", "@.5")}
    lower |= {
        "EndoCVDeviation",
        "ECE",
        "pooledECE",
        "Brier",
        "FirstDetection",
        "FirstDetection_seconds",
        "AlarmBursts",
        "LongestBurst",
        "Flicker",
    }
    assert {member.key for member in known if member.higher_is_better is False} == lower
    assert {member.key for member in known if member.higher_is_better is None} == {"OneEmpty", "BothEmpty"}


def test_paper_tables_and_pairs_name_known_columns():
    known = {member.key for family in definitions.FAMILIES.values() for member in family}
    named = {key for papers in definitions.PAPER_TABLES.values() for keys in papers.values() for key in keys}
    named |= {key for pair in definitions.OVERLAP_PAIRS.values() for key in pair}
    assert named <= known


def test_definitions_side_by_side():
    on = result("A", {"S": {"Dice": 0.9, "IoU": 0.8, "Dice@0.5": 0.7, "IoU@0.5": 0.6}})
    off = result("A", {"S": {"Dice": 0.85, "IoU": 0.75, "Dice@0.5": 0.7, "IoU@0.5": 0.6}}, options={"minmax": False})
    lines = definitions_table([on, off]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["Definition", "Min-max", "In the tables of", "S Dice", "S IoU"]
    assert ["soft, no threshold", "on", "SEPNet", "0.900", "0.800"] in cells
    assert ["soft, no threshold", "off", "", "0.850", "0.750"] in cells
    assert [row[0] for row in cells].count("at 0.5, mean over images") == 1


def test_impossible_pairs_are_found_by_the_convex_bound():
    possible = {"Dice": 0.8, "IoU": 0.8 / 1.2, "meanDice": 0.5, "meanIoU": 0.5}
    assert sanity.impossible_pairs(possible) == []
    assert sanity.impossible_pairs({"Dice": 0.9, "IoU": NAN}) == []
    ((dice, iou, floor),) = sanity.impossible_pairs({"maxDice": 0.8, "maxIoU": 0.6})
    assert (dice, iou) == ("maxDice", "maxIoU")
    assert floor == pytest.approx(2 / 3)


def test_cautions_are_said_once_for_all_methods_and_by_name_otherwise():
    shared = {"images": 3, "grey_masks": ["1", "2"], "missing_maps": [], "dropped_frames": ["a/1"]}
    first = result("A", {"S": {"Dice": 0.5}}, counts={"S": shared | {"resized_maps": ["1"]}})
    second = result("B", {"S": {"Dice": 0.5}}, counts={"S": shared})
    assert sanity.cautions([first, second]) == [
        "S: 2 of 3 masks have more than two levels; they were cut at 128.",
        "A: S: 1 of 3 maps had another size than its mask and was resized in memory.",
    ]


def test_averages_over_data_sets_by_set_and_by_image():
    """Dice .9 of 10 images and .5 of 30: .7 by set, .6 by image; a method that lacks a set has none."""
    whole = result("A", {"S": {"Dice": 0.9}, "T": {"Dice": 0.5}}, counts={"S": {"images": 10}, "T": {"images": 30}})
    part = result("B", {"S": {"Dice": 0.8}}, counts={"S": {"images": 10}})
    (table,) = tables.average_tables([whole, part])
    assert [block.name for block in table.blocks] == ["every set alike", "every image alike"]
    assert [block.rows[0].values[0] for block in table.blocks] == pytest.approx([0.7, 0.6])
    assert all(math.isnan(block.rows[1].values[0]) for block in table.blocks)
    assert tables.average_tables([part]) == []


def test_averages_of_videos_are_by_case_as_their_means_are():
    """Dice .9 of one case of 80 frames and .5 of three cases of 20 in all: by case (.9 + 3 * .5) / 4 = .6."""
    scores = {"S": {"meanDice": 0.9, "LesionSensitivity": 0.8}, "T": {"meanDice": 0.5, "LesionSensitivity": 0.6}}
    counts = {"S": {"images": 80}, "T": {"images": 20}}
    cases = {"S": {"1": {}}, "T": {"2": {}, "3": {}, "4": {}}}
    (table,) = tables.average_tables([result("A", scores, protocol="vps", counts=counts, per_case=cases)])
    assert [block.name for block in table.blocks] == ["every set alike", "every case alike"]
    assert table.blocks[0].rows[0].values == pytest.approx((0.7, 0.7))
    assert table.blocks[1].rows[0].values == pytest.approx((0.6, NAN), nan_ok=True), "lesions are pooled over the set"


def test_the_headline_dice_is_named_in_words():
    whole = result("A", {"S": {"Dice": 0.9}, "T": {"Dice": 0.5}}, per_image={"S": {"1": {"Dice": 0.9}}})
    table = headline_dice([whole])
    assert table.caption.startswith("Dice: Soft Dice, no threshold") and table.caption.endswith("As SEPNet prints it.")
    assert (table.titles, table.rows) == (("Method", "S", "T", "average of sets"), (("A", "0.900", "0.500", "0.700"),))
    assert headline_dice([result("A", {"S": {"MAE": 0.1}})]) is None
