"""The commands as people type them, from data to scores; and every mistake ends in one line and status 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import myTest
import myTrain
from lib import create_model
from utils.commands.train_flags import parse_train_args
from utils.phantom import write_stills
from utils.training.setup import build_model

ROOT = Path(__file__).parents[2]
SMALL = ["--net_backbone", "pvt-v2-b0", "--net_pretrained_backbone_path", "none", "--train_size", "64"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A training set and a test root with one set."""
    root = tmp_path_factory.mktemp("data")
    write_stills(root / "TrainDataset", count=6, seed=0, size=(64, 80))
    write_stills(root / "TestDataset" / "Phantom", count=3, seed=0, size=(72, 90))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "sepnet.pth"
    torch.save(create_model("sepnet", backbone="pvt-v2-b0").state_dict(), path)
    return path


def shell(*words):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_no_help_waits_for_pytorch():
    """PyTorch takes seconds to load; every command prints its help without it."""
    code = (
        "import importlib, sys\nfrom tests.helpers.commands import COMMANDS\n"
        "for command, (module, verb) in COMMANDS.items():\n"
        "    assert importlib.import_module(module).main([*verb, '--help']) == 0, command\n"
        "    assert not sys.modules.keys() & {'torch', 'timm', 'scipy'}, command\n"
    )
    done = shell("-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_train_test_and_score_from_the_shell(data, tmp_path):
    run, maps, scores = tmp_path / "run", tmp_path / "maps", tmp_path / "scores"
    trained = shell(
        "myTrain.py", "--train_data_path", data / "TrainDataset", "--train_model_save_path", run, "--epoch", 1, *SMALL
    )
    assert trained.returncode == 0, trained.stderr
    assert "\r" not in trained.stderr, "progress bars are quiet when nobody watches"
    tested = shell(
        "myTest.py", "--model_state_dict_path", run / "best.pth", "--test_data_path", data / "TestDataset",
        "--pred_save_path", maps,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr
    assert json.loads((maps / "predict.json").read_text())["options"]["size"] == 64  # as trained
    scored = shell("-m", "measure", "--GT_root", data / "TestDataset", "--pred_root", maps, "--out", scores)
    assert scored.returncode == 0, scored.stderr
    values = json.loads((scores / "scores.json").read_text())["datasets"]["Phantom"]
    assert 0 <= values["Dice"] <= 1 and "Phantom" in scored.stdout


def train(data, *flags):
    return myTrain.main(["--train_data_path", str(data), "--device", "cpu", "--workers", "0", "--epoch", "1", *flags])


def write_maps(*flags):
    return myTest.main(["--device", "cpu", "--workers", "0", "--net_backbone", "pvt-v2-b0", *map(str, flags)])


def one_line(capsys):
    """What stands on stderr: a single line without a traceback."""
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "unet"], "--model unet was given; expected one of "),
        (["--net_backbone", "pvt"], "unknown backbone 'pvt'; known are pvt-v2-b0"),
        (["--train_size", "100"], "--train_size 100 was given; sepnet needs a multiple of 32"),
        (["--model", "scrnet", "--net_backbone", "resnet50"], "scrnet has no option backbone; its options are"),
        (["--epoch", "0"], "--epoch 0 was given; it must be at least 1"),
        (["--load_checkpoint_path", "nowhere.pth"], "there is no weight file nowhere.pth"),
        (["--net_pretrained_backbone_path", "nowhere.pth"], "there is no weight file nowhere.pth"),
        (["--val_data_path", "nowhere"], "no folder nowhere"),
    ],
)
def test_training_mistakes(data, tmp_path, capsys, flags, message):
    folder = tmp_path / "run"
    assert train(data / "TrainDataset", *SMALL, "--train_model_save_path", str(folder), *flags) == 2
    assert message in one_line(capsys)
    assert not folder.exists(), "nothing is written before the mistake is found"


def test_cuda_asked_for_and_absent(data, weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train(data / "TrainDataset", *SMALL, "--device", "cuda", "--train_model_save_path", str(tmp_path)) == 2
    assert "GPU 0 was asked for, and there is no CUDA device; use the device cpu" in one_line(capsys)


def test_cuda_graphs_asked_for_on_a_cpu(data, weights, tmp_path, capsys):
    words = ["--test_data_path", str(data / "TestDataset"), "--pred_save_path", str(tmp_path / "maps")]
    words += ["--model_state_dict_path", str(weights), "--net_backbone", "pvt-v2-b0", "--device", "cpu"]
    assert myTest.main([*words, "--cuda_graphs"]) == 2
    assert "--cuda_graphs was given for the device cpu; it needs a CUDA device: leave it out" in one_line(capsys)
    assert myTest.main([*words, "--cuda_graphs", "--heatmap"]) == 2
    assert "--heatmap was given with --cuda_graphs" in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_a_run_folder_that_cannot_be_made(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train(data / "TrainDataset", *SMALL, "--train_model_save_path", str(tmp_path / "file" / "run")) == 2
    assert "cannot create the folder" in one_line(capsys)


def test_an_unpaired_training_set(data, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for image in (data / "TrainDataset" / "images").iterdir():
        (tmp_path / "images" / image.name).write_bytes(image.read_bytes())
    assert train(tmp_path, *SMALL) == 2
    told = one_line(capsys)
    assert "no image in" in told and f"{tmp_path / 'masks'}" in told


@pytest.mark.slow
def test_testing_mistakes(data, weights, tmp_path, capsys):
    images = data / "TestDataset"
    write_maps(
        "--model_state_dict_path", weights, "--test_data_path", tmp_path / "nowhere", "--pred_save_path", tmp_path
    )
    assert "no folder" in one_line(capsys)
    assert write_maps("--model_state_dict_path", weights, "--test_data_path", images, "--test_size", 100) == 2
    assert "--test_size 100 was given; sepnet needs a multiple of 32" in one_line(capsys)
    assert write_maps("--model_state_dict_path", weights, "--test_data_path", images, "--model", "convsegnet") == 2
    assert one_line(capsys)
    assert (
        write_maps("--model_state_dict_path", weights, "--test_data_path", images, "--net_backbone", "pvt-v2-b1") == 2
    )
    assert "does not fit the network" in one_line(capsys)
    (tmp_path / "file").write_text("")
    assert (
        write_maps(
            "--model_state_dict_path", weights, "--test_data_path", images, "--pred_save_path", tmp_path / "file"
        )
        == 2
    )
    assert "cannot create the folder" in one_line(capsys)


@pytest.mark.slow
def test_an_unreadable_image_is_named(weights, tmp_path, capsys):
    write_stills(tmp_path / "images", count=2, seed=0, size=(64, 80))
    broken = tmp_path / "images" / "images" / "phantom_0002.jpg"
    broken.write_bytes(broken.read_bytes()[:500])
    assert (
        write_maps(
            "--model_state_dict_path", weights, "--test_data_path", tmp_path / "images", "--pred_save_path", tmp_path
        )
        == 2
    )
    assert "cannot read" in (line := one_line(capsys)) and "phantom_0002.jpg" in line


@pytest.mark.slow
def test_an_error_in_a_loader_process_is_still_one_line(weights, tmp_path, capsys):
    write_stills(tmp_path / "set", count=2, seed=0, size=(64, 80))
    (tmp_path / "set" / "images" / "phantom_0001.jpg").write_bytes(b"")
    flags = [
        "--model_state_dict_path",
        weights,
        "--test_data_path",
        tmp_path / "set",
        "--pred_save_path",
        tmp_path / "out",
    ]
    assert (
        myTest.main(list(map(str, [*flags, "--net_backbone", "pvt-v2-b0", "--device", "cpu", "--workers", "1"]))) == 2
    )
    assert "phantom_0001.jpg: the file is empty" in one_line(capsys)


def test_a_released_command_line_is_understood():
    command = parse_train_args(
        "--epoch 100 --lr 1e-4 --optimizer AdamW --batch_size 3 --train_size 352 --gradient_clip 0.5 "
        "--lr_decay_rate 0.5 --lr_decay_epoch 50 --gpu_id 0 --train_data_path a --train_model_save_path b "
        "--train_model_save_epoch 50 --multi_scale_training False "
        "--net_backbone pvt-v2-b2 --net_planes 64 --net_pgs_reduction_scale 4 "
        "--net_pgs_se_channel_reduction 16 --net_df_channel_reduction 4 4 --net_sc_middle_channle_scale 2 "
        "--net_sc_ksize 3 3 3 --net_sc_hidden_scale 32 --net_sc_gas_ksize 1 --net_sc_gas_ksize_scale 15 15 15 "
        "--net_pretrained_backbone_path none".split()
    )
    assert command.config.multi_scale_training is False
    with torch.device("meta"):  # the widths of the whole network without its numbers
        assert build_model(command.config, command.start, None).config == create_model("sepnet").config


def test_network_flags_reach_the_network():
    command = parse_train_args(
        "--net_backbone pvt-v2-b0 --net_planes 32 --net_pgs_reduction_scale 2 --net_pgs_se_channel_reduction 8 "
        "--net_df_channel_reduction 2 8 --net_sc_middle_channle_scale 1 --net_sc_ksize 3 5 1 --net_sc_hidden_scale 8 "
        "--net_sc_gas_ksize 1 --net_sc_gas_ksize_scale 3 7 9 --net_pretrained_backbone_path none".split()
    )
    model = build_model(command.config, command.start, None)
    assert model.map2.merge.conv.in_channels == 4 * 16
    assert model.map2.se.squeeze.out_features == 4
    assert model.crc1.fuse_focus.global_context[1].out_channels == 16
    assert model.crc1.fuse_result.global_context[1].out_channels == 4
    assert model.pse2.layers[0].conv.out_channels == 32
    assert (
        model.pse2.layers[0].conv.predict[0].output_size == 5 and model.pse3.layers[0].conv.predict[0].output_size == 1
    )
    assert model.pse2.layers[0].conv.predict[1].out_channels == 16
    assert (
        model.pse2.layers[0].conv.guide_kernel.shape[-1] == 7 and model.pse3.layers[0].conv.guide_kernel.shape[-1] == 9
    )
