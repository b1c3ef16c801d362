"""Everything that a GPU is to show, in one report: `python -m utils gpu`, or `make gpu`.

One stage after the other, each a command of its own with a time limit: rates of the device, the tests marked `gpu`,
training steps beside a plain eager loop, prediction, video, and with --train_data_path a short real training. A stage
that fails or takes too long does not stop the next. No network is needed.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from measure.io import CommandParser, InputError, make_folder, markdown_table, replace_when_whole, write_json

from ...runtime import add_flags, run
from .stages import GpuOptions, Stage, plan

__all__ = ["StageResult", "main", "report", "run_stages"]

SHOWN_LINES = 30  # of what a failed stage printed


@dataclass(frozen=True)
class StageResult:
    """What became of a stage.

    Attributes:
        name: of the stage.
        command: as one would type it.
        outcome: "ok", "exit status N" or "stopped after N s".
        seconds: that it took.
        text: the tables that it wrote, and the end of what it printed where it failed or wrote none.
    """

    name: str
    command: str
    outcome: str
    seconds: float
    text: str


def run_stages(chosen: Sequence[Stage], out: Path) -> Iterator[StageResult]:
    """Run the stages one after the other; every result is yielded as it comes."""
    for stage in tqdm(chosen, desc="gpu", unit="stage", disable=None):
        log, started = out / f"{stage.name}.log", time.monotonic()
        for name in stage.tables:
            (out / name).unlink(missing_ok=True)  # an earlier report's
        outcome = run_stage(stage, log)
        seconds = time.monotonic() - started
        tqdm.write(f"{stage.name}: {outcome}, {seconds:.0f} s")
        shown = [(out / name).read_text() for name in stage.tables if (out / name).is_file()]
        if outcome != "ok" or not shown:
            shown += log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        text = "\n".join(shown)
        yield StageResult(stage.name, shlex.join(("python", *stage.words)), outcome, round(seconds, 1), text)


def run_stage(stage: Stage, log: Path) -> str:
    """Run one stage, what it prints going to a file; returns how it ended."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, *stage.words]
    with log.open("w") as sink:
        try:
            done = subprocess.run(
                command, stdout=sink, stderr=subprocess.STDOUT, timeout=stage.limit, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {stage.limit} s"
    return "ok" if done.returncode == 0 else f"exit status {done.returncode}"


def report(results: Sequence[StageResult]) -> str:
    """The whole report as Markdown."""
    rows = [(result.name, result.outcome, f"{result.seconds:.0f}") for result in results]
    parts = [f"## {result.name}\n\n`{result.command}`\n\n{result.text}" for result in results]
    return "\n\n".join(("# GPU report", markdown_table(("stage", "outcome", "seconds"), rows), *parts)) + "\n"


def write_results(results: Sequence[StageResult], out: Path) -> None:
    write_json({"stages": [dataclasses.asdict(result) for result in results]}, out / "gpu.json")
    with replace_when_whole(out / "gpu.md") as partial:
        partial.write_text(report(results))


def start(options: GpuOptions) -> int:
    """Run the stages and write the report after every one; status 1 where one failed.

    Raises:
        InputError: an unknown stage, no GPU, or a folder that cannot be written to.
    """
    if options.pack:
        from .pack import pack  # imports PyTorch, which --help does without

        print(pack(options))
        return 0
    out, chosen = Path(options.out), plan(options)
    import torch

    if not (options.dry or torch.cuda.is_available()):
        raise InputError(
            "there is no CUDA device here, and its tests would be passed over; --dry tries the stages on a CPU"
        )
    make_folder(out)
    results: list[StageResult] = []
    for result in run_stages(chosen, out):
        results.append(result)
        write_results(results, out)
    print(f"{report(results)}\n{out / 'gpu.md'} has this report")
    return int(any(result.outcome != "ok" for result in results))


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandParser(prog="python -m utils gpu", description=__doc__)
    add_flags(parser, GpuOptions)
    return run(lambda: start(GpuOptions.from_flags(vars(parser.parse_args(argv)))))
