"""Calibration worked by hand, against the definition pixel by pixel, and its caution."""

from __future__ import annotations

import numpy as np
import pytest

from measure import Options, ScoreSet
from measure.metrics.scores import pair_scores
from measure.report import cautions
from measure.report.figures.plots import reliability_figure
from tests.helpers.report_results import result
from tests.measure.metrics.test_fast_path import random_pair


def plain(prediction: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """ECE and Brier score of pixels, bin by bin; levels are whole 255ths, so bins are told in them."""
    p, g, error = prediction / 255, mask > 128, 0.0
    for number in range(15):
        top = 256 if number == 14 else 17 * (number + 1)
        inside = (prediction >= 17 * number) & (prediction < top)
        if inside.any():
            error += inside.mean() * abs(p[inside].mean() - g[inside].mean())
    return error, ((p - g) ** 2).mean()


def test_pixels_of_four_fifths() -> None:
    """Ten pixels of p = 0.8: with eight of them polyp they are calibrated, with five 0.3 too sure."""
    prediction = np.full((1, 10), 204, np.uint8)
    for polyp, error, brier in ((8, 0.0, 0.16), (5, 0.3, 0.34)):
        mask = np.uint8([[255] * polyp + [0] * (10 - polyp)])
        numbers = pair_scores(prediction, mask, calibration=True).numbers
        assert (numbers["ECE"], numbers["Brier"]) == pytest.approx((error, brier))


def test_random_pairs_against_the_definition() -> None:
    for seed in range(60_000, 60_200):
        prediction, mask, options = random_pair(seed)
        numbers = pair_scores(prediction, mask, **options.of_pairs() | {"calibration": True}).numbers
        assert (numbers["ECE"], numbers["Brier"]) == pytest.approx(plain(prediction, mask), abs=1e-12), seed


def test_pooled_pixels_and_the_diagram() -> None:
    """One image too sure by 0.3, one too little by 0.2: pooled over pixels they nearly cancel."""
    prediction = np.full((1, 10), 204, np.uint8)
    scores = ScoreSet(calibration=True)
    for polyp in (5, 10):
        scores.add(str(polyp), prediction, np.uint8([[255] * polyp + [0] * (10 - polyp)]))
    found = scores.compute()
    assert found["datasets"]["set"]["ECE"] == pytest.approx(0.25)
    assert found["datasets"]["set"]["pooledECE"] == pytest.approx(0.05)
    diagram = found["reliability"]["set"]
    assert (diagram["pixels"][12], diagram["observed"][12]) == (20, 0.75)
    assert diagram["probability"][12] == pytest.approx(0.8)
    figure = reliability_figure([result("A", {"set": {}}, reliability=found["reliability"])], ["set"])
    assert np.nanmax(figure.axes[0].lines[1].get_ydata()) == 0.75


def test_stretched_maps_get_a_caution() -> None:
    stretched = {"prediction": {"options": {"minmax": True}}}
    run = result("A", {"S": {"ECE": 0.1}}, options=stretched)
    assert any("judge probabilities, which stretched maps do not hold" in sentence for sentence in cautions([run]))
    assert not any("ECE" in sentence for sentence in cautions([result("A", {"S": {"ECE": 0.1}})]))
    assert Options(calibration=True).record()["calibration"] is True
