"""Figures, contact sheets and the page: valid pictures with the right content, one file that needs no network."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure import Options
from measure.report.figures import contact_sheet, plots
from measure.report.figures import plot_style as figures
from measure.report.representatives import dice_key, worst_median_best
from measure.report.table_files import write_tables
from measure.report.write import write_reports
from tests.helpers.report_results import result, scored_discs, scored_video


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    root = tmp_path_factory.mktemp("discs")
    return root, scored_discs(root)


@pytest.fixture(scope="module")
def report(discs):
    root, results = discs
    out = root / "report"
    written = write_reports(results, out, gt_root=root / "gt", pred_roots=[root / "Good", root / "Poor"])
    return out, written


@pytest.mark.slow
def test_every_figure_is_a_readable_picture_with_a_pdf(report):
    out, written = report
    names = {"curves_Set-A", "dice_by_size", "contact_sheet_Good", "contact_sheet_Poor"}
    assert {path.stem for path in written if path.suffix == ".png"} == names
    for name in names:
        picture = cv2.imread(str(out / f"{name}.png"))
        assert min(picture.shape[:2]) > 300
        assert len(np.unique(picture)) > 20
        assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert not list(out.glob(".*"))


def test_curves_have_a_line_per_method_and_the_highest_point_marked(discs):
    _, results = discs
    panels = plots.curve_figure(results, "Set A").axes
    assert [axes.get_title(loc="left") for axes in panels][:3] == [
        "Precision over recall",
        "F-measure (β² = 0.3)",
        "E-measure",
    ]
    precision, f_measure = panels[0], panels[1]
    assert len(precision.lines) == len(results)
    line, dot = f_measure.lines[:2]
    assert np.array_equal(line.get_xdata(), np.arange(255, -1, -1))
    assert np.array_equal(line.get_ydata(), results[0]["curves"]["Set A"]["Fm"])
    assert dot.get_ydata()[0] == results[0]["datasets"]["Set A"]["maxFm"]
    assert precision.lines[0].get_color() == f_measure.lines[0].get_color() != precision.lines[1].get_color()


def test_dice_by_size_draws_every_image(discs):
    _, results = discs
    (axes,) = plots.size_figure(results).axes
    sizes = [scores["size"] for scores in results[1]["per_image"]["Set A"].values()]
    points = axes.collections[1].get_offsets()
    assert np.allclose(points[:, 0], sizes)
    assert np.allclose(points[:, 1], [scores["Dice"] for scores in results[1]["per_image"]["Set A"].values()])


def test_a_bar_per_case_and_frames_found_beside_the_masks(tmp_path):
    scored = scored_video(tmp_path)
    (axes,) = plots.case_figure([scored], "Easy/Seen").axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["case0_1", "case1_1"]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [scored["per_case"]["Easy/Seen"][case]["meanDice"] for case in ("case0_1", "case1_1")]
    sources = contact_sheet.Sources(Options("vps"), tmp_path / "gt", tmp_path / "Maps")
    chosen = worst_median_best(scored)["worst"][0]
    image = sources.image(sources.pair(chosen))
    assert image == tmp_path / "gt" / "Easy" / "Seen" / "Frame" / f"{chosen.stem}.png"


def test_images_elsewhere_are_found_as_the_help_says(tmp_path):
    (discs,) = scored_discs(tmp_path / "stills", ("Good",))
    (tmp_path / "stills/gt/Set A/images").rename(tmp_path / "pictures")
    video = scored_video(tmp_path / "clips")
    (tmp_path / "clips/gt/Easy/Seen/Frame").rename(tmp_path / "frames")
    for scored, protocol, maps, moved, inside in (
        (discs, "image", tmp_path / "stills/Good", tmp_path / "pictures", "Set A/images"),
        (video, "vps", tmp_path / "clips/Maps", tmp_path / "frames", "Easy/Seen/Frame"),
    ):
        root = tmp_path / "images" / protocol
        (root / inside).parent.mkdir(parents=True)
        moved.rename(root / inside)
        chosen = worst_median_best(scored)["worst"][0]
        sources = contact_sheet.Sources(Options(protocol), maps.parent / "gt", maps, root)
        assert sources.image(sources.pair(chosen)) == root / inside / f"{chosen.stem}.png"


def test_missing_curve_points_do_not_stop_a_plot():
    curve = {"recall": [None] * 256, "precision": [0.5] * 256, "Fm": [None] * 256, "Em": [0.5] * 256}
    figure = plots.curve_figure([result("A", {"S": {}}, curves={"S": curve})], "S")
    assert len(figure.axes) == 3


def test_worst_median_best_are_distinct_and_ordered(discs):
    groups = worst_median_best(discs[1][1], count=2)
    picked = [image for images in groups.values() for image in images]
    assert [len(images) for images in groups.values()] == [2, 2, 2]
    assert len(set(picked)) == 6
    everything = sorted(scores["Dice"] for scores in discs[1][1]["per_image"]["Set A"].values())
    assert [image.dice for image in groups["worst"]] == everything[:2]
    assert [image.dice for image in groups["best"]] == everything[:-3:-1]


def test_frames_of_one_clip_are_not_all_that_is_shown():
    dice = {"c1/1": 0.1, "c1/2": 0.11, "c2/1": 0.3, "c3/1": 0.6, "c3/2": 0.7, "c4/1": 0.9}
    scored = result("A", {"S": {}}, protocol="vps", per_image={"S": {k: {"meanDice": v} for k, v in dice.items()}})
    groups = worst_median_best(scored, count=2)
    assert [image.stem for image in groups["worst"]] == ["c1/1", "c2/1"]
    assert [image.stem for image in groups["best"]] == ["c4/1", "c3/2"]
    assert dice_key(scored) == "meanDice"


def test_a_single_image_is_shown_once():
    scored = result("A", {"S": {}}, per_image={"S": {"1": {"Dice": 0.4}}})
    assert [len(images) for images in worst_median_best(scored).values()] == [1, 0, 0]


def test_error_overlay_colors():
    mask = np.array([[0, 128, 129, 255]], np.uint8)
    prediction = np.array([[0, 128, 127, 128]], np.uint8)
    ground, false_positive, false_negative, hit = contact_sheet.error_overlay(mask, prediction)[0].astype(int)
    assert ground.tolist() == [70, 70, 70]
    assert false_positive[0] > 200 > 100 > false_positive[2]
    assert false_negative[2] > 150 > 50 > false_negative[0]
    assert hit[0] == hit[1] == hit[2] > 100


def test_names_that_would_break_labels_or_files(tmp_path):
    assert figures.file_stem("curves", "a/b $x$ <ü>") == "curves_a-b-x-ü"
    assert figures.free_path(Path("o/a-b"), [Path("o/A-b.png")]) == Path("o/a-b-2")
    curve = dict.fromkeys(("recall", "precision", "Fm", "Em"), [0.5] * 256)
    figure = plots.curve_figure([result("_$a_{$ 息肉", {"S": {}}, curves={"S": curve})], "S")
    assert figures.save_figure(figure, tmp_path / "odd").is_file()
    assert len(figure.legends[0].get_texts()) == 1


class _Page(HTMLParser):
    """Collects what a browser would load, and the text it would show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_loads_nothing(report):
    out, _ = report
    text = (out / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == []
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert sum(link.startswith("data:image/") for link in page.links) == 4
    assert not re.search(r"https?:|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    anchors = [link for link in page.links if link.startswith("#")]
    assert all(f'id="{anchor[1:]}"' in text for anchor in anchors)


def test_the_page_holds_the_tables_definitions_and_image_rows(discs, report):
    _, results = discs
    text = (report[0] / "report.html").read_text(encoding="utf-8")
    shown = "".join(_Page(text).text)
    for key, value in results[0]["datasets"]["Set A"].items():
        assert key in shown
        assert f"{value:.3f}" in shown
    assert "ConvSegNet" in shown
    data = json.loads(re.search(r'id="image-data">(.*?)</script>', text)[1])
    assert len(data["rows"]) == 14
    first = results[0]["per_image"]["Set A"]["0"]["Dice"]
    assert data["rows"][0][:4] == ["Good", "Set A", "0", pytest.approx(first, abs=1e-5)]


def test_rows_of_the_lowest_images_hold_their_picture(discs, report, monkeypatch):
    """Every disc's row has a JPEG of image, mask, map and errors side by side; of two a method, only the two lowest."""
    data = json.loads(re.search(r'id="image-data">(.*?)</script>', (report[0] / "report.html").read_text())[1])
    assert sorted(map(int, data["pictures"])) == list(range(14))
    kind, _, encoded = data["pictures"]["0"].partition(";base64,")
    strip = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    assert kind == "data:image/jpeg" and strip.shape == (140, 4 * (187 + 4), 3)
    root, results = discs
    lowest = sorted(results[1]["per_image"]["Set A"].items(), key=lambda item: item[1]["Dice"])[:2]
    sources = contact_sheet.Sources(Options(), root / "gt", root / "Poor")
    assert set(contact_sheet.row_pictures(results[1], sources, count=2)) == {("Set A", stem) for stem, _ in lowest}


def test_names_cannot_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script>"
    scored = result(evil, {evil: {"Dice": 0.5}}, per_image={evil: {evil: {"Dice": 0.5}}})
    write_reports([scored], tmp_path, gt_root=tmp_path, pred_roots=[tmp_path], plots=False)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert json.loads(re.search(r'id="image-data">(.*?)</script>', text)[1])["rows"] == [[evil, evil, evil, 0.5]]


def test_a_damaged_image_costs_only_itself(tmp_path):
    results = scored_discs(tmp_path, ("Good",), images=3)
    (tmp_path / "gt" / "Set A" / "images" / "0.png").write_bytes(b"no picture")
    sources = contact_sheet.Sources(Options(), tmp_path / "gt", tmp_path / "Good")
    assert contact_sheet.contact_sheet(results[0], sources) is not None


def test_tables_and_page_need_no_matplotlib(tmp_path):
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from measure.report import write_reports, write_tables\n"
        "from measure import InputError\n"
        f"r = [{result('A', {'S': {'Dice': 0.5}})!r}]\n"
        f"write_tables(r, {str(tmp_path)!r})\n"
        f"write_reports(r, {str(tmp_path)!r}, gt_root='.', pred_roots=['.'], plots=False)\n"
        "try:\n"
        f"    write_reports(r, {str(tmp_path)!r}, gt_root='.', pred_roots=['.'])\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert "figures need matplotlib" in done.stdout
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "scores.tex").is_file()


def test_every_report_file_is_replaced_whole(discs, tmp_path, monkeypatch):
    write_tables(discs[1], tmp_path)
    before = (tmp_path / "scores.md").read_text(encoding="utf-8")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(ValueError, match="No space left"):
        write_tables([result("other", {"S": {"Dice": 0.1}})], tmp_path)
    assert (tmp_path / "scores.md").read_text(encoding="utf-8") == before
    assert not list(tmp_path.glob(".*"))
