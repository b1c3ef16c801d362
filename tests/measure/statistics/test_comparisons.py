"""Tests, corrections, ranks and seeds against numbers worked by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from measure.statistics import Bootstrap, bootstrap_ranks, holm, paired_test, seed_effect
from measure.statistics.ranking import kendall_tau


def test_holm_by_hand() -> None:
    """Sorted .01 .02 .03 .04 times 4 3 2 1 are .04 .06 .06 .04; none may be below an earlier one."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def signed_rank_p(differences: np.ndarray) -> float:
    """P of the signed-rank test from all 2^n choices of signs, as it is defined."""
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    sums = [np.dot(ranks, signs) for signs in product((0, 1), repeat=len(kept))]
    found = ranks[kept > 0].sum()
    return min(1.0, 2 * min(np.mean(np.array(sums) <= found), np.mean(np.array(sums) >= found)))


@pytest.mark.parametrize("seed", range(6))
def test_signed_ranks_with_ties_and_zeros_by_all_signs(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-2, 4, 12) / 10
    found = paired_test(differences, [str(i) for i in range(12)], Bootstrap(99))
    assert found.p == pytest.approx(signed_rank_p(differences))


def test_five_differences_of_one_sign_among_ten_units_are_no_significant_ones() -> None:
    """By chance all five have one sign in 2 of 32 times; the normal approximation says 0.04."""
    found = paired_test(np.array([0.1, 0.2, 0.3, 0.4, 0.5, *[0.0] * 5]), list("abcdefghij"), Bootstrap(99))
    assert found.p == pytest.approx(2 / 32)


def test_of_very_many_differences_p_is_scipys_approximation() -> None:
    differences = np.random.default_rng(0).normal(0.02, 0.1, 80).round(2)
    found = paired_test(differences, [f"{i:02}" for i in range(80)], Bootstrap(99))
    assert found.p == pytest.approx(stats.wilcoxon(differences, method="approx").pvalue)


def test_a_paired_test_counts_wins_and_asks_scipy() -> None:
    differences = np.array([0.1, 0.2, -0.05, 0.3, 0.0, 0.12, 0.07, 0.4, -0.02, 0.11, 0.09])
    found = paired_test(differences, [str(i) for i in range(11)], Bootstrap(999))
    assert (found.wins, found.losses, found.units) == (8, 2, 11)
    assert found.difference == pytest.approx(differences.mean())
    assert found.p == pytest.approx(signed_rank_p(differences))  # there is a zero, for which SciPy only approximates
    without = paired_test(differences + 0.001, [str(i) for i in range(11)], Bootstrap(99))
    assert without.p == pytest.approx(stats.wilcoxon(differences + 0.001, method="exact").pvalue)
    assert found.interval[0] > 0


def test_equal_methods_are_not_told_apart() -> None:
    found = paired_test(np.zeros(20), [str(i) for i in range(20)], Bootstrap(99))
    assert (found.difference, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_images_of_a_group_are_one_unit() -> None:
    """Ten groups of a hundred equal frames each say as much as ten images."""
    means = np.linspace(-0.1, 0.2, 10)
    alone = paired_test(means, [f"{i:02}" for i in range(10)], Bootstrap(999))
    frames = paired_test(np.repeat(means, 100), [f"{i:02}" for i in range(10) for _ in range(100)], Bootstrap(999))
    assert (frames.wins, frames.losses, frames.units) == (alone.wins, alone.losses, 10)
    assert [frames.difference, *frames.interval] == pytest.approx([alone.difference, *alone.interval])
    assert frames.p == pytest.approx(alone.p)


def test_ranks_and_their_stability() -> None:
    """A is best on every image; B and C change places from image to image."""
    random = np.random.default_rng(0)
    b, c = random.random((2, 30)) / 10
    scores = np.stack([np.full(30, 0.9), b, c], axis=1)
    ranks = bootstrap_ranks(scores, np.ones(30), higher_is_better=True, bootstrap=Bootstrap(1000))
    assert ranks.ranks[0] == 1 and set(ranks.ranks[1:]) == {2, 3}
    assert ranks.intervals[0].tolist() == [1, 1]
    assert ranks.intervals[1:].tolist() == [[2, 3], [2, 3]]
    assert ranks.first.tolist() == [1, 0, 0]
    assert 1 / 3 < ranks.agreement < 1
    lower = bootstrap_ranks(scores, np.ones(30), higher_is_better=False, bootstrap=Bootstrap(10))
    assert lower.ranks[0] == 3


def test_rankings_that_never_differ_agree_with_ties_too() -> None:
    """Two methods of equal maps and a third one: every resample ranks them 1.5, 1.5, 3; alone, two equal ones 1.5."""
    scores = np.array([[0.9, 0.9, 0.4]] * 12)
    for methods in (3, 2, 1):
        ranks = bootstrap_ranks(scores[:, :methods], np.ones(12), higher_is_better=True, bootstrap=Bootstrap(50))
        assert ranks.agreement == 1
    random = np.random.default_rng(0)
    rows, found = random.integers(1, 4, (40, 5)).astype(float), np.array([1.0, 2.5, 2.5, 4.0, 5.0])
    rows = rows[np.ptp(rows, axis=1) > 0]
    assert kendall_tau(rows, found) == pytest.approx([stats.kendalltau(row, found).statistic for row in rows])


def test_seeds_explain_what_methods_do_not() -> None:
    """Means .8 and .9, deviation sqrt(2) / 100: within 2e-4, between methods 2 * 2 * .05^2 = .01."""
    found = seed_effect({"A": [0.79, 0.81], "B": [0.89, 0.91]})
    assert found.means == pytest.approx({"A": 0.8, "B": 0.9})
    assert found.deviations == pytest.approx({"A": 0.02 / np.sqrt(2), "B": 0.02 / np.sqrt(2)})
    assert found.seed_share == pytest.approx(2e-4 / (2e-4 + (0.01 - 2e-4) / 2))
    assert seed_effect({"A": [0.8, 0.9]}).seed_share is None
    assert seed_effect({"A": [0.8], "B": [0.9]}).deviations == {"A": None, "B": None}
    assert seed_effect({"A": [0.7, 0.9], "B": [0.7, 0.9]}).seed_share == 1.0
