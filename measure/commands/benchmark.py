"""`python -m measure benchmark`: how long scoring takes, as a multiple of decoding the two files.

On every pair and in turn: decoding alone, our whole path (read, check, score), the literal formulas of `literal`, and
PySODMetrics where it is installed (its own set of measures: MAE, S, E, F and weighted F). Times are processor time of
one thread, medians over the pairs, so that other work on the machine hardly moves them.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from ..io import InputError, pair_by_stem, read_grey
from ..options import PROTOCOLS, Options
from ..protocols import Pair
from ..scoring import score_mask

__all__ = ["Timing", "main", "measure_times", "write_smooth_pairs"]

SIZES = ((352, 352), (966, 1225))
"""Frame sizes timed by default, (height, width): what networks see, and ETIS-LaribPolypDB at native size."""

PAIRS = 20
LITERAL_PAIRS = 3
"""The literal formulas take seconds on a large pair."""


@dataclass(frozen=True)
class Timing:
    """Median milliseconds a pair of one way of scoring, and its ratio to decoding."""

    name: str
    milliseconds: float
    ratio: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table per frame size, or for the given folders; returns the exit status."""
    args = _parse_args(argv)
    options = Options(protocol=args.protocol, border=args.BR == "on")
    try:
        if args.GT_root and args.pred_root:
            _report("given folders", _paired(args.GT_root, args.pred_root), options, literal=args.literal)
        else:
            for shape in SIZES:
                with tempfile.TemporaryDirectory() as folder:
                    pairs = write_smooth_pairs(Path(folder), shape=shape, count=PAIRS)
                    _report(f"{shape[0]} x {shape[1]}, made-up maps", pairs, options, literal=args.literal)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure_times(pairs: Sequence[Pair], options: Options, *, literal: bool = True, repeats: int = 3) -> list[Timing]:
    """Time every way of scoring on `pairs`; the first is decoding, to which the ratios refer."""
    cv2.setNumThreads(1)
    score_mask(pairs[:1], options=options)
    ways: dict[str, tuple[Callable[[Pair], object], Sequence[Pair]]] = {
        "decoding the two files": (_decode, list(pairs) * repeats),
        "measure, reading included": (lambda pair: score_mask([pair], options=options), list(pairs) * repeats),
    }
    if literal:
        ways["literal formulas, reading included"] = (lambda pair: _literal(pair, options), pairs[:LITERAL_PAIRS])
        if sod := _py_sod_metrics():
            ways["PySODMetrics, reading included"] = (lambda pair: _sod(sod, pair), pairs[:LITERAL_PAIRS])
    medians = {name: float(np.median([_seconds(way, pair) for pair in on])) for name, (way, on) in ways.items()}
    base = medians["decoding the two files"]
    return [Timing(name, 1e3 * seconds, seconds / base) for name, seconds in medians.items()]


def write_smooth_pairs(folder: Path, *, shape: tuple[int, int], count: int) -> list[Pair]:
    """Write masks of one ellipse and maps as networks give them: blurred, shifted, noisy, in 8 bits."""
    random = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        mask = _ellipse(shape, random)
        files = folder / f"{number}_mask.png", folder / f"{number}_map.png"
        for path, image in zip(files, (mask, _smooth_map(mask, random)), strict=True):
            path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        pairs.append(Pair("benchmark", str(number), *files))
    return pairs


def _ellipse(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    height, width = shape
    axes = [int(side * random.uniform(0.08, 0.25)) for side in (width, height)]
    centre = [int(side * random.uniform(0.3, 0.7)) for side in (width, height)]
    return cv2.ellipse(np.zeros(shape, np.uint8), centre, axes, random.uniform(0, 180), 0, 360, 255, -1)


def _smooth_map(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A map made at 352 x 352 and enlarged: the logit of a blurred, shifted mask plus smooth noise."""
    small = cv2.resize(mask, (352, 352)).astype(np.float32) / 255
    shift = np.float32([[1, 0, random.uniform(-8, 8)], [0, 1, random.uniform(-8, 8)]])
    soft = cv2.GaussianBlur(cv2.warpAffine(small, shift, (352, 352)), (0, 0), 6)
    noise = cv2.GaussianBlur(random.normal(size=small.shape).astype(np.float32), (0, 0), 8)
    logit = cv2.resize(10 * (soft - 0.5) + noise / noise.std(), mask.shape[::-1])
    probability = 1 / (1 + np.exp(-logit))
    return (255 * (probability - probability.min()) / np.ptp(probability)).astype(np.uint8)


def _seconds(way: Callable[[Pair], object], pair: Pair) -> float:
    start = time.thread_time()
    way(pair)
    return time.thread_time() - start


def _decode(pair: Pair) -> None:
    for path in (pair.mask, pair.prediction):
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def _read(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    mask, prediction = read_grey(pair.mask), read_grey(pair.prediction)
    return mask, cv2.resize(prediction, mask.shape[::-1]) if prediction.shape != mask.shape else prediction


def _literal(pair: Pair, options: Options) -> None:
    from ..metrics import border_scores, naive_scores

    mask, prediction = _read(pair)
    naive_scores(prediction, mask, minmax=options.minmax, ddof=options.ddof)
    if options.border:
        border_scores(prediction, mask, br_rate=options.br_rate, minmax=options.minmax)


def _py_sod_metrics() -> ModuleType | None:
    try:
        return importlib.import_module("py_sod_metrics")
    except ImportError:
        return None


def _sod(sod: ModuleType, pair: Pair) -> None:
    mask, prediction = _read(pair)
    for measure in (sod.MAE(), sod.Smeasure(), sod.Emeasure(), sod.Fmeasure(), sod.WeightedFmeasure()):
        measure.step(pred=prediction, gt=mask)


def _paired(gt_root: Path, pred_root: Path) -> list[Pair]:
    found = pair_by_stem(gt_root, pred_root, allow_missing=True, allow_extra=True)
    return [Pair("given", *pair) for pair in found.pairs]


def _report(title: str, pairs: Sequence[Pair], options: Options, *, literal: bool) -> None:
    print(f"{title}: {len(pairs)} pairs, {options.protocol} protocol{', with BR' if options.border else ''}")
    for timing in measure_times(pairs, options, literal=literal):
        print(f"  {timing.name:36s} {timing.milliseconds:9.2f} ms   {timing.ratio:7.2f} x decoding")


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m measure benchmark", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--protocol", choices=PROTOCOLS, default="image", help="default: image")
    parser.add_argument("--BR", choices=("on", "off"), default="off", help="border-region scores too (default: off)")
    parser.add_argument("--GT_root", type=Path, metavar="DIR", help="masks to time on, instead of made-up ones")
    parser.add_argument("--pred_root", type=Path, metavar="DIR", help="their maps")
    parser.add_argument(
        "--literal",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="time the literal formulas and PySODMetrics too (default: --literal)",
    )
    return parser.parse_args(argv)
