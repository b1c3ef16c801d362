"""The fast path against the reference formulas, on small random pairs of every awkward kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from measure import Options
from measure.metrics import reference
from measure.metrics.border import border_scores
from measure.metrics.histograms import pair_histograms
from measure.metrics.scores import CURVES, pair_scores
from measure.metrics.weighted_f import weighted_f

SWEPT = ("Dice", "IoU", "Sen", "Spe")


def random_mask(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Empty, full, one pixel, a corner, the last row or column, a rectangle, blobs, scattered pixels, grey levels."""
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    kind = random.integers(9)
    if kind == 0:
        mask[random.integers(height), random.integers(width)] = 255
    elif kind == 1:
        mask[random.choice([0, -1]), random.choice([0, -1])] = 255
    elif kind == 2:
        mask[-1] = 255 * random.integers(0, 2, width)
    elif kind == 3:
        mask[:, -1] = 255 * random.integers(0, 2, height)
    elif kind == 4:
        top, left = random.integers(height), random.integers(width)
        mask[top : top + random.integers(1, height + 1), left : left + random.integers(1, width + 1)] = 255
    elif kind == 5:
        smooth = cv2.GaussianBlur(random.normal(size=shape), (0, 0), 3).reshape(shape)
        mask[smooth > smooth.mean()] = 255
    elif kind == 6:
        mask[random.random(shape) < random.random() ** 3] = 255
    elif kind == 7:
        mask[:] = random.integers(0, 256, shape)
    else:
        mask[:] = random.choice([0, 128, 129, 255])
    return mask


def random_map(random: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Noise, flat, the mask blurred, the mask itself or its inverse, sparse, flat in quadrants, flat to one side."""
    shape = mask.shape
    kind = random.integers(7)
    if kind == 0:
        levels = random.integers(0, 256, shape)
    elif kind == 1:
        levels = np.full(shape, random.integers(256))
    elif kind == 2:
        blurred = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), 2).reshape(shape)
        levels = np.clip(blurred + random.normal(size=shape) * random.integers(0, 30), 0, 255)
    elif kind == 3:
        levels = random.choice(np.stack([mask, 255 - mask]))
    elif kind == 4:
        levels = random.integers(0, 256, shape) * (random.random(shape) < 0.1)
    elif kind == 5:
        levels = np.full(shape, random.integers(256))
        levels[: random.integers(shape[0] + 1), : random.integers(shape[1] + 1)] = random.integers(256)
    else:
        levels = np.where(np.arange(shape[1]) < shape[1] // 2, random.integers(0, 256, shape), random.integers(256))
    return np.ascontiguousarray(levels).astype(np.uint8)


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray, Options]:
    random = np.random.default_rng(seed)
    mask = random_mask(random, tuple(random.integers(1, 24, 2)))
    options = Options(protocol=str(random.choice(["image", "vps"])), minmax=bool(random.integers(2)))
    return random_map(random, mask), mask, options


def assert_like_reference(prediction: np.ndarray, mask: np.ndarray, options: Options) -> None:
    ours = pair_scores(prediction, mask, **options.of_pairs())
    numbers, curves = reference.naive_scores(prediction, mask, minmax=options.minmax, ddof=options.ddof)
    numbers.pop("fnr")
    assert {key: ours.numbers[key] for key in numbers} == pytest.approx(numbers, abs=1e-9)
    for name, curve in zip(CURVES, ours.curves, strict=True):
        if name in SWEPT:
            np.testing.assert_array_equal(curve, curves[name], err_msg=name)
        else:
            np.testing.assert_allclose(curve, curves[name], rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 400, 50))
def test_random_pairs(start: int) -> None:
    for seed in range(start, start + 50):
        try:
            assert_like_reference(*random_pair(seed))
        except AssertionError as error:
            raise AssertionError(f"random_pair({seed}): {error}") from error


@pytest.mark.slow
def test_weighted_f_of_random_pairs() -> None:
    for seed in range(10_000, 11_500):
        prediction, mask, options = random_pair(seed)
        ours = weighted_f(pair_histograms(prediction, mask, minmax=options.minmax))
        expected = reference.weighted_f(*reference.prepare(prediction, mask, minmax=options.minmax))
        assert ours == pytest.approx(expected, abs=1e-9), seed


def test_border_region_of_random_pairs() -> None:
    for seed in range(20_000, 20_300):
        prediction, mask, options = random_pair(seed)
        ours = border_scores(prediction, mask, br_rate=5, minmax=options.minmax)
        expected = reference.naive_border_scores(prediction, mask, br_rate=5, minmax=options.minmax)
        if expected is None:
            assert np.isnan(ours["BR_mae"]) and np.isnan(ours["BR_wF"])
        else:
            assert ours == pytest.approx(expected, abs=1e-9), seed


def test_border_region_of_a_part_of_the_frame() -> None:
    """A band well inside the frame, at its edge, and of a rate that is even, on frames larger than its surroundings."""
    random = np.random.default_rng(5)
    for corner in ((0, 0), (60, 100), (150, 190), (75, 0)):
        mask = np.zeros((170, 210), np.uint8)
        mask[corner[0] : corner[0] + 20, corner[1] : corner[1] + 20] = random.choice([127, 128, 129, 255], (20, 20))
        for br_rate in (1, 4, 15, 40):
            for low in (0, 9):
                prediction = random.integers(low, 256, mask.shape).astype(np.uint8)
                ours = border_scores(prediction, mask, br_rate=br_rate, minmax=True)
                assert ours == pytest.approx(reference.naive_border_scores(prediction, mask, br_rate=br_rate), abs=1e-9)


@pytest.mark.parametrize("minmax", [True, False])
def test_weighted_f_where_distances_are_cut_off(minmax: bool) -> None:
    """A small mask far from a lit corner: the map beyond the window must not matter, the map within it must."""
    random = np.random.default_rng(3)
    for shape, level in (((420, 500), 3), ((500, 380), 255)):
        mask = np.zeros(shape, np.uint8)
        mask[40:44, 30:37] = 255
        prediction = random.integers(0, level + 1, shape).astype(np.uint8)
        prediction[mask > 0] = 200
        ours = weighted_f(pair_histograms(prediction, mask, minmax=minmax))
        assert ours == pytest.approx(
            reference.weighted_f(*reference.prepare(prediction, mask, minmax=minmax)), rel=0, abs=1e-9
        )


@pytest.mark.slow
def test_a_flat_quadrant_follows_the_rounding_of_the_mean() -> None:
    """Only the pixels' own mean tells whether a flat quadrant of 0.3 has a deviation of 0 or of one rounding step."""
    mask = np.zeros((31, 37), np.uint8)
    mask[10:20, 12:25] = 255
    for level in range(0, 256, 5):
        prediction = np.full(mask.shape, level, np.uint8)
        assert_like_reference(prediction, mask, Options())
        prediction[0, 0], prediction[0, 1] = 0, 255
        assert_like_reference(prediction, mask, Options())


def test_histograms_counted_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, mask, _ = random_pair(7)
    whole = pair_histograms(prediction, mask)
    monkeypatch.setattr("measure.metrics.histograms.HISTOGRAM_PIXELS", 5)  # below a row: one row at a time
    parted = pair_histograms(prediction, mask)
    np.testing.assert_array_equal(whole.quadrants, parted.quadrants)
    np.testing.assert_array_equal(whole.quadrants_on_mask, parted.quadrants_on_mask)


def test_against_py_sod_metrics() -> None:
    """An independent implementation, where it is installed; its S-measure takes the sample deviation, as VPS does."""
    sod = pytest.importorskip("py_sod_metrics")
    random = np.random.default_rng(1)
    for seed in range(20):
        mask = np.zeros((60, 70), np.uint8)
        mask[10 + seed : 40, 15 : 30 + seed] = 255
        noisy = cv2.GaussianBlur(mask, (0, 0), 4) + random.normal(size=mask.shape) * 20
        prediction = np.clip(noisy, 0, 255).astype(np.uint8)
        measures = {"Smeasure": sod.Smeasure(), "wFmeasure": sod.WeightedFmeasure(), "MAE": sod.MAE()}
        alignment, f_measure = sod.Emeasure(), sod.Fmeasure()
        for measure in (*measures.values(), alignment, f_measure):
            measure.step(pred=prediction, gt=mask)
        ours = pair_scores(prediction, mask, ddof=1)
        theirs = {key: float(next(iter(measure.get_results().values()))) for key, measure in measures.items()}
        theirs["adpEm"] = float(alignment.get_results()["em"]["adp"])
        theirs["adpFm"] = float(f_measure.get_results()["fm"]["adp"])
        assert {key: ours.numbers[key] for key in theirs} == pytest.approx(theirs, abs=1e-9)
        curves = dict(zip(CURVES, ours.curves, strict=True))
        np.testing.assert_allclose(curves["Em"], alignment.get_results()["em"]["curve"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(curves["Fm"], f_measure.get_results()["fm"]["curve"], rtol=0, atol=1e-9)
