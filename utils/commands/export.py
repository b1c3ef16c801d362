"""Write the weights of a training run for prediction alone: python -m utils export --weights best.pth --out sepnet.pth

Without optimizer, training branch and, unless --no-half says so, half of every number's bits, a file is a sixth of the
checkpoint. myTest.py, Predictor and lib.load_model take it as they take the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from measure.io import CommandParser, InputError, Switch, path

from ..runtime import run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb; returns the exit status."""
    return run(lambda: export(argv))


def export(argv: Sequence[str] | None) -> None:
    """Export as the flags say.

    Raises:
        InputError, ModelError: a flag or a file that cannot be used.
    """
    parser = CommandParser(prog="python -m utils export", description=__doc__)
    parser.add_argument("--weights", type=path, required=True, help="a checkpoint of a training run")
    parser.add_argument("--out", type=path, required=True, help="file to write, .pth")
    parser.add_argument("--half", action=Switch, default=True, help="store numbers in half precision")
    args = parser.parse_args(argv)
    if args.out.suffix != ".pth":
        raise InputError(f"--out {args.out} was given; weights are written as .pth")
    if args.out.resolve() == args.weights.resolve():
        raise InputError(f"--out {args.out} is the checkpoint itself; choose another file")
    from ..prediction import export_weights  # PyTorch is loaded for flags that can be used

    written = export_weights(args.weights, args.out, half=args.half)
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB, of {args.weights.stat().st_size / 1e6:.1f} MB")
