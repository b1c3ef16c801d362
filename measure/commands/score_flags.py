"""The flags of `python -m measure`."""

from __future__ import annotations

from argparse import Namespace, _ArgumentGroup
from collections.abc import Sequence
from pathlib import Path

from ..io import (
    CommandParser,
    InputError,
    Switch,
    add_group_flags,
    add_layout_flags,
    available_cores,
    counted,
    nonempty,
    number,
    parse_classes,
    path,
    read_layout,
)
from ..metrics import LESION_RULES
from ..options import PROTOCOLS, Options

__all__ = ["options_of", "parse_args"]

DESCRIPTION = """\
Score saved 8-bit maps against ground-truth masks, exactly as the released tools do.

  image protocol  <GT_root>/<dataset>/masks/<stem>.png   <pred_root>/<dataset>/<stem>.png
                  (or a single set: masks in <GT_root>, maps in <pred_root>)
    with --classes  <pred_root>/<class>/<dataset>/<stem>.png for every class, and for all of them <pred_root>/merged/
  endocv protocol as the image protocol: EndoCV2021's and PolypGen's scores
  vps protocol    <GT_root>/<split>/GT/<case>/<frame>.png   <pred_root>/<split>/<case>/<frame>.png
"""

EXAMPLES = """\
examples:
  python -m measure --GT_root data/TestDataset --pred_root result/SEPNet --BR on
  python -m measure --protocol vps --GT_root data/SUN-SEG --pred_root result/A result/B --out result/comparison
  python -m measure why result/A-scores/scores.json result/B-scores/scores.json     (why two scores differ)

Nothing is ever written into GT_root or pred_root. Exit status: 0 done, 2 a mistake in what was given.
"""

MOST_WORKERS = 1024
WIDEST_BAND = 1000  # pixels
LONGEST_TOLERANCE = 1000  # pixels
FASTEST_VIDEO = 1000  # frames per second
FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 1_000_000


def parse_args(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line; `model`, `minmax` and `out` are filled in where they were left out.

    Raises:
        InputError: an unknown option, a wrong value, or names that do not fit the folders.
    """
    parser = CommandParser(prog="python -m measure", description=DESCRIPTION, epilog=EXAMPLES)
    _add_input(parser.add_argument_group("what is scored"))
    add_layout_flags(parser.add_argument_group("how it is laid out"))
    _add_definitions(parser.add_argument_group("how it is scored (the defaults give the published numbers)"))
    _add_certainty(parser.add_argument_group("how certain it is"))
    _add_output(parser.add_argument_group("what is written"))
    args = parser.parse_args(argv)
    if args.mark == "certain" and not args.intervals:
        parser.error("--mark certain was given with --no-intervals; it marks by intervals, leave one of the two out")
    args.classes = parse_classes(args.classes) if args.classes is not None else None
    args.layout = read_layout(args)
    if args.minmax is None:
        args.minmax = args.classes is None and args.protocol != "endocv"
    args.model = _method_names(args.model, args.pred_root)
    first = args.pred_root[0].resolve()
    args.out = args.out or first.with_name(f"{first.name}-scores")
    return args


def options_of(args: Namespace) -> Options:
    """What the flags ask of scoring.

    Raises:
        InputError: flags that do not go together.
    """
    return Options(
        protocol=args.protocol,
        minmax=args.minmax,
        border=args.BR == "on",
        br_rate=args.br_rate,
        distances=args.distances,
        nsd_tolerance=args.nsd_tolerance,
        threshold=args.threshold,
        lesions=args.lesions,
        lesion_min=args.lesion_min,
        lesion_rule=args.lesion_rule,
        fps=args.fps,
        calibration=args.calibration,
        consistency=args.consistency,
        intervals=args.intervals,
        resamples=args.resamples,
        seed=args.seed,
        groups=str(args.groups) if args.groups else None,
        group_pattern=args.group_pattern,
        partial=args.partial,
        classes=args.classes,
        layout=args.layout,
    )


def _add_input(group: _ArgumentGroup) -> None:
    group.add_argument("--protocol", choices=PROTOCOLS, default="image", help="which tool's numbers")
    group.add_argument("--GT_root", type=path, default=Path("data/TestDataset"), metavar="DIR", help="ground truth")
    group.add_argument(
        "--pred_root",
        type=path,
        nargs="+",
        default=[Path("result")],
        metavar="DIR",
        help="maps, a folder per method",
    )
    group.add_argument(
        "--classes",
        type=nonempty,
        nargs="+",
        metavar="NAME=VALUE",
        help="classes of the masks and their colors R,G,B or indices; each is scored by itself, then all merged",
    )
    group.add_argument(
        "--model",
        type=nonempty,
        nargs="+",
        metavar="NAME",
        help="names of the methods (default: the folders'); NAME@SEED where a method was trained from several seeds",
    )
    group.add_argument(
        "--partial",
        action="store_true",
        help="score the maps that are there and readable; missing and extra ones are only recorded",
    )


def _add_definitions(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--minmax",
        action=Switch,
        default=None,
        help="min-max normalize each map first, as published tables have it; --no-minmax scores maps as saved "
        "(default: on; off with --protocol endocv, and with --classes, where every image would be made to show every "
        "class)",
    )
    group.add_argument(
        "--BR", choices=("on", "off"), default="off", help="also score the band around the mask's contour"
    )
    group.add_argument(
        "--br_rate",
        type=number(int, low=1, high=WIDEST_BAND),
        default=15,
        metavar="PIXELS",
        help="of this band: side of the square by which the contour is widened",
    )
    group.add_argument(
        "--distances",
        action=Switch,
        help="also the distances between the outlines of map and mask: HD, HD95, ASSD, NSD, boundary IoU",
    )
    group.add_argument(
        "--nsd_tolerance",
        type=number(float, low=0, high=LONGEST_TOLERANCE),
        default=2.0,
        metavar="PIXELS",
        help="distance up to which NSD takes two outlines for the same",
    )
    group.add_argument(
        "--lesions",
        action=Switch,
        help="also score by lesion: sensitivity, precision, false alarms, free-response curve; in videos latencies",
    )
    group.add_argument(
        "--lesion_min",
        type=number(int, low=1),
        default=1,
        metavar="PIXELS",
        help="regions of map or mask below this size are passed over",
    )
    group.add_argument(
        "--lesion_rule",
        choices=LESION_RULES,
        default="overlap",
        help="a lesion is found where a region of the map overlaps it, or (giana) has its center of mass in it",
    )
    group.add_argument(
        "--consistency",
        action=Switch,
        help="vps: also how steady maps are from frame to frame: agreement, agreement after optical flow, flicker",
    )
    group.add_argument(
        "--fps",
        type=number(float, low=0, low_open=True, high=FASTEST_VIDEO),
        default=30.0,
        metavar="N",
        help="frames per second of clips, for latencies and flicker",
    )
    group.add_argument(
        "--calibration",
        action=Switch,
        help="also whether the saved levels are probabilities: ECE, Brier score, reliability diagram; for maps that "
        "were not min-max normalized when they were saved",
    )
    group.add_argument(
        "--threshold",
        type=number(float, low=0, low_open=True, high=1),
        default=0.5,
        metavar="T",
        help="for distances, lesions and steadiness the map counts as polyp where its saved level / 255 is at least T",
    )


def _add_certainty(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--intervals",
        action=Switch,
        default=True,
        help="95 %% bootstrap intervals and quartiles of every mean; --no-intervals leaves them out",
    )
    group.add_argument(
        "--resamples",
        type=number(int, low=FEWEST_RESAMPLES, high=MOST_RESAMPLES),
        default=9999,
        metavar="N",
        help="how many times the bootstrap draws the images (cases, groups) again",
    )
    group.add_argument(
        "--mark",
        choices=("printed", "certain"),
        default="printed",
        help="what is marked as best among several methods: by the numbers as printed, or only where the interval of "
        "the difference leaves out 0",
    )
    group.add_argument("--seed", type=number(int), default=0, metavar="N", help="of the bootstrap's random draws")
    add_group_flags(group)


def _add_output(group: _ArgumentGroup) -> None:
    group.add_argument("--out", type=path, metavar="DIR", help="reports (default: <first pred_root>-scores)")
    group.add_argument(
        "--all-definitions",
        action="store_true",
        help="score a second time with --minmax the other way round; every Dice and IoU side by side: definitions.md",
    )
    group.add_argument(
        "--record_path",
        type=path,
        metavar="PATH",
        help="also write the headline table as text to this file, or to <method>.txt in this folder",
    )
    group.add_argument(
        "--plots", action=Switch, default=True, help="curves, bars and contact sheets; --no-plots leaves them out"
    )
    group.add_argument(
        "--image_root",
        type=path,
        metavar="DIR",
        help="images for the contact sheets: <image_root>/<dataset>/images/ (default: beside the masks)",
    )
    group.add_argument(
        "--workers",
        type=number(int, low=1, high=MOST_WORKERS),
        default=available_cores(),
        metavar="N",
        help="processes (default: every core, %(default)s here)",
    )


def _method_names(given: Sequence[str] | None, folders: Sequence[Path]) -> list[str]:
    """The methods' names, which become folders' and must differ.

    Raises:
        InputError: too many or too few of them, two alike, or one that no folder can have.
    """
    names = list(given or _folder_names(folders))
    if len(names) != len(folders):
        raise InputError(
            f"{counted(len(names), 'name')} in --model for {counted(len(folders), 'folder')} in --pred_root; "
            "give one for each"
        )
    if any(set(name) & set("/\\\0") or name in ("", ".", "..") for name in names):
        raise InputError(f"a name in --model ({', '.join(names)}) cannot be that of a folder")
    for place, name in enumerate(names):
        if name in names[:place]:
            former, folder = folders[names.index(name)], folders[place]
            told = f"are both called {name}" if given else "cannot be told apart by their names"
            raise InputError(f"the methods in {former} and {folder} {told}; name them apart with --model")
    return names


def _folder_names(folders: Sequence[Path]) -> list[str]:
    """Folder names, preceded by their parent's where they would be alike."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{folder.resolve().parent.name}-{folder.resolve().name}" for folder in folders]
    return names
