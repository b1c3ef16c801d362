"""The command line: training stills, test sets and clips in one go.

python -m utils phantom --out data --train 200 --test clear=40 hard=40
python -m utils phantom --out data --clips TrainDataset=8 TestHardDataset/Unseen=4 --frames 48
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from measure.io import InputError

from ..phantom import LOOKS, write_clips, write_stills
from ..phantom.clips import check_clip
from ..phantom.files import check_count
from ..phantom.scene import look_named

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write what the arguments ask for; 0 when all of it is there, 2 after a mistake told in one line."""
    args = _parse(argv)
    try:
        _write(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command starts again and replaces what is there", file=sys.stderr)
        return 130
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils phantom", description="Write synthetic colonoscopy sets.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, created where missing")
    parser.add_argument("--seed", type=int, default=0, help="of everything; the same seed gives the same files")
    parser.add_argument("--size", type=int, nargs=2, default=(288, 352), metavar=("HEIGHT", "WIDTH"), help="pixels")
    stills = parser.add_argument_group("stills")
    stills.add_argument("--train", type=int, metavar="COUNT", help="stills in OUT/TrainDataset, of mixed difficulty")
    stills.add_argument(
        "--test",
        nargs="+",
        default=[],
        metavar="LOOK=COUNT",
        help=f"test sets, as OUT/TestDataset/Phantom<Look>; looks: {', '.join(LOOKS)}",
    )
    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--clips",
        nargs="+",
        default=[],
        metavar="SPLIT=CASES",
        help="clips in OUT/SUN-SEG/<split>, e.g. TrainDataset=8",
    )
    clips.add_argument("--frames", type=int, default=24, help="frames per clip")
    clips.add_argument("--bursts", type=int, default=1, help="bursts of bad frames per clip")
    clips.add_argument("--severity", type=float, default=1.0, help="of the bursts: a factor of blur and light, up to 8")
    clips.add_argument("--steady", action="store_true", help="a slow camera that never looks away from the polyp")
    clips.add_argument("--look", default="mixed", help="difficulty of the clips' scenes (default: mixed)")
    return parser.parse_args(argv)


def _write(args: argparse.Namespace) -> None:
    """Check every option, so that a mistake leaves nothing behind; then write set after set."""
    tests, splits = _counts("--test", args.test), _counts("--clips", args.clips)
    if args.train is None and not tests and not splits:
        raise InputError("nothing to write: give --train COUNT, --test LOOK=COUNT or --clips SPLIT=CASES")
    common = {"seed": args.seed, "size": tuple(args.size)}
    clip = {"frames": args.frames, "bursts": args.bursts, "severity": args.severity, **common}
    check_clip(**clip)
    for look in (*tests, args.look):
        look_named(look)
    if args.train is not None:
        check_count("--train", args.train, least=1)
        write_stills(args.out / "TrainDataset", count=args.train, **common)
    for look, count in tests.items():
        write_stills(args.out / "TestDataset" / f"Phantom{look.capitalize()}", count=count, look=look, **common)
    for split, cases in splits.items():
        write_clips(args.out / "SUN-SEG", split=split, cases=cases, steady=args.steady, look=args.look, **clip)


def _counts(flag: str, pairs: list[str]) -> dict[str, int]:
    """`["clear=40", "hard=20"]` -> `{"clear": 40, "hard": 20}`."""
    counts = {}
    for pair in pairs:
        name, _, count = pair.partition("=")
        if not name or not count.isdecimal():
            raise InputError(f"{flag} got '{pair}'; write it as NAME=COUNT, with a whole number as COUNT")
        check_count(f"{flag} {name}", int(count), least=1)
        counts[name] = int(count)
    return counts
