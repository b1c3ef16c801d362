"""Shared by all tests: one thread a process, phantoms that are drawn once, CUDA tests skipped where there is no GPU."""

import os
import resource

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once a process, before the first CUDA computation

import pytest
import torch

from utils.phantom import write_clips, write_stills


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def stills(tmp_path_factory):
    """`stills(count=10, size=(64, 80))`: a folder with images/ and masks/, to read only; drawn once for all tests."""
    return drawn_once(tmp_path_factory, write_stills)


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """`clips(split="TrainDataset", cases=2)`: the root of a split of clips, to read only; drawn once for all tests."""
    return drawn_once(tmp_path_factory, write_clips)


@pytest.fixture
def small_files():
    """No file grows beyond 100 kB in this process: a write that would fails as on a full disk, with another reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def drawn_once(tmp_path_factory, write):
    folders = {}

    def draw(**options):
        key = tuple(sorted(options.items()))
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("phantoms")
            write(folders[key], **options)
        return folders[key]

    return draw
