"""The arithmetic of data parallel runs, by hand."""

import pytest

from utils.benchmark.command import main
from utils.benchmark.scaling import Ring, table


def test_a_ring_moves_the_gradients_almost_twice():
    ring = Ring(bandwidth=1e9, latency=1e-3)
    assert ring.seconds(1, 100_000_000) == 0
    assert ring.seconds(2, 100_000_000) == pytest.approx(0.1 + 0.002)
    assert ring.seconds(4, 100_000_000) == pytest.approx(0.15 + 0.006)


def test_averaging_is_hidden_behind_the_backward_at_best():
    text = table(0.090, 4, 100_000_000, Ring(1e9, 0), [1, 2])
    assert "| 1 | 4 | 0.0 | 90.0 to 90.0 | 44.4 to 44.4 | 100% to 100% |" in text
    # 100 ms of averaging: 60 ms of backward hide the first of it
    assert "| 2 | 8 | 100.0 | 130.0 to 190.0 | 42.1 to 61.5 | 47% to 69% |" in text


def test_the_verb_counts_the_parameters(capsys):
    flags = ["--step_ms", "50", "--batch_size", "2", "--bandwidth", "10", "--processes", "1", "8"]
    assert main(["scaling", "--model", "scrnet", *flags]) == 0
    said = capsys.readouterr().out
    assert "scrnet: 3 MB of gradients" in said and "| 8 | 16 |" in said
    assert main(["scaling", "--step_ms", "0", "--batch_size", "2", "--bandwidth", "10"]) == 2
