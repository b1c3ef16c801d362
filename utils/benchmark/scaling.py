"""How far plain data parallel goes: `python -m utils benchmark scaling --step_ms 80 --batch_size 8 --bandwidth 50`.

Arithmetic from a measured step (verb `train`) and the size of the gradients, not a measurement. Every process computes
its own images in the measured time; then gradients of P bytes, float32, are averaged over n processes in a ring, which
takes 2 (n - 1) / n x P / bandwidth + 2 (n - 1) x latency. PyTorch starts that while the backward runs, two thirds of a
step: at best what fits there costs nothing, at worst all of it comes on top.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from lib import create_model
from measure.io import InputError

from .timing import own_options

__all__ = ["Ring", "add_flags", "run", "table"]

BACKWARD = 2 / 3  # of a step: it costs twice the forward
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Ring:
    """What averages the gradients: `bandwidth` of the slowest link, bytes a second, `latency` of a message, seconds."""

    bandwidth: float
    latency: float

    def seconds(self, processes: int, size: int) -> float:
        """Time to average `size` bytes over the processes."""
        rounds = 2 * (processes - 1)
        return rounds / processes * size / self.bandwidth + rounds * self.latency


def table(step: float, batch: int, size: int, ring: Ring, processes: list[int]) -> str:
    """A Markdown table, one number of processes a row.

    Args:
        step: seconds of a process's step. batch: its images. size: bytes of gradients.
    """
    lines = [
        "| processes | images a step | averaging, ms | step, ms | images/s | share of n times one |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for count in processes:
        averaging = ring.seconds(count, size)
        best, worst = step + max(0.0, averaging - BACKWARD * step), step + averaging
        lines.append(
            f"| {count} | {count * batch} | {1000 * averaging:.1f} | {1000 * best:.1f} to {1000 * worst:.1f} "
            f"| {count * batch / worst:.3g} to {count * batch / best:.3g} | {step / worst:.0%} to {step / best:.0%} |"
        )
    return "\n".join(lines)


def add_flags(verbs: argparse._SubParsersAction) -> None:
    """Add the verb `scaling`."""
    parser = verbs.add_parser(
        "scaling",
        help="reckon how far plain data parallel goes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--model", default="sepnet", help="network (default: sepnet)")
    parser.add_argument("--backbone", help="of the network (default: its own)")
    parser.add_argument("--step_ms", type=float, required=True, help="measured milliseconds of one process's step")
    parser.add_argument("--batch_size", type=int, required=True, help="images of one process in that step")
    parser.add_argument("--bandwidth", type=float, required=True, help="of the slowest link, gigabytes a second")
    parser.add_argument("--latency_us", type=float, default=20, help="of a message, microseconds (default: 20)")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="(default: 1 to 64, doubling)"
    )


def run(args: argparse.Namespace) -> None:
    """Print the table.

    Raises:
        InputError, ModelError: a flag that cannot be used.
    """
    if min(args.step_ms, args.bandwidth) <= 0 or min(args.batch_size, *args.processes) < 1 or args.latency_us < 0:
        raise InputError("--step_ms and --bandwidth must be above 0, --batch_size and --processes at least 1")
    model = create_model(args.model, **own_options(args.model, args.backbone))
    size = FLOAT32 * sum(parameter.numel() for parameter in model.parameters())
    name = " ".join(filter(None, (args.model, args.backbone)))
    print(
        f"{name}: {size / 1e6:.0f} MB of gradients, {args.batch_size} images a process in {args.step_ms:g} ms, "
        f"links of {args.bandwidth:g} GB/s and {args.latency_us:g} us; reckoned, not measured\n"
    )
    ring = Ring(1e9 * args.bandwidth, 1e-6 * args.latency_us)
    print(table(args.step_ms / 1000, args.batch_size, size, ring, args.processes))
