"""A command keeps the memory of its tensors, unless the user or the C library says otherwise."""

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from utils.runtime.cpu_memory import keep_freed_memory

ROOT = Path(__file__).parents[3]
STEPS = """
import resource
import torch
from utils.runtime import run

def main():
    for step in range(10):  # blocks of the right lengths are found after some
        first = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        layers = [torch.ones(16 << 20) for _ in range(3)]  # of 64 MiB
        del layers
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - first)

run(main)
"""
PAGES = 3 * (64 << 20) // resource.getpagesize()  # of the tensors of a step

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is told")


def cleared_pages(**environment):
    """Pages that the kernel hands to the last step of a process."""
    inherited = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", STEPS], cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@glibc
def test_a_step_gets_the_pages_of_the_one_before():
    assert cleared_pages() < PAGES / 20


@glibc
def test_what_the_user_sets_of_glibc_holds():
    assert cleared_pages(MALLOC_MMAP_THRESHOLD_="1000000") >= PAGES


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_nothing_is_changed_where_the_user_has_chosen(name):
    assert not keep_freed_memory({name: "1000000"})


def test_nothing_is_changed_with_another_c_library(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))  # what macOS, Windows and musl say
    assert not keep_freed_memory({})
