"""Published rows: that the table is what it says, that contradictions are marked, and a row from data to comparison."""

import json
from contextlib import nullcontext

import pytest

from measure.io import InputError
from measure.report.columns import column_of
from utils.commands.reproduce import main
from utils.phantom import write_clips, write_stills
from utils.prediction.network import STARTER_WEIGHTS
from utils.preparation import SOURCES
from utils.reproduction import STUDIES, missing_for, read_rows
from utils.reproduction.rows import MARKS
from utils.reproduction.run import draw_parts
from utils.training import recipe_for

ROWS = {row.id: row for row in read_rows()}
PAIRS = [("Dice", "IoU"), ("meanDice", "meanIoU"), ("Dice@0.5", "IoU@0.5")]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_has_a_study_known_metrics_a_source_and_an_image_count(row):
    study = STUDIES[row.study]
    assert study.images[row.name] > 0 and (study.parts or study.train_images) and set(study.prepare) <= set(SOURCES)
    model = study.flags[study.flags.index("--model") + 1]
    assert recipe_for(model).config.model == model
    for metric, value in row.values.items():
        assert column_of(metric).key == metric and 0 < value.value < 1
        assert value.mark in MARKS and value.source
        assert value.remark or value.mark not in ("copied", "impossible")


def test_the_impossible_and_the_copied_rows_are_marked():
    """The mean of IoU = D / (2 - D), a convex function of D, is at least that of the mean D."""
    for row in ROWS.values():
        for dice, iou in PAIRS:
            if dice not in row.values or iou not in row.values or row.values[iou].mark == "secondary":
                continue
            low, high = row.values[dice], row.values[iou]
            d = low.value - 0.5 * 10**-low.digits
            possible = high.value + 0.5 * 10**-high.digits >= d / (2 - d)
            assert possible == (high.mark != "impossible"), row.id
    numbers = {row.id: [(m, v.value) for m, v in row.values.items()] for row in ROWS.values()}
    assert numbers["sepnet/CVC-300"] == numbers["sepnet/CVC-ClinicDB"]
    assert not ROWS["sepnet/CVC-300"].is_aim and not ROWS["sepnet/CVC-ColonDB"].is_aim
    assert ROWS["scrnet/Kvasir-SEG"].is_cut and not ROWS["sepnet/Kvasir"].is_cut
    assert ROWS["sepnet/CVC-ClinicDB"].is_aim and ROWS["sali/TestEasyDataset/Unseen"].is_aim


def test_the_list_tells_numbers_sources_doubts_and_what_is_missing(tmp_path, capsys):
    assert main(["list", "sali/TestEasyDataset/Unseen", "sepnet/CVC-300", "--data", str(tmp_path)]) == 0
    sali, sepnet = capsys.readouterr().out.split("\n\n")
    assert "maxDice .825: SALI (MICCAI 2024)" in sali and "a later paper reports a mean of .656" in sali
    assert f"{tmp_path}/SUN-SEG/TrainDataset is not there (python -m utils prepare sun-seg)" in sali
    assert sepnet.startswith("sepnet/CVC-300 (repeats another row: no aim)")
    assert f"{tmp_path}/TrainDataset is not there (python -m utils prepare pranet-train)" in sepnet
    assert f"{tmp_path}/TestDataset/CVC-300 is not there (python -m utils prepare pranet-test)" in sepnet


def test_given_weights_need_no_training_set(tmp_path):
    row = ROWS["sepnet/Kvasir"]
    write_stills(tmp_path / "TestDataset" / "Kvasir", count=2, seed=0, size=(64, 80))
    assert missing_for(row, tmp_path, trains=False) == [
        f"{tmp_path}/TestDataset/Kvasir has 2 images, the row is of 100"
    ]
    assert len(missing_for(row, tmp_path)) == 2
    assert len(missing_for(ROWS["scrnet/Kvasir-SEG"], tmp_path, trains=False)) == 1, "its own parts are tested"


def test_published_ours_difference_and_interval_by_hand(tmp_path, capsys):
    home = tmp_path / "sepnet"
    paths = []
    for seed, dice in ((0, 0.90), (1, 0.94)):
        folder = home / f"scores_{seed}" / "Kvasir"
        folder.mkdir(parents=True)
        ends = [dice - 0.02, dice + 0.01]
        scores = {
            "datasets": {"Kvasir": {"Dice": dice, "IoU": None}},
            "counts": {"Kvasir": {"images": 98}},
            "intervals": {"Kvasir": {"Dice": ends}},
        }
        (folder / "scores.json").write_text(json.dumps(scores))
        paths.append(str(folder / "scores.json"))
    result = {"scores": paths, "other_flags": ["--epoch", "3"], "weights": None, "incomplete": ["98 images, of 100"]}
    (home / "scores_0" / "Kvasir" / "result.json").write_text(json.dumps(result))
    assert main(["compare", "sepnet/Kvasir", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    dice, iou = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines()[2:4]]
    # mean of .90 and .94; sample deviation .02 sqrt(2); published .922
    assert dice == ["sepnet/Kvasir", "Dice", ".922", "0.920 ± 0.028", "-0.002", "0.900 to 0.930", "98 of 100", "2"]
    assert iou[2:] == [".869", "", "", "", "98 of 100", "2"]
    assert "not the recipe, but --epoch 3" in told and "98 images, of 100" in told
    assert (tmp_path / "compare.md").read_text() == told


def test_parts_of_other_images_are_refused(tmp_path):
    """Links of the first draw would be tested beside the second's, which trains on some of them."""
    for count in (10, 10, 20):
        write_stills(tmp_path / "Kvasir-SEG", count=count, size=(64, 64))
        with pytest.raises(InputError, match="holds other names") if count == 20 else nullcontext():
            draw_parts(STUDIES["scrnet"], tmp_path / "Kvasir-SEG", tmp_path / "home")
    assert len(list((tmp_path / "home" / "test" / "Kvasir-SEG" / "images").iterdir())) == 2


@pytest.mark.slow
def test_a_row_runs_from_data_to_comparison(tmp_path, capfd):
    write_stills(tmp_path / "data" / "Kvasir-SEG", count=20, seed=0, size=(64, 80))
    words = ["run", "scrnet-baseline", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    words += ["--device", "cpu", "--flags=--epoch 1 --train_size 64 --lr_warmup_epoch 0 --workers 0"]
    assert main(words) == 2
    assert "has 20 images, the row is of 1000; --partial goes on, and the result says so" in capfd.readouterr().err
    assert main([*words, "--partial"]) == 0
    told = capfd.readouterr().out
    assert "$ python myTrain.py --model scrnet --no-net_scm --no-net_srm" in told
    assert told.count(" --no-minmax") == 2, "scores at 0.5 are those of probabilities"
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines() if line.startswith("| scr")]
    assert [line[:3] for line in lines] == [[lines[0][0], "IoU@0.5", ".6496"], [lines[0][0], "Recall@0.5", ".8413"]]
    assert lines[0][0] == "scrnet-baseline/Kvasir-SEG"
    assert {line[6] for line in lines} == {"4 of 200"}
    config = json.loads((tmp_path / "out" / "scrnet-baseline" / "seed_0" / "config.json").read_text())
    assert config["model"]["options"]["scm"] is False and config["model"]["options"]["srm"] is False
    splits = tmp_path / "out" / "scrnet-baseline" / "splits"
    assert [len((splits / f"{part}.txt").read_text().split()) for part in ("train", "val", "test")] == [14, 2, 4]
    tested = {path.stem for path in (tmp_path / "out" / "scrnet-baseline" / "test" / "Kvasir-SEG" / "images").iterdir()}
    assert tested == set((splits / "test.txt").read_text().split())


@pytest.mark.slow
def test_a_row_of_clips_is_scored_by_the_vps_protocol(tmp_path, capfd):
    write_clips(tmp_path / "SUN-SEG", split="TestEasyDataset/Seen", cases=1, frames=6, size=(64, 80))
    words = ["run", "sepnet-sunseg/TestEasyDataset/Seen", "--weights", str(STARTER_WEIGHTS), "--partial"]
    assert main([*words, "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    told = capfd.readouterr().out
    assert "of 4719" in told and "| meanDice" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "name what to run, as sepnet/Kvasir, or a study, as sepnet"),
        (["run", "sepnet/Kvasr"], "unknown row sepnet/Kvasr: did you mean sepnet/Kvasir?"),
        (["run", "sepnet/Kvasir"], "data/TrainDataset is not there (python -m utils prepare pranet-train)"),
        (["run", "sepnet/Kvasir", "--seeds", "1", "1"], "--seeds 1 1 was given; name each seed once"),
        (["run", "sepnet/Kvasir", "--weights", "no.pth"], "there is no file no.pth"),
        (
            ["compare"],
            "no result in result/reproduce; run one first, as python -m utils reproduce run sepnet/CVC-ClinicDB",
        ),
        (["compare", "--out", "x", "sepnet/Kvasir"], "sepnet/Kvasir: no result in x"),
        (["race"], "invalid choice"),
    ],
)
def test_mistakes(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not list(tmp_path.iterdir())
