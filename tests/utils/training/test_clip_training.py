"""Training on clips: the one loop takes triplets, judges by streaming, resumes exactly, and refuses in one line."""

import csv

import numpy as np
import pytest
import torch

import myTest
import myTrain
from lib import create_model
from measure.io.errors import InputError
from measure.io.images import read_grey, read_rgb
from tests.helpers.runs import assert_equal, interrupt_after, state
from utils.commands import split
from utils.commands.train_flags import parse_train_args
from utils.data.clip_dataset import Case, find_cases
from utils.data.preprocessing import network_input
from utils.evaluation.clips import ClipValidation
from utils.evaluation.soft_scores import soft_scores
from utils.phantom import write_clips, write_stills
from utils.prediction.postprocess import probability_map
from utils.prediction.streaming import stream
from utils.runtime.options import network_options
from utils.training.tasks import task_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(clips):
    return clips(split="TrainDataset", cases=2, frames=6, size=(64, 80)) / "TrainDataset"


def train(model, data, folder, *flags):
    size = "256" if model == "sali" else "64"
    return myTrain.main(
        [
            *("--model", model, "--train_data_path", str(data), "--train_model_save_path", str(folder)),
            *("--net_backbone", "test_resnet", "--net_pretrained_backbone_path", "none", "--train_size", size),
            *("--batch_size", "3", "--epoch", "1", "--device", "cpu", "--workers", "0", *flags),
        ]
    )


def test_a_video_network_trains_logs_resumes_exactly_and_predicts(data, tmp_path, monkeypatch):
    straight, again = tmp_path / "straight", tmp_path / "again"
    assert train("sali", data, straight) == 0
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        assert train("sali", data, again) == 130
    torch.manual_seed(12345)
    assert myTrain.main(["--load_checkpoint_path", str(again / "last.pth")]) == 0
    first, second = state(straight), state(again)
    for name in ("config", "generators", "seconds"):
        first.pop(name), second.pop(name)
    assert_equal(first, second)
    (row,) = csv.DictReader((straight / "log.csv").open())
    parts = [float(row[name]) for name in ("out", "stage4", "stage5", "global")]
    assert float(row["loss"]) == pytest.approx(sum(parts), rel=1e-6), "every output weighs 1"
    assert float(row["score"]) == pytest.approx(float(row["Dice"]) + float(row["IoU"]) - float(row["MAE"]))
    flags = ("--model_state_dict_path", straight / "best.pth", "--test_data_path", data, "--pred_save_path", tmp_path)
    assert myTest.main([*map(str, flags), "--device", "cpu", "--batch_size", "2"]) == 0
    assert len(list((tmp_path / "TrainDataset" / "case2").glob("*.png"))) == 6


def test_an_image_network_trains_on_the_frames_of_clips(data, tmp_path, capsys):
    assert train("sepnet", data, tmp_path) == 0
    assert "6 images to train on, 6 to validate on" in capsys.readouterr().out


def test_split_files_name_cases(tmp_path):
    write_clips(tmp_path, split="TrainDataset", cases=4, frames=6, size=(64, 64))
    data, first, second = tmp_path / "TrainDataset", tmp_path / "train.txt", tmp_path / "val.txt"
    assert split.main(["--data", str(data), "--out", str(tmp_path), "train=2", "val=1", "rest=rest"]) == 0
    named = {path: path.read_text().split() for path in (first, second, tmp_path / "rest.txt")}
    assert sorted(sum(named.values(), [])) == ["case1", "case2", "case3", "case4"]

    def parts(*flags):
        given = ["--model", "sali", "--train_data_path", str(data), *map(str, flags)]
        return [[case.name for case in part] for part in task_of(parse_train_args(given).config).find_parts().values()]

    assert parts("--split", first, "--val_split", second) == [named[first], named[second]]
    training, held_out = parts("--val_split", second)
    assert held_out == named[second] and sorted(training + held_out) == ["case1", "case2", "case3", "case4"]
    training, held_out = parts("--split", first)
    assert sorted(training + held_out) == named[first] and len(held_out) == 1
    with pytest.raises(InputError, match="share 2 clips, first: case.*; each belongs to one part"):
        parts("--split", first, "--val_split", first)


def test_the_recipe_is_the_released_one():
    for model in ("sali", "lsinet"):
        args = parse_train_args(["--model", model]).config
        assert (args.epoch, args.batch_size, args.train_size, args.lr, args.weight_decay) == (200, 8, 352, 1e-4, 0)
        assert (args.schedule, args.lr_decay_rate, args.lr_decay_epoch) == ("steps", 0.1, 50)
        assert (args.gradient_clip, args.clip_mode, args.optimizer) == (0.5, "value", "Adam")
        assert args.augment == ("flip", "rotate", "jitter") and args.loss_weights == ()
        assert args.memory_window == (5, 10, 15, 20, 25)


def test_a_video_network_without_memory_and_alignment_is_a_flag():
    assert network_options(parse_train_args(["--model", "sali", "--net_temporal", "off"]).config) == {"temporal": False}
    assert network_options(parse_train_args(["--model", "sali"]).config) == {}


def test_clips_are_scored_frame_by_frame_then_case_by_case(data):
    torch.manual_seed(0)
    model = create_model("sepnet", backbone="pvt-v2-b0", aux=False).eval()
    whole, other = find_cases(data)
    cases = [Case("short", other.frames[:2]), whole]
    amp = torch.autocast("cpu", enabled=False)
    validation = ClipValidation(cases, size=64, slots=8, device=torch.device("cpu"))
    assert len(validation) == 8
    means = []
    for case in cases:
        frames = [network_input(read_rgb(pair.image), 64) for pair in case.frames]
        dice = []
        for pair, logits in zip(case.frames, stream(model, frames), strict=True):
            mask = torch.from_numpy(read_grey(pair.mask)) > 128
            dice.append(soft_scores(probability_map(logits, mask.shape, minmax=True), mask)["Dice"].item())
        means.append(np.mean(dice))
    assert validation.scores(model, amp)["Dice"] == pytest.approx(np.mean(means), abs=1e-6)
    picture = validation.picture(model, amp)
    assert picture.ndim == 3 and picture.dtype == np.uint8 and not model.training


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train_data_path", "{stills}"], "has no Frame/ and GT/; expected"),
        (["--train_size", "64"], "--train_size 64 was given; sali needs a multiple of 32, at least 256"),
        (["--val_split", "nowhere.txt"], "cannot read nowhere.txt"),
        (["--split", "{names}"], "1 name is no clip of"),
        (["--memory_window", "0"], "--memory_window 0 was given; it must be at least 1"),
        (["--train_size", "300"], "--train_size 300 was given; sali needs a multiple of 32"),
        (["--val_data_path", "{stills}"], "has no Frame/ and GT/; expected"),
        (["--loss_weights", "logit2=2"], "expected OUTPUT=WEIGHT, of out, stage4, stage5, global"),
    ],
)
def test_mistakes_end_in_one_line_before_anything_is_written(data, tmp_path, capsys, flags, message):
    stills = tmp_path / "stills"
    write_stills(stills, count=2, seed=0, size=(64, 80))
    (tmp_path / "names.txt").write_text("case7\n")
    flags = [flag.format(stills=stills, names=tmp_path / "names.txt") for flag in flags]
    assert train("sali", data, tmp_path / "run", *flags) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "run").exists()
