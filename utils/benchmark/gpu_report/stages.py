"""What a GPU is asked, stage by stage, each a command of its own with a time limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure.io import InputError

from ...runtime import Options, option

__all__ = ["GpuOptions", "Stage", "plan"]

REPORT, TRAINING, PACK = "report", "a real training", "for another machine"
STARTER_BACKBONE = "tf_efficientnet_lite0"
WAYS = ("float32", "float32+tf32+cudnn+graph", "bf16", "bf16+cudnn+graph", "fp16")
COMPILED = ("bf16", "bf16+compile+cudnn+graph")


@dataclass(frozen=True)
class GpuOptions(Options):
    """What is run, and where the report goes."""

    out: str = option("result/gpu", "folder for gpu.md, gpu.json and every stage's own files", group=REPORT)
    stages: tuple[str, ...] | None = option(
        None, "run these stages alone (default: all)", group=REPORT, nargs="+", metavar="NAME"
    )
    dry: bool = option(False, "every stage on tiny inputs on the CPU, to see that it runs", group=REPORT)
    compile: bool = option(
        False, "time compiled steps as well: minutes more, on an H200 one and a half a network", group=REPORT
    )
    train_data_path: str | None = option(
        None, "a folder with images/ and masks/: train on it for some epochs", group=TRAINING
    )
    net_pretrained_backbone_path: str = option("none", f"ImageNet weights of {STARTER_BACKBONE}", group=TRAINING)
    epoch: int = option(5, "epochs", group=TRAINING, low=1)
    pack: str | None = option(
        None,
        "run nothing; write this .tar of the code, the training data and the encoder's weights in half precision, for "
        "a machine without a network",
        group=PACK,
        metavar="FILE",
    )
    pack_limit: float = option(64, "refuse to pack more, in MiB", group=PACK, low_open=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, needed in (("epoch", "train_data_path"), ("pack_limit", "pack")):
            value = getattr(self, flag)
            if value != getattr(GpuOptions, flag) and not getattr(self, needed):
                raise InputError(f"--{flag} {value} was given without --{needed}, where it means nothing; drop it")


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
    yield benchmark_stage("rates", "rates", options, limit=20)
    yield test_stage(("-m", "gpu", "tests"), limit=150)
    for backbone in ("pvt-v2-b2", STARTER_BACKBONE):
        words = ("--backbone", backbone, "--batch_size", "16", "--repeats", "15", "--rows")
        yield benchmark_stage(f"{backbone}-steps", "train", options, *words, *WAYS, limit=75)
        if options.compile:
            yield benchmark_stage(f"{backbone}-compiled", "train", options, *words, *COMPILED, limit=240)
    for amp in ("off", "bf16"):
        words = f"--models sepnet --backbone pvt-v2-b2 --amp {amp} --batch_sizes 16 64 --cuda_graphs".split()
        yield benchmark_stage(f"predict-{amp}", "predict", options, *words, limit=35)
    clip = ("--models", "sali", "--frames", "400", "--cuda_graphs")
    yield benchmark_stage("video", "video", options, *clip, limit=45)


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
    yield Stage("training", tuple(words), limit=95, tables=("run/log.csv",))


def test_stage(selection: Sequence[str], *, limit: int) -> Stage:
    return Stage("tests", ("-m", "pytest", "-q", "-p", "no:cacheprovider", *selection), limit)


def benchmark_stage(name: str, verb: str, options: GpuOptions, *words: str, limit: int) -> Stage:
    """A verb of `python -m utils benchmark`, its files in a folder of the stage's name."""
    table = {"rates": "rates", "train": "steps", "predict": "times", "video": "video"}[verb]
    where = ("--out", str(Path(options.out) / name), "--device", "cpu" if options.dry else "cuda")
    return Stage(name, ("-m", "utils", "benchmark", verb, *words, *where), limit, tables=(f"{name}/{table}.md",))
