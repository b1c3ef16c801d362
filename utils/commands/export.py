"""Write the weights of a training run, or a published file, for use elsewhere; the suffix of --out chooses the form.

.pth is for this code: without optimizer, training branch and, unless --no-half says so, half of every number's bits, a
file is a sixth of the checkpoint. myTest.py, Predictor and lib.load_model take it as they take the checkpoint.

.onnx runs in ONNX Runtime, OpenVINO and others; .pt2 is PyTorch's own exported program. Both take any number of images
a forward. The written file is run beside PyTorch at once, on --images, and refused where they differ. A video network
becomes two .onnx: encode (a frame in, its features out) and step (features of a frame and of its neighbor, memory in;
logits, memory out); --images are then the frames of a clip, and myTest.py takes either file and finds the other.

  python -m utils export --weights best.pth --out sepnet.onnx --images data/ValDataset/images
  python -m utils export --weights best.pth --out frames.onnx --processing      (uint8 frames in, probabilities out)
  python -m utils export --weights sali.pth --out sali.onnx --images clip       (sali.encode.onnx, sali.step.onnx)
  python -m utils export --weights best.pth --out int8.onnx --int8 --images data/TrainDataset/images
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from lib import list_models
from measure.io import CommandParser, InputError, Switch, nonempty, number, path, refuse_outputs_in_inputs

from ..runtime import run

__all__ = ["main"]

SUFFIXES = (".pth", ".onnx", ".pt2")
MOST_IMAGES, USUAL_IMAGES = 10_000, 32
PHANTOMS = 4  # drawn to compare on where no images are given
PHANTOM_SIZE = (288, 384)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb; returns the exit status."""
    return run(lambda: export(parse_args(argv)))


def parse_args(argv: Sequence[str] | None) -> Namespace:
    """Read the flags.

    Raises:
        InputError: flags that do not go together.
    """
    parser = CommandParser(prog="python -m utils export", description=__doc__)
    parser.add_argument("--weights", type=path, required=True, help="a checkpoint of a run, or a published file")
    parser.add_argument("--out", type=path, required=True, help="file to write, .pth, .onnx or .pt2")
    parser.add_argument("--half", action=Switch, default=True, help=".pth: store numbers in half precision")
    parser.add_argument("--model", choices=list_models(), help="network of a published file")
    parser.add_argument("--net_backbone", type=nonempty, help="its backbone")
    parser.add_argument(
        "--size",
        type=number(int, low=1, high=8192),
        help="height and width of the network's input, pixels (default: as trained)",
    )
    parser.add_argument(
        "--processing",
        action=Switch,
        default=False,
        help=".onnx, .pt2: uint8 RGB frames (N, H, W, 3) in and probabilities (N, H, W) out, resizing and normalizing "
        "inside; without it, normalized images in and logits out",
    )
    parser.add_argument(
        "--int8",
        action=Switch,
        default=False,
        help=".onnx: 8-bit weights and activations, their ranges measured on --images",
    )
    parser.add_argument(
        "--images",
        type=nonempty,
        nargs="+",
        metavar="X",
        help="images, folders, patterns or lists to compare on and measure ranges on (default: some synthetic ones)",
    )
    parser.add_argument(
        "--count",
        type=number(int, low=1, high=MOST_IMAGES),
        metavar="N",
        help=f"of --images to use, evenly spread (default: {USUAL_IMAGES})",
    )
    parser.add_argument(
        "--bound",
        type=number(float, low=0, high=1, low_open=True),
        metavar="P",
        help="fail where a probability differs by more from PyTorch's (default: 0.001, with --processing and of "
        "video networks 0.01; with --int8 their mean: 0.02)",
    )
    args = parser.parse_args(argv)
    check(args)
    return args


def check(args: Namespace) -> None:
    """Refuse places and flags that do not go together."""
    suffix = args.out.suffix
    if suffix not in SUFFIXES:
        raise InputError(f"--out {args.out} was given; weights are written as {', '.join(SUFFIXES)}")
    if args.out.resolve() == args.weights.resolve():
        raise InputError(f"--out {args.out} is the checkpoint itself; choose another file")
    meaningless = {
        ".pth": ("processing", "int8", "images", "bound", "size", "model", "net_backbone"),
        ".pt2": ("int8",),
        ".onnx": (),
    }
    for flag in meaningless[suffix]:
        if getattr(args, flag):
            raise InputError(f"--{flag} was given with --out {args.out}, where it means nothing; leave one of them out")
    if not args.half and suffix != ".pth":
        raise InputError(f"--no-half was given with --out {args.out}, which is never in half precision; leave it out")
    if args.int8 and not args.images:
        raise InputError("--int8 was given without --images; its ranges are measured on images like those it will see")
    if args.count and not args.images:
        raise InputError(f"--count {args.count} was given without --images, where it means nothing; leave it out")
    if args.int8 and args.processing:
        raise InputError("--int8 and --processing were given; an 8-bit network takes normalized images, leave one out")
    if args.images:
        refuse_outputs_in_inputs([args.out], [word for word in args.images if Path(word).is_dir()])


def export(args: Namespace) -> None:
    """Export as the flags say.

    Raises:
        InputError, ModelError: a file that cannot be used, or an export that differs from PyTorch.
    """
    if args.out.suffix == ".pth":
        from ..prediction import export_weights  # PyTorch is loaded for flags that can be used

        written = export_weights(args.weights, args.out, half=args.half)
        print(f"{written}: {written.stat().st_size / 1e6:.1f} MB, of {args.weights.stat().st_size / 1e6:.1f} MB")
        return
    from ..prediction import export_graph

    told = export_graph(
        args.weights,
        args.out,
        images=images_of(args),
        size=args.size,
        model=args.model,
        backbone=args.net_backbone,
        processing=args.processing,
        int8=args.int8,
        bound=args.bound,
    )
    print(f"{args.out}: {told}")


def images_of(args: Namespace) -> list:
    """The images to compare on, (H, W, 3) uint8 RGB."""
    from measure.io import read_rgb

    if args.images:
        from ..prediction import evenly_spread, find_images

        found = [path for images in find_images(args.images).by_folder.values() for path in images.values()]
        return [read_rgb(path) for path in evenly_spread(found, args.count or USUAL_IMAGES)]
    from ..phantom import phantom_still

    return [phantom_still(seed=seed, size=PHANTOM_SIZE)[0] for seed in range(PHANTOMS)]
