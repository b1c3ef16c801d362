"""Compare what runs a network on this CPU, side by side: time of a forward, Dice, and what each loses against PyTorch.

  python -m utils runtimes --data data/ValDataset --count 100
  python -m utils runtimes --weights best.pth int8.onnx --data data/ValDataset

Runtimes whose packages are not installed are left out. Times are of the processor, one image a forward, medians; an
exported .onnx is run as it is, beside the first weights.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from measure import score_pair
from measure.io import (
    CommandParser,
    add_layout_flags,
    markdown_table,
    nonempty,
    number,
    path,
    read_layout,
    read_mask,
    read_rgb,
    write_text,
)

from ..runtime import machine, run

__all__ = ["main"]

METRIC = "Dice@0.5"
WARMUP = 3  # forwards before time is taken


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb; returns the exit status."""
    return run(lambda: compare(parse_args(argv)))


def parse_args(argv: Sequence[str] | None) -> Namespace:
    parser = CommandParser(prog="python -m utils runtimes", description=__doc__)
    parser.add_argument(
        "--weights", nargs="+", type=nonempty, default=[None], help="weights, and .onnx files (default: the starter's)"
    )
    parser.add_argument("--data", type=path, required=True, help="a set with images/ and masks/")
    parser.add_argument("--count", type=number(int, low=1, high=10**6), default=100, metavar="N", help="images to take")
    parser.add_argument(
        "--size", type=number(int, low=1, high=8192), metavar="N", help="input side (default: as trained)"
    )
    parser.add_argument("--out", type=path, help="file for the table, Markdown")
    add_layout_flags(parser.add_argument_group("layout of --data"))
    return parser.parse_args(argv)


class Variant(NamedTuple):
    """A network in a runtime.

    Attributes:
        name: for the table.
        predictor: that runs it.
        amp: context of a forward.
    """

    name: str
    predictor: Any
    amp: Any


def compare(args: Namespace) -> None:
    """Measure and print the table.

    Raises:
        InputError, ModelError: a folder, a file or weights that cannot be used.
    """
    layout = read_layout(args)
    pairs = layout.pair(args.data).pairs
    step = max(1, len(pairs) / args.count)
    chosen = [pairs[int(n * step)] for n in range(min(args.count, len(pairs)))]
    samples = [(stem, read_rgb(image), read_mask(mask, layout.mask_values)) for stem, image, mask in chosen]
    rows, reference = [], None
    for variant in variants(args.weights, args.size):
        dice, milliseconds = measured(variant, samples)
        reference = reference or dice
        worst = max(first - second for first, second in zip(reference, dice, strict=True))
        mean = sum(dice) / len(dice)
        loss = sum(reference) / len(reference) - mean
        rows.append([variant.name, f"{milliseconds:.1f}", f"{mean:.4f}", f"{loss:+.4f}", f"{worst:.4f}"])
        print(f"{variant.name}: {milliseconds:.1f} ms, {METRIC} {mean:.4f}", file=sys.stderr)
    header = ["runtime", "ms a forward", METRIC, "lost", "lost at most on an image"]
    table = markdown_table(header, rows)
    side = variant.predictor.size
    told = f"{len(samples)} images of {args.data}, {side} x {side}, {cpu_told()}\n\n{table}\n"
    print(told)
    if args.out:
        write_text(told, args.out)


def cpu_told() -> str:
    """The processor and how many threads PyTorch takes of it."""
    import torch

    described = machine(torch.device("cpu"))
    return f"{described['name']}, {described['threads']} threads"


def variants(weights: Sequence[str | None], size: int | None) -> Iterator[Variant]:
    """The networks in every runtime that is installed here, PyTorch in float32 first."""
    import contextlib

    import torch

    from ..prediction import Predictor, has_packages

    first, *graphs = weights
    named = {"device": "cpu", "size": size}
    plain = contextlib.nullcontext()
    torch_predictor = Predictor.from_checkpoint(first, runtime="torch", **named)
    first = torch_predictor.path
    yield Variant("PyTorch, float32", torch_predictor, plain)
    yield Variant("PyTorch, bf16 autocast", torch_predictor, torch.autocast("cpu", torch.bfloat16))
    if has_packages("onnx", "onnxscript", "onnxruntime"):
        yield Variant("ONNX Runtime, float32", Predictor.from_checkpoint(first, runtime="onnxruntime", **named), plain)
    for amp in ("off", "bf16") if has_packages("openvino") else ():
        predictor = Predictor.from_checkpoint(first, runtime="openvino", amp=amp, **named)
        yield Variant(f"OpenVINO, {predictor.model.config.precision}", predictor, plain)
    for graph in graphs:
        for runtime in ("onnxruntime", "openvino"):
            if has_packages(runtime):
                predictor = Predictor.from_checkpoint(graph, runtime=runtime, **named)
                yield Variant(f"{graph}, {predictor.model.config.runtime}", predictor, plain)


def measured(variant: Variant, samples: Sequence[tuple]) -> tuple[list[float], float]:
    """Dice of every image, and the median processor time of a forward, milliseconds."""
    import time

    import numpy as np
    import torch

    model, seconds, dice = variant.predictor.model, [], []

    def timed(_: Any, inputs: tuple) -> None:
        seconds.append(-time.process_time())

    def ended(_: Any, inputs: tuple, outputs: Any) -> None:
        seconds[-1] += time.process_time()

    hooks = [model.register_forward_pre_hook(timed), model.register_forward_hook(ended)]
    try:
        with torch.inference_mode(), variant.amp:
            for _, image, mask in samples:
                grey = (255 * variant.predictor.probability(image)).round().astype(np.uint8)
                dice.append(score_pair(grey, mask, minmax=False)[METRIC])
    finally:
        for hook in hooks:
            hook.remove()
    return dice, 1000 * float(np.median(seconds[WARMUP:] or seconds))
