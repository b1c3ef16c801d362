"""The released learning rates at chosen epochs."""

import pytest

from utils.schedule import learning_rate


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (1, 1e-5),
        (2, 1e-5 + 9e-5 / 30),
        (16, 1e-5 + 15 * 9e-5 / 30),
        (30, 1e-5 + 29 * 9e-5 / 30),
        (31, 1e-4),
        (80, 1e-4),
        (81, 5e-5),
        (131, 2.5e-5),
        (181, 1.25e-5),
        (231, 1e-5),  # 0.0625 of the base would be under the floor
        (1000, 1e-5),
    ],
)
def test_released_rates(epoch, rate):
    assert learning_rate(epoch, base=1e-4) == pytest.approx(rate, rel=1e-12)


def test_no_warmup_and_no_decay_is_constant():
    assert {learning_rate(epoch, base=3e-4, warmup=0, decay_rate=1) for epoch in range(1, 200)} == {3e-4}
