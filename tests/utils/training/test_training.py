"""Training runs: they learn, log, stop in good order and go on with the same bits."""

import csv
import dataclasses
import json
import re
import signal
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import myTrain
from lib import load_model
from tests.helpers.runs import TINY_SEPNET, assert_equal, interrupt_after, state
from utils.commands.train_flags import parse_train_args
from utils.data.preprocessing import network_input
from utils.training import TrainConfig
from utils.training import config as train_config
from utils.training.losses import structure_loss
from utils.training.step import TrainStep
from utils.training.tasks import task_of
from utils.training.trainer import Trainer, duration

pytestmark = pytest.mark.slow

SMALL = [*TINY_SEPNET, "--train_size", "64"]
COURSE = ["--batch_size", "3", "--lr", "1e-3", "--lr_warmup_epoch", "0", "--device", "cpu", "--workers", "0"]


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=10, seed=0, size=(64, 80))


def train(data, folder, *flags):
    return myTrain.main(
        ["--train_data_path", str(data), "--train_model_save_path", str(folder), *SMALL, *COURSE, *flags]
    )


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """A run of two epochs that nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    assert train(data, folder, "--epoch", "2", "--ema", "0.9", "--train_model_save_epoch", "1") == 0
    return folder


def test_a_run_leaves_its_files(straight):
    names = {path.name for path in straight.iterdir()}
    assert {
        "last.pth",
        "best.pth",
        "checkpoint_epoch_1.pth",
        "checkpoint_epoch_2.pth",
        "config.json",
        "log.csv",
    } <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not any("partial" in name for name in names)
    config = json.loads((straight / "config.json").read_text())
    assert config["model"]["name"] == "sepnet" and config["model"]["options"]["backbone"] == "test_resnet"
    assert config["flags"]["lr"] == 1e-3 and "torch" in config["versions"]


def test_the_log_has_every_loss_by_name_and_the_validation_scores(straight):
    rows = list(csv.DictReader((straight / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        parts = {name: float(row[name]) for name in ("out", "logit2", "logit3", "logit4", "deep2", "deep3")}
        assert float(row["loss"]) == pytest.approx(sum(parts.values()) + parts["out"], rel=1e-6)
        assert float(row["score"]) == pytest.approx(float(row["Dice"]) + float(row["IoU"]) - float(row["MAE"]))


def test_the_log_has_the_validation_loss_of_the_first_output(data, straight):
    """Written out: the mean over the held-out images of the structure loss of `out`, the mask resized to it."""
    model = load_model(straight / "last.pth", aux=True)  # the average of the weights, which is what is validated
    config = TrainConfig.from_flags(state(straight)["config"]["flags"])
    losses = []
    for pair in task_of(config).find_parts()["validation"]:
        logits = model(network_input(pair.read_image(), 64)[None])["out"]
        mask = torch.from_numpy(pair.read_mask() > 128).float()[None, None]
        mask = F.interpolate(mask, logits.shape[-2:], mode="bilinear", align_corners=True)
        losses.append(structure_loss(logits, mask).item())
    assert len(losses) == 1
    last = list(csv.DictReader((straight / "log.csv").open()))[-1]
    assert float(last["val_loss"]) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_tensorboard_has_groups_pictures_and_hyperparameters(straight):
    events = EventAccumulator(str(straight)).Reload()
    groups = {"loss/total", "loss/out", "loss/deep3", "val/Dice", "val/loss", "train/lr", "train/seconds"}
    assert groups <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("val/Dice")] == [1, 2]
    assert events.Tags()["images"] == ["val/samples"]
    (start,) = [
        HParamsPluginData.FromString(value).session_start_info
        for name, value in events.PluginTagToContent("hparams").items()
        if name.endswith("session_start_info")
    ]
    assert start.hparams["lr"].number_value == 1e-3 and start.hparams["loss_weights"].string_value == "out=2"
    assert "train_data_path" not in start.hparams


def test_an_epochs_line_says_loss_scores_and_the_time_left(data, tmp_path, capsys):
    assert train(data, tmp_path, "--epoch", "2") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    scores = r"loss \d\.\d{{3}} Dice 0\.\d+ IoU 0\.\d+ MAE 0\.\d+( \(best Dice\))?"
    form = rf"epoch {{}}/2: loss \d+\.\d{{{{3}}}}, held out {scores}, \d+ s"
    assert re.fullmatch(form.format(1) + r", \d+ s left", lines[0])
    assert re.fullmatch(form.format(2), lines[1]), "nothing is left at the end"


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ([], "42 min"),  # 5 epochs of 4 steps left, at 126 s a step
        (["--budget", "12steps"], "17 min"),  # 8 steps
        (["--budget", "10minutes"], "76 s"),  # 10 minutes less the 524 s since the run began
        (["--budget", "1epochs"], ""),
    ],
)
def test_the_time_left_follows_the_pace_of_this_start_and_the_budget(flags, left, monkeypatch):
    config = parse_train_args(["--epoch", "6", *flags]).config
    run = SimpleNamespace(config=config, epoch=1, batches=range(4), steps=4, first_step=0, began=20.0, started=0.0)
    monkeypatch.setattr("time.monotonic", lambda: 524.0)  # 504 s for 4 steps
    assert Trainer.time_left(run) == (f", {left} left" if left else "")


@pytest.mark.parametrize(("seconds", "text"), [(45.4, "45 s"), (89, "89 s"), (91, "2 min"), (3900, "1 h 05 min")])
def test_a_duration_is_written_to_be_read(seconds, text):
    assert duration(seconds) == text


def test_a_checkpoint_is_plain_data_with_the_promised_entries(straight):
    content = state(straight)
    assert {"epoch", "model_state_dict", "optimizer_state_dict", "config", "format_version"} <= content.keys()
    assert content["epoch"] == 2 and content["format_version"] == 2
    scores = content["scores"]
    assert len(scores) == 2
    assert state(straight, "best.pth")["epoch"] == 1 + scores.index(max(scores))


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_an_interrupted_run_goes_on_with_the_same_bits(data, straight, steps, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        interrupt_after(patched, steps)
        assert train(data, tmp_path, "--epoch", "2", "--ema", "0.9", "--train_model_save_epoch", "1") == 130
    assert f"--load_checkpoint_path {tmp_path / 'last.pth'}" in capsys.readouterr().err
    torch.manual_seed(12345)  # whatever this process drew meanwhile must not matter
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "last.pth")]) == 0
    first, second = state(straight), state(tmp_path)
    for name in ("config", "generators", "seconds"):
        first.pop(name), second.pop(name)
    assert_equal(first, second)
    rows = [list(csv.DictReader((folder / "log.csv").open())) for folder in (straight, tmp_path)]
    for run_rows in rows:
        for row in run_rows:
            row.pop("seconds")
    assert rows[0] == rows[1]


def test_a_preempted_run_asks_to_be_run_again(data, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 1, signal.SIGTERM)
    assert train(data, tmp_path, "--epoch", "1") == 75
    assert state(tmp_path)["step"] == 1


def test_more_epochs_can_be_asked_of_a_finished_run(data, straight, tmp_path):
    flags = ["--epoch", "3", "--train_model_save_path", str(tmp_path)]
    assert myTrain.main(["--load_checkpoint_path", str(straight / "last.pth"), *flags]) == 0
    assert state(tmp_path)["epoch"] == 3


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_parts(data, tmp_path, monkeypatch, capsys):
    original = TrainStep.__call__

    def poisoned(self, *args, **keywords):
        self.model.head2.bias.data.fill_(float("nan"))
        original(self, *args, **keywords)

    monkeypatch.setattr(TrainStep, "__call__", poisoned)
    assert train(data, tmp_path, "--epoch", "1") == 1
    assert "the loss is not finite in epoch 1 at step 1 (loss nan, logit2 nan)" in capsys.readouterr().err
    assert not (tmp_path / "last.pth").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--amp", "bf16", "--clip_mode", "norm", "--optimizer", "AdamW"],
        ["--multi_scale_training", "True", "--optimizer", "SGD", "--gradient_clip", "0"],
    ],
)
def test_other_ways_to_train_run(data, tmp_path, flags, monkeypatch):
    monkeypatch.setattr(train_config, "MULTI_SCALE_SIZES", (32, 64))
    assert train(data, tmp_path, "--epoch", "1", *flags) == 0
    assert all(value.isfinite().all() for value in state(tmp_path)["model_state_dict"].values())


def test_multi_scale_resizes_the_batch_as_it_was_loaded(data, tmp_path, monkeypatch):
    monkeypatch.setattr(train_config, "MULTI_SCALE_SIZES", (32, 64, 96))
    seen = []

    def look(self, inputs, mask, images):
        seen.append((inputs["image"], mask))
        self.losses.add(*zeros(), share=1.0)
        self.losses.end_step()

    monkeypatch.setattr(TrainStep, "__call__", look)
    train(data, tmp_path, "--epoch", "1", "--multi_scale_training")
    assert [image.shape[-1] for image, _ in seen[:3]] == [32, 64, 96]
    loaded = seen[1][0]
    expected = torch.nn.functional.interpolate(loaded, size=(96, 96), mode="bilinear", align_corners=True)
    assert torch.allclose(seen[2][0], expected)
    assert seen[0][1].shape[-1] == 32


def test_scales_train_each_batch_at_one_size_drawn_by_seed_epoch_and_step(data, tmp_path, monkeypatch):
    seen = []

    def look(self, inputs, mask, images):
        assert inputs["image"].shape[-1] == mask.shape[-1]
        seen.append(mask.shape[-1])
        self.losses.add(*zeros(), share=1.0)
        self.losses.end_step()

    monkeypatch.setattr(TrainStep, "__call__", look)
    train(data, tmp_path, "--epoch", "8", "--scales", "0.5", "1", "1.5")
    config = TrainConfig(train_size=64, scales=(0.5, 1, 1.5))
    assert len(seen) == 8 * 3 and set(seen) == {32, 64, 96}
    assert seen == [size for epoch in range(1, 9) for step in range(3) for size in config.sizes_of_step(epoch, step)]
    other = dataclasses.replace(config, seed=1)
    assert seen != [size for epoch in range(1, 9) for step in range(3) for size in other.sizes_of_step(epoch, step)]


@pytest.mark.parametrize(
    ("size", "scales", "expected"),
    [
        (352, (0.75, 1, 1.25), (256, 352, 448)),  # 264 and 440 are rounded to 32, as in PraNet's code
        (100, (0.1, 1), (32, 100)),
        (352, (), (352,)),
    ],
)
def test_scales_are_rounded_to_what_networks_take(size, scales, expected):
    assert TrainConfig(train_size=size, scales=scales).train_sizes == expected


NEW_PARTS = ["--scales", "0.5", "1", "--mixtures", "sum=1", "product=0.5", "--schedule", "cosine", "--augment"]
NEW_PARTS += ["flip", "hue", "tint", "gamma", "shading", "texture", "blur", "noise", "mask_border"]


def test_sizes_mixtures_and_appearance_go_on_with_the_same_bits(data, tmp_path, monkeypatch):
    assert train(data, tmp_path / "straight", "--epoch", "2", *NEW_PARTS) == 0
    with monkeypatch.context() as patched:
        interrupt_after(patched, 4)
        assert train(data, tmp_path / "again", "--epoch", "2", *NEW_PARTS) == 130
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "again" / "last.pth")]) == 0
    first, second = state(tmp_path / "straight"), state(tmp_path / "again")
    for name in ("config", "generators", "seconds"):
        first.pop(name), second.pop(name)
    assert_equal(first, second)
    assert {"sum", "product"} <= set(next(csv.DictReader((tmp_path / "straight" / "log.csv").open())))


def zeros():
    return torch.zeros(()), {"out": torch.zeros(())}


def test_training_starts_from_published_weights(data, tmp_path):
    from tests.helpers.golden import published_state

    torch.save({"model_state_dict": published_state("sepnet_pvt-v2-b0"), "epoch": 9}, tmp_path / "released.pth")
    flags = ["--net_backbone", "pvt-v2-b0", "--net_planes", "64", "--budget", "1steps"]
    flags += ["--load_checkpoint_path", str(tmp_path / "released.pth")]
    assert train(data, tmp_path / "run", "--epoch", "1", *flags) == 0
    assert state(tmp_path / "run")["epoch"] == 1


@pytest.mark.parametrize(("amp", "told"), [("fp16", True), ("bf16", False), ("off", False)])
def test_half_precision_on_a_cpu_is_told_to_be_slow(tmp_path, capsys, amp, told):
    assert train(tmp_path / "nowhere", tmp_path / "run", "--device", "cpu", "--amp", amp) == 2
    note = "note: --amp fp16 on a CPU trains many times slower than float32; leave it out, or take bf16"
    assert (note in capsys.readouterr().err) == told


@pytest.mark.gpu
@pytest.mark.parametrize("amp", ["off", "bf16", "fp16"])
def test_cuda_trains_in_every_precision(data, tmp_path, amp):
    assert train(data, tmp_path, "--epoch", "2", "--device", "cuda", "--amp", amp) == 0
    assert all(value.isfinite().all() for value in state(tmp_path)["model_state_dict"].values())
