"""What a loader's processes are like, and how many there are."""

import os

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from utils.data.loader import make_loader, worker_count

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Loading(Dataset):
    """How whoever loads is set: OpenCV's threads, PyTorch's, the process group."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return cv2.getNumThreads(), torch.get_num_threads(), os.getpgrp()


@pytest.fixture
def several_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 0)  # starts them
    yield
    cv2.setNumThreads(before)


def load_once(workers):
    return [
        value.item() for value in next(iter(make_loader(Loading(), batch_sampler=[[0]], workers=workers, device=CPU)))
    ]


def test_a_worker_has_one_thread_and_is_out_of_reach_of_signals_to_the_main_ones_group(several_threads):
    opencv, pytorch, group = load_once(workers=1)
    assert (opencv, pytorch) == (1, 1)
    assert group != os.getpgrp()
    assert cv2.getNumThreads() == 4, "the main process keeps its threads"


def test_without_workers_nothing_is_set(several_threads):
    opencv, _, group = load_once(workers=0)
    assert opencv == 4 and group == os.getpgrp()


def test_starting_a_loader_leaves_the_default_generator_alone():
    state = torch.get_rng_state()
    load_once(workers=1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers, persistent, kept", [(0, True, False), (1, True, True), (1, False, False)])
def test_processes_are_kept_where_there_are_any(workers, persistent, kept):
    loader = make_loader(Loading(), batch_sampler=[[0]], workers=workers, device=CPU, persistent=persistent)
    assert loader.persistent_workers == kept


@pytest.mark.parametrize("device, cores, count", [(CPU, 16, 1), (CUDA, 3, 2), (CUDA, 64, 16)])
def test_a_gpu_is_fed_by_the_cores_that_this_process_may_use(monkeypatch, device, cores, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert worker_count(None, device) == count
    assert worker_count(0, device) == 0 and worker_count(11, device) == 11
