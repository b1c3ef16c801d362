"""What tests of training runs share: looking into checkpoints, and stopping a run in its midst."""

import os
import signal

import torch

import myTrain
from utils.training.step import TrainStep

# SEPNet on the smallest encoder of timm: what takes time is how many operations there are, not how large they are
TINY_SEPNET = "--net_backbone test_resnet --net_planes 16 --net_pretrained_backbone_path none".split()
QUICK = "--model scrnet --train_size 32 --batch_size 4 --device cpu --workers 0".split()


def train_quickly(data, folder, *flags, epoch=1):
    """Train SCR-Net on small inputs by myTrain.py; returns the exit status."""
    where = ["--train_data_path", data, "--train_model_save_path", folder, "--epoch", epoch]
    return myTrain.main(list(map(str, [*where, *QUICK, *flags])))


def state(folder, name="last.pth"):
    return torch.load(folder / name, weights_only=True)


def assert_equal(first, second, path=""):
    """Every tensor and number of two nested states is the same, bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_equal(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), path
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_equal(*pair, f"{path}/{index}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    else:
        assert first == second, path


def interrupt_after(monkeypatch, steps, number=signal.SIGINT):
    """Send this process a signal after so many training steps."""
    done = []
    original = TrainStep.__call__

    def step(self, *args, **keywords):
        original(self, *args, **keywords)
        done.append(1)
        if len(done) == steps:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(TrainStep, "__call__", step)
