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

from ..runtime import Options, add_flags, option, run

__all__ = ["GpuOptions", "Stage", "StageResult", "main", "plan", "run_stages"]

REPORT, TRAINING = "report", "a real training"
STARTER_BACKBONE = "tf_efficientnet_lite0"
WAYS = {
    "steps": ("float32", "float32+tf32+cudnn+graph", "bf16", "bf16+cudnn+graph", "fp16"),
    "compiled": ("bf16+compile",),
}
SHOWN_LINES = 30  # of what a failed stage printed


@dataclass(frozen=True)
class GpuOptions(Options):
    """What is run, and where the report goes."""

    out: str = option("result/gpu", "folder for gpu.md, gpu.json and every stage's own files", group=REPORT)
    stages: tuple[str, ...] | None = option(
        None, "run these stages alone (default: all)", group=REPORT, nargs="+", metavar="NAME"
    )
    dry: bool = option(False, "every stage on tiny inputs on the CPU, to see that it runs", group=REPORT)
    train_data_path: str | None = option(
        None, "a folder with images/ and masks/: train on it for some epochs", group=TRAINING
    )
    net_pretrained_backbone_path: str = option("none", f"ImageNet weights of {STARTER_BACKBONE}", group=TRAINING)
    epoch: int = option(5, "epochs", group=TRAINING, low=1)


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: of the stage.
        words: the command, after `python`.
        limit: seconds that it may take.
        tables: files in the report's folder that the report shows.
    """

    name: str
    words: tuple[str, ...]
    limit: int
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageResult:
    """What became of a stage.

    Attributes:
        name: of the stage.
        command: as one would type it.
        outcome: "ok", "exit status N" or "stopped after N s".
        seconds: that it took.
        text: its tables, or the end of what it printed.
    """

    name: str
    command: str
    outcome: str
    seconds: float
    text: str


def plan(options: GpuOptions) -> list[Stage]:
    """The stages in their order, those asked for.

    Raises:
        InputError: there is no stage of a given name.
    """
    every = [*(dry_stages if options.dry else gpu_stages)(options), *training_stages(options)]
    names = [stage.name for stage in every]
    if unknown := set(options.stages or ()) - set(names):
        raise InputError(f"--stages {' '.join(sorted(unknown))} was given; expected some of {', '.join(names)}")
    return [stage for stage in every if options.stages is None or stage.name in options.stages]


def gpu_stages(options: GpuOptions) -> Iterator[Stage]:
    """What a GPU is asked: at 352 x 352, the paper's network and the starter's."""
    yield benchmark_stage("rates", "rates", options, limit=30)
    yield test_stage(("-m", "gpu", "tests"), limit=240)
    for backbone in ("pvt-v2-b2", STARTER_BACKBONE):
        for kind, rows in WAYS.items():
            words = ("--backbone", backbone, "--batch_size", "16", "--repeats", "15", "--rows", *rows)
            yield benchmark_stage(f"{backbone}-{kind}", "train", options, *words, limit=120 if kind == "steps" else 240)
    for amp in ("off", "bf16"):
        words = ("--models", "sepnet", "--backbone", "pvt-v2-b2", "--amp", amp, "--batch_sizes", "16", "64")
        yield benchmark_stage(f"predict-{amp}", "predict", options, *words, limit=60)
    yield benchmark_stage("video", "video", options, "--models", "sali", "--frames", "400", limit=90)


def dry_stages(options: GpuOptions) -> Iterator[Stage]:
    """The same, as small as can be."""
    small = ("--size", "64", "--warmup", "0", "--repeats", "1")
    yield benchmark_stage("rates", "rates", options, "--side", "64", "--megabytes", "1", limit=60)
    yield test_stage(("-m", "gpu", "tests/utils/benchmark"), limit=120)
    steps = ("--backbone", "pvt-v2-b0", "--batch_size", "2", "--rows", "float32", "bf16", *small)
    yield benchmark_stage("pvt-v2-b0-steps", "train", options, *steps, limit=120)
    predict = ("--models", "sepnet", "--backbone", "pvt-v2-b0", "--batch_sizes", "2", *small)
    yield benchmark_stage("predict-off", "predict", options, *predict, limit=120)
    clip = ("--frames", "7", "--memory_frames", "2", "--write_every", "1", "--size", "256", "--warmup", "1")
    yield benchmark_stage("video", "video", options, "--models", "sali", "--backbone", "pvt-v2-b0", *clip, limit=120)


def training_stages(options: GpuOptions) -> Iterator[Stage]:
    """A short training on real images, where there are some."""
    if options.train_data_path is None:
        return
    words = ["myTrain.py", "--train_data_path", options.train_data_path, "--epoch", str(options.epoch), "--overwrite"]
    words += ["--train_model_save_path", str(Path(options.out) / "run"), "--net_backbone", STARTER_BACKBONE]
    words += ["--net_pretrained_backbone_path", options.net_pretrained_backbone_path, "--lr_warmup_epoch", "1"]
    words += ["--train_size", "64", "--device", "cpu"] if options.dry else ["--batch_size", "16", "--amp", "bf16"]
    yield Stage("training", tuple(words), limit=180, tables=("run/log.csv",))


def test_stage(selection: Sequence[str], *, limit: int) -> Stage:
    return Stage("tests", ("-m", "pytest", "-q", "-p", "no:cacheprovider", *selection), limit)


def benchmark_stage(name: str, verb: str, options: GpuOptions, *words: str, limit: int) -> Stage:
    """A verb of `python -m utils benchmark`, its files in a folder of the stage's name."""
    table = {"rates": "rates", "train": "steps", "predict": "times", "video": "video"}[verb]
    where = ("--out", str(Path(options.out) / name), "--device", "cpu" if options.dry else "cuda")
    return Stage(name, ("-m", "utils", "benchmark", verb, *words, *where), limit, tables=(f"{name}/{table}.md",))


def run_stages(chosen: Sequence[Stage], out: Path) -> Iterator[StageResult]:
    """Run the stages one after the other; every result is yielded as it comes."""
    for stage in tqdm(chosen, desc="gpu", unit="stage", disable=None):
        log, started = out / f"{stage.name}.log", time.monotonic()
        outcome = run_stage(stage, log)
        seconds = time.monotonic() - started
        tqdm.write(f"{stage.name}: {outcome}, {seconds:.0f} s")
        tables = [(out / name).read_text() for name in stage.tables if (out / name).is_file()]
        lines = log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        text = "\n".join(tables if outcome == "ok" and tables else lines)
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
        InputError: an unknown stage, or a folder that cannot be written to.
    """
    out, chosen = Path(options.out), plan(options)
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
