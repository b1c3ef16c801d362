"""Write synthetic colonoscopy sets with exact masks: training stills, test sets and clips in one go.

    python -m utils phantom --out data --train 200 --test clear=40 hard=40
    python -m utils phantom --out data --clips TrainDataset=8 TestHardDataset/Unseen=4 --frames 48

The same flags give the same files on every machine.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from measure.io import (
    FRAME_MASKS,
    FRAMES,
    CommandParser,
    InputError,
    Switch,
    counted,
    locked_folder,
    nonempty,
    number,
    path,
)

from ..phantom import (
    LOOKS,
    check_clip,
    check_clip_folders,
    check_count,
    check_still_folders,
    find_look,
    write_clips,
    write_stills,
)
from ..runtime import run

__all__ = ["main"]

SIDE = number(int, low=1, high=2048)  # pixels; the scene itself says what is too small for it
FOLDER = re.compile(r"[\w-]([\w .-]*[\w-])?(/[\w-]([\w .-]*[\w-])?)*")  # a split's name, as TestHardDataset/Unseen
COUNT = number(int, low=1, high=1_000_000)


def main(argv: Sequence[str] | None = None) -> int:
    """Write what the flags ask for; returns the exit status."""
    again = "interrupted; the same command starts again and replaces what is there"
    return run(lambda: _write(_parse(argv)), interrupted=again)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m utils phantom", description=__doc__)
    parser.add_argument("--out", type=path, required=True, help="folder to write to, created where missing")
    parser.add_argument("--seed", type=number(int, high=2**32 - 1), default=0, metavar="N", help="of everything")
    parser.add_argument("--size", type=SIDE, nargs=2, default=(288, 352), metavar=("HEIGHT", "WIDTH"), help="pixels")
    stills = parser.add_argument_group("stills")
    stills.add_argument("--train", type=COUNT, metavar="COUNT", help="stills in OUT/TrainDataset, of mixed difficulty")
    stills.add_argument(
        "--test",
        nargs="+",
        type=nonempty,
        default=[],
        metavar="LOOK=COUNT",
        help=f"test sets, as OUT/TestDataset/Phantom<Look>; looks: {', '.join(LOOKS)}",
    )
    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--clips",
        nargs="+",
        type=nonempty,
        default=[],
        metavar="SPLIT=CASES",
        help="clips in OUT/SUN-SEG/<split>, e.g. TrainDataset=8",
    )
    clips.add_argument("--frames", type=number(int, low=1, high=100_000), default=24, metavar="N", help="frames a clip")
    clips.add_argument(
        "--bursts", type=number(int, high=10_000), default=1, metavar="N", help="bursts of bad frames a clip"
    )
    clips.add_argument(
        "--severity",
        type=number(float, low_open=True, high=8),
        default=1.0,
        metavar="FACTOR",
        help="of the bursts' blur and light, up to 8",
    )
    clips.add_argument("--steady", action=Switch, help="a slow camera that never looks away from the polyp")
    clips.add_argument("--look", type=nonempty, default="mixed", help="difficulty of the clips' scenes")
    args = parser.parse_args(argv)
    for flag in ("frames", "bursts", "severity", "steady", "look"):
        if (args.train or args.test) and not args.clips and getattr(args, flag) != parser.get_default(flag):
            raise InputError(f"--{flag} was given without --clips, where it means nothing; leave it out")
    return args


def _write(args: argparse.Namespace) -> None:
    """Check every option and every folder, so that a mistake leaves nothing behind; then write set after set."""
    tests, splits = _counts("--test", args.test), _counts("--clips", args.clips)
    if args.train is None and not tests and not splits:
        raise InputError("nothing to write: give --train COUNT, --test LOOK=COUNT or --clips SPLIT=CASES")
    common = {"seed": args.seed, "size": tuple(args.size)}
    clip = {"frames": args.frames, "bursts": args.bursts, "severity": args.severity, **common}
    check_clip(**clip)
    for split in splits:
        if not FOLDER.fullmatch(split) or ".." in split or {FRAMES, FRAME_MASKS} & set(split.split("/")):
            raise InputError(f"--clips {split} cannot name a folder in --out; expected a name such as TrainDataset")
    for look in (*tests, args.look):
        find_look(look)
    stills = {} if args.train is None else {args.out / "TrainDataset": {"count": args.train}}
    for look, count in tests.items():
        stills[args.out / "TestDataset" / f"Phantom{look.capitalize()}"] = {"count": count, "look": look}
    for folder, still in stills.items():
        check_still_folders(folder, count=still["count"])
    for split, cases in splits.items():
        check_clip_folders(args.out / "SUN-SEG", split=split, cases=cases, frames=args.frames)
    with locked_folder(args.out, doing="draws into", advice="wait for its end, or choose another --out"):
        for folder, still in stills.items():
            write_stills(folder, **still, **common)
            print(f"{counted(still['count'], 'still')} in {folder}")
        for split, cases in splits.items():
            write_clips(args.out / "SUN-SEG", split=split, cases=cases, steady=args.steady, look=args.look, **clip)
            print(f"{counted(cases, 'clip')} of {counted(args.frames, 'frame')} in {args.out / 'SUN-SEG' / split}")


def _counts(flag: str, pairs: list[str]) -> dict[str, int]:
    """`["clear=40", "hard=20"]` -> `{"clear": 40, "hard": 20}`."""
    counts = {}
    for pair in pairs:
        name, _, count = pair.partition("=")
        if not name or not re.fullmatch("[0-9]{1,9}", count):
            raise InputError(f"{flag} got '{pair}'; write it as NAME=COUNT, with a whole number as COUNT")
        check_count(f"{flag} {name}", int(count), least=1)
        if name in counts:
            raise InputError(f"{flag} names {name} twice; give it once")
        counts[name] = int(count)
    return counts
