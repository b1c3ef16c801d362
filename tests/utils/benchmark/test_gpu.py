"""`python -m utils gpu`: stages that work, fail or take too long, and the report that holds them all."""

import json
import sys
import tarfile

import pytest
import torch

from utils.__main__ import main
from utils.benchmark.gpu_report import command
from utils.benchmark.gpu_report.command import report, run_stages
from utils.benchmark.gpu_report.stages import GpuOptions, Stage, plan


def test_stages_that_fail_or_take_too_long_do_not_stop_the_next(tmp_path):
    for name in ("good", "half"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.md").write_text("an earlier report's")
    table = f"open({str(tmp_path / '{}' / 'table.md')!r}, 'w').write('| a table |\\n')"
    stages = [
        Stage("bad", ("-c", "print('before'); raise SystemExit(3)"), 60),
        Stage("slow", ("-c", "import time; print('begun', flush=True); time.sleep(60)"), 1),
        Stage("good", ("-c", f"print('done'); {table.format('good')}"), 60, tables=("good/table.md",)),
        Stage("half", ("-c", f"{table.format('half')}; print('then'); raise SystemExit(1)"), 60, ("half/table.md",)),
        Stage("none", ("-c", "raise SystemExit(1)"), 60, ("good/table.md",)),
    ]
    results = list(run_stages(stages, tmp_path))
    assert [result.outcome for result in results] == [
        "exit status 3",
        "stopped after 1 s",
        "ok",
        *["exit status 1"] * 2,
    ]
    assert [result.text for result in results] == ["before", "begun", "| a table |\n", "| a table |\n\nthen", ""]
    assert "| bad   |     exit status 3 |" in report(results)


def test_the_report_is_written_and_a_failed_stage_gives_status_1(tmp_path, monkeypatch, capsys):
    stages = [Stage("good", ("-c", "print('done')"), 60), Stage("bad", ("-c", "raise SystemExit(3)"), 60)]
    monkeypatch.setattr(command, "plan", lambda options: stages)
    assert main(["gpu", "--dry", "--out", str(tmp_path / "out")]) == 1
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())["stages"]
    assert [stage["outcome"] for stage in found] == ["ok", "exit status 3"]
    assert (tmp_path / "out" / "gpu.md").read_text() in capsys.readouterr().out


@pytest.mark.parametrize("dry", [True, False])
def test_the_plan_names_commands_that_exist(dry):
    stages = plan(GpuOptions(dry=dry, train_data_path="data"))
    assert {stage.name for stage in stages} >= {"rates", "tests", "video", "training"}
    assert all(
        stage.words[0] == "myTrain.py" or stage.words[:2] in (("-m", "utils"), ("-m", "pytest")) for stage in stages
    )
    assert len({stage.name for stage in stages}) == len(stages)
    assert plan(GpuOptions(dry=dry, stages=("rates",))) == [stage for stage in stages if stage.name == "rates"]


def test_the_limits_keep_the_plan_under_nine_minutes():
    assert sum(stage.limit for stage in plan(GpuOptions(train_data_path="data"))) < 9 * 60


def test_an_unknown_stage_is_refused(tmp_path, capsys):
    assert main(["gpu", "--stages", "nothing", "--out", str(tmp_path / "out")]) == 2
    assert "--stages nothing was given; expected some of rates, tests" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "needed"), [(["--epoch", "9"], "--train_data_path"), (["--pack_limit", "9"], "--pack")]
)
def test_options_that_would_do_nothing_are_refused(tmp_path, capsys, words, needed):
    assert main(["gpu", "--dry", *words, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert f"{words[0]} 9" in told and f"was given without {needed}, where it means nothing" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_gpu_no_report_says_that_all_is_well(tmp_path, capsys):
    assert main(["gpu", "--stages", "tests", "--out", str(tmp_path / "out")]) == 2
    assert "there is no CUDA device here" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_dry_stage_runs_as_it_is(tmp_path):
    (stage,) = plan(GpuOptions(dry=True, out=str(tmp_path), stages=("rates",)))
    (result,) = run_stages([stage], tmp_path)
    assert result.outcome == "ok", result.text
    assert "TFLOP/s" in result.text and sys.executable not in result.command


def test_everything_is_packed_for_another_machine(stills, tmp_path, capsys):
    encoder = {"conv.weight": torch.ones(3, 2), "running_var": torch.tensor([1e6]), "steps": torch.tensor(7)}
    torch.save(encoder, tmp_path / "encoder.pth")
    for kind in ("images", "masks"):  # a set of links
        (tmp_path / "linked" / kind).mkdir(parents=True)
        for path in (stills(count=10, size=(64, 80)) / kind).iterdir():
            (tmp_path / "linked" / kind / path.name).symlink_to(path)
    words = ["gpu", "--pack", str(tmp_path / "all.tar"), "--train_data_path", str(tmp_path / "linked")]
    assert main([*words, "--net_pretrained_backbone_path", str(tmp_path / "encoder.pth")]) == 0
    told = "python -m utils gpu --train_data_path gpu_data --net_pretrained_backbone_path gpu_encoder.pth"
    assert told in capsys.readouterr().out
    with tarfile.open(tmp_path / "all.tar") as archive:
        names = archive.getnames()
        assert {"myTrain.py", "utils/__main__.py", "gpu_encoder.pth"} <= set(names)
        packed = [entry for entry in archive.getmembers() if entry.name.startswith("gpu_data/")]
        assert len(packed) == 20 and all(entry.isreg() and entry.size for entry in packed)
        archive.extract("gpu_encoder.pth", tmp_path, filter="data")
    weights = torch.load(tmp_path / "gpu_encoder.pth", weights_only=True)
    assert weights["conv.weight"].dtype == torch.float16 and weights["steps"].item() == 7
    assert weights["running_var"].item() == 1e6  # infinite in half precision
    assert main([*words, "--pack_limit", "0.01"]) == 2
    assert "MiB would be packed and --pack_limit is 0.01" in capsys.readouterr().err
    assert main([*words, "--epoch", "9", "--stages", "rates", "training"]) == 0
    told = "python -m utils gpu --stages rates training --train_data_path gpu_data --epoch 9\n"
    assert capsys.readouterr().out.endswith(told)


def test_data_that_cannot_be_trained_on_is_not_packed(stills, tmp_path, capsys):
    images = stills(count=10, size=(64, 80)) / "images"
    assert main(["gpu", "--pack", str(tmp_path / "all.tar"), "--train_data_path", str(images)]) == 2
    assert capsys.readouterr().err.startswith("error: ") and not (tmp_path / "all.tar").exists()
