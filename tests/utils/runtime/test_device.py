"""The device of a command: by name, by number, and what is refused."""

import pytest
import torch

from measure.io import InputError
from utils.runtime import choose_device


@pytest.fixture
def two_gpus(monkeypatch):
    """Two CUDA devices; the list gets the numbers of those that are made the current one."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.parametrize(
    ("asked", "number"), [(("auto",), 0), (("cuda",), 0), (("cuda", 1), 1), (("cuda:1",), 1), (("cuda:0", 1), 0)]
)
def test_a_gpu_is_chosen_by_name_or_number(two_gpus, asked, number):
    assert choose_device(*asked) == torch.device("cuda", number) and two_gpus == [number]


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:one", "cpu:1", "mps", ""])
def test_a_name_that_is_none_is_not_taken_for_the_first_gpu(two_gpus, name):
    with pytest.raises(InputError, match="was asked for; there are auto, cpu, cuda, and cuda:1 and so on"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_refused(two_gpus):
    with pytest.raises(InputError, match="GPU 2 was asked for, and there are 2, numbered from 0; choose one of them"):
        choose_device("cuda:2")
