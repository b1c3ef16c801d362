"""`python -m measure benchmark`: how long scoring takes, as a multiple of decoding the two files.

In turn with decoding the same pair: our whole path (read, check, score) and, on the first three pairs, the formulas of
`metrics.reference` and PySODMetrics where it is installed (its own set of measures: MAE, S, E, F and weighted F). Times
are processor time of one thread, medians over the pairs, so that other work on the machine hardly moves them.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from ..io import CommandParser, InputError, Switch, pair_by_stem, path, read_grey, run_command
from ..options import PROTOCOLS, Options
from ..protocols import MapPair
from ..scoring import score_mask

__all__ = ["ScoringTime", "main", "measure_times", "parse_args", "write_smooth_pairs"]

SIZES = ((352, 352), (966, 1225))
"""Frame sizes timed by default, (height, width): what networks see, and ETIS-LaribPolypDB at native size."""

PAIRS = 20
REFERENCE_PAIRS = 3
"""The reference formulas take seconds on a large pair."""


@dataclass(frozen=True)
class ScoringTime:
    """Time of one way of scoring.

    Attributes:
        name: of the way.
        milliseconds: per pair, the median.
        ratio: to the time of decoding the two files, of the same pairs.
    """

    name: str
    milliseconds: float
    ratio: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table per frame size, or for the given folders; returns the exit status."""
    return run_command(lambda: time_scoring(parse_args(argv)))


def time_scoring(args: Namespace) -> None:
    """Time what the flags name.

    Raises:
        InputError: a folder or a file that cannot be used.
    """
    wished = {"border": args.BR == "on", "distances": args.distances, "lesions": args.lesions}
    options = Options(protocol=args.protocol, **wished)
    if args.GT_root and args.pred_root:
        _report("given folders", _paired(args.GT_root, args.pred_root), options, reference=args.reference)
        return
    for shape in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            pairs = write_smooth_pairs(Path(folder), shape=shape, count=PAIRS)
            _report(f"{shape[0]} x {shape[1]}, synthetic maps", pairs, options, reference=args.reference)


def measure_times(
    pairs: Sequence[MapPair], options: Options, *, reference: bool = True, repeats: int = 3
) -> list[ScoringTime]:
    """Time every way of scoring on `pairs`, the slow ones on the first few; the first way is decoding alone.

    Raises:
        InputError: a pair cannot be scored, which would take no time.
    """
    cv2.setNumThreads(1)
    faults = [scored.fault for pair in pairs for scored in score_mask([pair], options=options) if scored.fault]
    if faults:
        raise InputError(f"{len(faults)} of {len(pairs)} pairs cannot be scored: {faults[0]}")
    ways: dict[str, tuple[Callable[[MapPair], object], Sequence[MapPair]]] = {
        "measure, reading included": (lambda pair: score_mask([pair], options=options), list(pairs) * repeats),
    }
    if reference:
        ways["reference formulas, reading included"] = (lambda pair: _reference(pair, options), pairs[:REFERENCE_PAIRS])
        if sod := _py_sod_metrics():
            ways["PySODMetrics, reading included"] = (lambda pair: _sod(sod, pair), pairs[:REFERENCE_PAIRS])
    found = []
    for name, (way, on) in ways.items():
        decoding, seconds = np.median([(_seconds(_decode, pair), _seconds(way, pair)) for pair in on], axis=0)
        if not found:
            found.append(ScoringTime("decoding the two files", float(1e3 * decoding), 1.0))
        found.append(ScoringTime(name, float(1e3 * seconds), float(seconds / decoding)))
    return found


def write_smooth_pairs(folder: Path, *, shape: tuple[int, int], count: int) -> list[MapPair]:
    """Write masks of one ellipse and maps as networks give them: blurred, shifted, noisy, in 8 bits."""
    random = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        mask = _ellipse(shape, random)
        files = folder / f"{number}_mask.png", folder / f"{number}_map.png"
        for file, image in zip(files, (mask, _smooth_map(mask, random)), strict=True):
            file.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        pairs.append(MapPair("benchmark", str(number), *files))
    return pairs


def _ellipse(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    height, width = shape
    axes = [int(side * random.uniform(0.08, 0.25)) for side in (width, height)]
    center = [int(side * random.uniform(0.3, 0.7)) for side in (width, height)]
    return cv2.ellipse(np.zeros(shape, np.uint8), center, axes, random.uniform(0, 180), 0, 360, 255, -1)


def _smooth_map(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A map made at 352 x 352 and enlarged: the logit of a blurred, shifted mask plus smooth noise."""
    small = cv2.resize(mask, (352, 352)).astype(np.float32) / 255
    shift = np.float32([[1, 0, random.uniform(-8, 8)], [0, 1, random.uniform(-8, 8)]])
    soft = cv2.GaussianBlur(cv2.warpAffine(small, shift, (352, 352)), (0, 0), 6)
    noise = cv2.GaussianBlur(random.normal(size=small.shape).astype(np.float32), (0, 0), 8)
    logit = cv2.resize(10 * (soft - 0.5) + noise / noise.std(), mask.shape[::-1])
    probability = 1 / (1 + np.exp(-logit))
    return (255 * (probability - probability.min()) / np.ptp(probability)).astype(np.uint8)


def _seconds(way: Callable[[MapPair], object], pair: MapPair) -> float:
    start = time.thread_time()
    way(pair)
    return time.thread_time() - start


def _decode(pair: MapPair) -> None:
    for file in (pair.mask, pair.prediction):
        cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)


def _read(pair: MapPair) -> tuple[np.ndarray, np.ndarray]:
    mask, prediction = read_grey(pair.mask), read_grey(pair.prediction)
    return mask, cv2.resize(prediction, mask.shape[::-1]) if prediction.shape != mask.shape else prediction


def _reference(pair: MapPair, options: Options) -> None:
    from ..metrics import naive_border_scores, naive_scores

    mask, prediction = _read(pair)
    naive_scores(prediction, mask, minmax=options.minmax, ddof=options.ddof)
    if options.border:
        naive_border_scores(prediction, mask, br_rate=options.br_rate, minmax=options.minmax)


def _py_sod_metrics() -> ModuleType | None:
    try:
        return importlib.import_module("py_sod_metrics")
    except ImportError:
        return None


def _sod(sod: ModuleType, pair: MapPair) -> None:
    mask, prediction = _read(pair)
    for measure in (sod.MAE(), sod.Smeasure(), sod.Emeasure(), sod.Fmeasure(), sod.WeightedFmeasure()):
        measure.step(pred=prediction, gt=mask)


def _paired(gt_root: Path, pred_root: Path) -> list[MapPair]:
    found = pair_by_stem(gt_root, pred_root, allow_missing=True, allow_extra=True)
    return [MapPair("given", *pair) for pair in found.pairs]


def _report(title: str, pairs: Sequence[MapPair], options: Options, *, reference: bool) -> None:
    wished = [name for name in ("border", "distances", "lesions") if getattr(options, name)]
    print(f"{title}: {len(pairs)} pairs, {options.protocol} protocol{''.join(f', with {name}' for name in wished)}")
    for timing in measure_times(pairs, options, reference=reference):
        print(f"  {timing.name:36s} {timing.milliseconds:9.2f} ms   {timing.ratio:7.2f} x decoding")


def parse_args(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line.

    Raises:
        InputError: an unknown option, a wrong value, or one of the two folders without the other.
    """
    parser = CommandParser(prog="python -m measure benchmark", description=__doc__)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="image", help="which tool's numbers")
    parser.add_argument("--BR", choices=("on", "off"), default="off", help="border-region scores too")
    parser.add_argument("--distances", action=Switch, help="boundary distances too")
    parser.add_argument("--lesions", action=Switch, help="lesion scores too")
    parser.add_argument("--GT_root", type=path, metavar="DIR", help="masks to time on, instead of synthetic ones")
    parser.add_argument("--pred_root", type=path, metavar="DIR", help="their maps")
    parser.add_argument(
        "--reference", action=Switch, default=True, help="time the reference formulas and PySODMetrics too"
    )
    args = parser.parse_args(argv)
    if bool(args.GT_root) != bool(args.pred_root):
        parser.error("one of --GT_root and --pred_root was given; give both, or neither for synthetic pairs")
    return args
