"""Learning rates at chosen points, worked out by hand."""

import pytest
import torch

from utils.training.schedule import SCHEDULES, Progress, Schedule, epochs_since_best


def at(epoch, step=0, *, epochs=100, steps=10, scores=()):
    return Progress(epoch=epoch, step=step, epochs=epochs, steps=steps, scores=scores)


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
def test_sepnets_released_rates(epoch, rate):
    assert Schedule(base=1e-4).rate(at(epoch)) == pytest.approx(rate, rel=1e-12)
    assert Schedule(base=1e-4).rate(at(epoch, 9)) == Schedule(base=1e-4).rate(at(epoch))


def test_no_warmup_and_no_decay_is_constant():
    schedule = Schedule(base=3e-4, warmup=0, decay_rate=1)
    assert {schedule.rate(at(epoch)) for epoch in range(1, 200)} == {3e-4}


def test_steps_go_down_without_end():
    schedule = Schedule(kind="steps", base=1e-4, decay_rate=0.1, decay_epochs=50)
    rates = {epoch: schedule.rate(at(epoch)) for epoch in (1, 50, 51, 100, 101, 151)}
    assert rates == pytest.approx({1: 1e-4, 50: 1e-4, 51: 1e-5, 100: 1e-5, 101: 1e-6, 151: 1e-7})


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-5),
        (10, 1e-5 + 9.9e-4 * 0.5**0.9),
        (19, 1e-5 + 9.9e-4 * 0.95**0.9),
        (20, 1e-3),
        (60, 1e-3 * 0.5**0.9),
        (99, 1e-3 * (1 / 80) ** 0.9),
    ],
)
def test_scrnets_rates(step, rate):
    """Ten epochs of ten steps, two of them warm-up: by the paper's text."""
    schedule = Schedule(kind="poly", base=1e-3, lowest=0.01, warmup=2)
    assert schedule.rate(at(1 + step // 10, step % 10, epochs=10)) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-5),
        (10, 1e-5 + 9.9e-4 * 0.5),
        (20, 1e-3),
        (40, 1e-3 * (1 + 0.5**0.5) / 2),  # a quarter of the decay: cos 45 degrees
        (60, 5e-4),
        (80, 1e-3 * (1 - 0.5**0.5) / 2),
    ],
)
def test_the_cosine_falls_after_a_linear_warm_up(step, rate):
    """Ten epochs of ten steps, two of them warm-up."""
    schedule = Schedule(kind="cosine", base=1e-3, lowest=0.01, warmup=2)
    assert schedule.rate(at(1 + step // 10, step % 10, epochs=10)) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-5), (10, 1e-5 * 1.5**0.9), (19, 1e-5 * 1.95**0.9), (20, 1e-3)])
def test_scrnets_warm_up_as_printed_ends_at_twice_its_start(step, rate):
    schedule = Schedule(kind="poly_as_printed", base=1e-3, lowest=0.01, warmup=2)
    assert schedule.rate(at(1 + step // 10, step % 10, epochs=10)) == pytest.approx(rate, rel=1e-12)


def test_the_plateau_waits_more_than_its_patience():
    schedule = Schedule(kind="plateau", base=1e-4, decay_rate=0.1, decay_epochs=2)
    scores = [0.5, 0.6, 0.6, 0.55, 0.4, 0.1, 0.2, 0.3, 0.9]
    rates = [schedule.rate(at(1 + n, scores=scores[:n])) for n in range(len(scores) + 1)]
    assert rates == pytest.approx([1e-4] * 5 + [1e-5] * 3 + [1e-6] * 2)


def test_the_plateau_is_pytorchs():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(200, generator=generator).cumsum(0).sin().tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=5, threshold=0, min_lr=0, eps=0
    )
    schedule = Schedule(kind="plateau", base=1.0, decay_rate=0.5, decay_epochs=5)
    for n, score in enumerate(scores, start=1):
        theirs.step(score)
        assert schedule.rate(at(n + 1, scores=scores[:n])) == optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_rate_is_positive_and_none_exceeds_the_base(kind):
    schedule = Schedule(kind=kind, base=1e-3, lowest=0.01, warmup=3)
    rates = [schedule.rate(at(epoch, step, epochs=20)) for epoch in range(1, 21) for step in range(10)]
    assert all(0 < rate <= 1e-3 for rate in rates)


def test_epochs_since_the_best_score():
    assert epochs_since_best([]) == 0
    assert epochs_since_best([0.3]) == 0
    assert epochs_since_best([0.3, 0.5, 0.5, 0.4]) == 2  # an equal score is no better one
