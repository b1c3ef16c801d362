"""--deterministic: what it switches, what it puts in place of PyTorch's own, and two runs of equal bits."""

import os
import shlex
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import myTrain
from tests.helpers.runs import assert_equal, state
from utils.phantom import write_stills
from utils.runtime.determinism import deterministic, pool_by_product

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("size", "windows"), [((11, 11), 3), ((44, 22), (3, 5)), ((7, 9), 1), ((4, 6), (8, 6))])
def test_pooling_by_product_is_adaptive_pooling(size, windows):
    ours = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    expected = F.adaptive_avg_pool2d(theirs, windows)
    pooled = pool_by_product(ours, windows)
    assert torch.allclose(pooled, expected, rtol=0, atol=1e-13)
    weight = torch.randn_like(expected)
    (pooled * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("model", "only_warns"), [("sepnet", False), ("scrnet", True), ("sali", True)])
def test_the_choice_ends_with_the_block(monkeypatch, capsys, model, only_warns):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with deterministic(False, model=model):
        assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyError), deterministic(model=model):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() == only_warns
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        raise KeyError
    assert not torch.are_deterministic_algorithms_enabled()
    assert ("is not deterministic" in capsys.readouterr().err) == only_warns


def runs_twice(tmp_path, device):
    write_stills(tmp_path / "data", count=6, seed=0, size=(64, 80))
    flags = "--epoch 1 --train_size 64 --net_backbone pvt-v2-b0 --net_planes 16 --workers 0 --deterministic".split()
    flags += ["--net_pretrained_backbone_path", "none", "--device", device]
    for name in ("first", "second"):
        where = ["--train_data_path", str(tmp_path / "data"), "--train_model_save_path", str(tmp_path / name)]
        assert myTrain.main([*where, *flags]) == 0
    first, second = state(tmp_path / "first"), state(tmp_path / "second")
    for entry in ("model_state_dict", "optimizer_state_dict", "losses", "scores"):
        assert_equal(first[entry], second[entry], entry)


def test_two_runs_have_the_same_bits(tmp_path):
    runs_twice(tmp_path, "cpu")


def command_of_the_card():
    """The flags of the command in the model card that trained the starter weights."""
    card = (ROOT / "checkpoint" / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = [line for line in card.splitlines() if "python myTrain.py " in line]
    words = shlex.split(line)
    return words[words.index("myTrain.py") + 1 :]


def test_two_epochs_of_the_starters_command_give_the_same_bits_again(stills, tmp_path):
    """The command as the card has it, on a few small synthetic images, without the files that do not come with us."""
    data = stills(count=6, seed=0, size=(64, 80))
    names = sorted(path.stem for path in (data / "images").iterdir())
    parts = {"--split": names[:4], "--val_split": names[4:]}
    small = ["--train_data_path", str(data), "--train_size", "64", "--epoch", "2", "--batch_size", "2"]
    small += ["--net_pretrained_backbone_path", "none", "--device", "cpu", "--workers", "0"]
    small += ["--no-cuda_graphs"]
    for flag, part in parts.items():
        (tmp_path / f"{flag}.txt").write_text("\n".join(part))
        small += [flag, str(tmp_path / f"{flag}.txt")]
    for name in ("first", "second"):
        torch.manual_seed(len(name))  # whatever was drawn before must not matter
        assert myTrain.main([*command_of_the_card(), *small, "--train_model_save_path", str(tmp_path / name)]) == 0
    first, second = state(tmp_path / "first"), state(tmp_path / "second")
    assert first["config"]["flags"]["ema"] and first["steps"] == 4
    for entry in ("model_state_dict", "ema_state_dict", "optimizer_state_dict", "losses", "scores"):
        assert_equal(first[entry], second[entry], entry)


@pytest.mark.gpu
def test_two_runs_on_cuda_have_the_same_bits(tmp_path):
    runs_twice(tmp_path, "cuda")
