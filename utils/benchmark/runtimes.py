"""Compare what runs a network on this CPU: PyTorch in several ways, ONNX Runtime, OpenVINO, 8 bits."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from measure import score_pair
from measure.io import Layout, markdown_table, parse_mask_values, read_mask, read_rgb, write_text

from ..prediction import Predictor, evenly_spread, export_graph, find_images, fold_batch_norms, has_packages
from ..runtime import failure_reason, machine
from .options import CALIBRATION_COUNT, RuntimesBenchmark

__all__ = ["Row", "compare_runtimes", "start"]

METRIC = "Dice@0.5"
WARMUP = 3  # images before time is taken

Sample = tuple[np.ndarray, np.ndarray]  # image (H, W, 3) uint8 RGB, mask (H, W) uint8


def start(options: RuntimesBenchmark) -> None:
    """Measure, write and print the table.

    Raises:
        InputError, ModelError: a folder, a file or weights that cannot be used.
    """
    values = parse_mask_values(options.mask_values) if options.mask_values else None
    layout = Layout(options.images, options.masks, options.mask_suffix or "", values)
    pairs = evenly_spread(layout.pair(options.data).pairs, options.count)
    samples = [(read_rgb(image), read_mask(mask, values)) for _, image, mask in pairs]
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        variants = list(variants_here(options, Path(folder), left_out))
        rows = compare_runtimes(variants, samples)
    side = variants[0].predictor.size
    told = f"{len(samples)} images of {options.data}, {side} x {side}, {cpu_told()}\n\n{table(rows)}\n"
    told += "".join(f"\nleft out: {line}\n" for line in left_out)
    print(told)
    if options.out:
        write_text(told, options.out)


def variants_here(options: RuntimesBenchmark, folder: Path, left_out: list[str]) -> Iterator[Variant]:
    """The networks in every runtime there is here, PyTorch in float32 first; `left_out` gets the others."""
    first, *graphs = options.weights or (None,)
    named = {"device": "cpu", "size": options.size}
    eager = Predictor.from_checkpoint(first, runtime="torch", **named)
    yield Variant("PyTorch, float32", eager)
    yield from in_torch(options, eager, left_out)
    runtimes = (
        ("ONNX Runtime", "onnxruntime", ("onnx", "onnxscript", "onnxruntime")),
        ("OpenVINO", "openvino", ("openvino",)),
    )
    eight_bits = eight_bit_files(options, eager, folder, left_out)
    for title, runtime, packages in runtimes:
        if not has_packages(*packages):
            left_out.append(f"{title}, which needs {' and '.join(packages)}")
            continue
        for amp in ("off", "bf16") if runtime == "openvino" else ("off",):
            predictor = Predictor.from_checkpoint(eager.path, runtime=runtime, amp=amp, **named)
            precision = predictor.model.config.precision
            if amp == "bf16" and precision != amp:
                left_out.append(f"{title}, bf16, for which this processor has no instructions")
            else:
                yield Variant(f"{title}, {precision}", predictor)
        for graph in (*eight_bits, *graphs):
            predictor = Predictor.from_checkpoint(graph, runtime=runtime, **named)
            yield Variant(f"{title}, {'int8' if graph in eight_bits else graph}", predictor)


def in_torch(options: RuntimesBenchmark, eager: Predictor, left_out: list[str]) -> Iterator[Variant]:
    yield Variant("PyTorch, bf16 autocast", eager, lambda: torch.autocast("cpu", torch.bfloat16))
    folded = Predictor.from_checkpoint(eager.path, device="cpu", size=options.size, runtime="torch")
    folded.model = fold_batch_norms(eager.model, eager.size).to(memory_format=torch.channels_last)
    yield Variant("PyTorch, batch norm folded", folded)
    if not options.compile:
        left_out.append("torch.compile, by --no-compile")
        return
    compiled = Predictor.from_checkpoint(eager.path, device="cpu", size=options.size, runtime="torch")
    compiled.model.forward = torch.compile(compiled.model.forward)  # inside of the hooks that take the time
    try:
        compiled.probability(np.zeros((eager.size, eager.size, 3), np.uint8))
    except Exception as error:  # no C++ compiler, or what it cannot compile: kinds of several packages
        left_out.append(f"torch.compile, which does not work here: {failure_reason(error)}")
    else:
        yield Variant("PyTorch, torch.compile", compiled)


def eight_bit_files(options: RuntimesBenchmark, eager: Predictor, folder: Path, left_out: list[str]) -> list[Path]:
    """A file of the network in 8 bits, where ranges can be measured."""
    if not options.calibration:
        left_out.append("int8, without --calibration")
        return []
    if not has_packages("onnx", "onnxscript", "onnxruntime"):
        left_out.append("int8, which needs onnx and onnxscript and onnxruntime")
        return []
    found = [path for images in find_images(options.calibration).by_folder.values() for path in images.values()]
    chosen = [read_rgb(path) for path in evenly_spread(found, options.calibration_count or CALIBRATION_COUNT)]
    out = folder / "int8.onnx"
    export_graph(eager.path, out, images=chosen, size=options.size, int8=True, bound=1)  # however far: it is measured
    return [out]


@dataclass(frozen=True)
class Variant:
    """A network in a runtime.

    Attributes:
        name: for the table.
        predictor: that runs it.
        context: of a forward.
    """

    name: str
    predictor: Predictor
    context: Callable[[], Any] = contextlib.nullcontext


@dataclass(frozen=True)
class Row:
    """What was measured of a variant.

    Attributes:
        name: for the table.
        clock: median time of a forward, milliseconds.
        processor: median processor time of a forward, of all its threads, milliseconds.
        dice: of every image, at probability 1/2.
    """

    name: str
    clock: float
    processor: float
    dice: list[float]


def compare_runtimes(variants: Sequence[Variant], samples: Sequence[Sample]) -> list[Row]:
    """Run all variants on every sample in turn.

    A forward is run twice and the second one timed: the first brings weights back that the others drove out of the
    processor's caches.
    """
    dice: list[list[float]] = [[] for _ in variants]
    times: list[list[tuple[float, float]]] = [[] for _ in variants]
    for image, mask in tqdm(samples, desc="images", unit="image", disable=None):
        for number, variant in enumerate(variants):
            with timed_calls(variant.predictor.model) as taken, torch.inference_mode(), variant.context():
                variant.predictor.probability(image)
                grey = (255 * variant.predictor.probability(image)).round().astype(np.uint8)
            times[number].append(taken[-1])
            dice[number].append(score_pair(grey, mask, minmax=False)[METRIC])
    medians = [1000 * np.median(taken[WARMUP:] or taken, axis=0) for taken in times]
    return [
        Row(variant.name, float(clock), float(processor), scores)
        for variant, (clock, processor), scores in zip(variants, medians, dice, strict=True)
    ]


@contextlib.contextmanager
def timed_calls(model: torch.nn.Module) -> Iterator[list[tuple[float, float]]]:
    """The seconds of every call of a network, by the clock and of the processor, as calls are made."""
    taken: list[tuple[float, float]] = []
    started: list[tuple[float, float]] = []

    def start(*_: Any) -> None:
        started.append((time.perf_counter(), time.process_time()))

    def end(*_: Any) -> None:
        clock, processor = started.pop()
        taken.append((time.perf_counter() - clock, time.process_time() - processor))

    hooks = [model.register_forward_pre_hook(start), model.register_forward_hook(end)]
    try:
        yield taken
    finally:
        for hook in hooks:
            hook.remove()


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, one variant a row; what is lost is against the first."""
    first = rows[0]
    cells = []
    for row in rows:
        mean, reference = (float(np.mean(each.dice)) for each in (row, first))
        worst = max(before - after for before, after in zip(first.dice, row.dice, strict=True))
        times = (f"{row.clock:.1f}", f"{row.processor:.1f}")
        cells.append((row.name, *times, f"{mean:.4f}", f"{reference - mean:+.4f}", f"{worst:.4f}"))
    header = ("runtime", "ms a forward", "of the processor", METRIC, "lost", "lost at most on an image")
    return markdown_table(header, cells)


def cpu_told() -> str:
    """The processor and how many threads PyTorch takes of it."""
    described = machine(torch.device("cpu"))
    return f"{described['name']}, {described['threads']} threads"
