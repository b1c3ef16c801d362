"""What every verb of `python -m utils benchmark` measures, and what it can be asked for. No PyTorch is needed."""

from __future__ import annotations

from dataclasses import dataclass

from lib import list_models
from measure.io import InputError

from ..prediction import WRITE_EVERY
from ..runtime import ComputeOptions, DeviceOptions, MachineOptions, Options, option

__all__ = [
    "CALIBRATION_COUNT",
    "CYCLE",
    "PRECISIONS",
    "SWITCHES",
    "AblationBenchmark",
    "LoaderBenchmark",
    "PredictBenchmark",
    "RatesBenchmark",
    "RuntimesBenchmark",
    "TrainBenchmark",
    "VideoBenchmark",
]

PREDICTION, STEPS, RATES, ABLATION, LOADING = "prediction", "steps", "rates", "ablation", "loading"
RUNTIMES, LAYOUT, VIDEO = "runtimes", "layout of --data", "video"
PRECISIONS, SWITCHES = ("float32", "bf16", "fp16"), ("tf32", "cudnn", "graph", "compile", "reduce-overhead")
CALIBRATION_COUNT = 32  # images that ranges of 8 bits are measured on, where nothing is said
CYCLE = 48  # frames of a video that are kept and shown over and over


@dataclass(frozen=True)
class PredictBenchmark(MachineOptions):
    """How fast networks of images predict: `python -m utils benchmark predict`.

    Without files: the inference network's forward on normalized images that lie on the device; with files: from image
    file to map file, as myTest.py does it.
    """

    models: tuple[str, ...] | None = option(
        None, "networks (default: all of images)", group=PREDICTION, nargs="+", metavar="NAME"
    )
    backbone: str | None = option(None, "of the networks that have one", group=PREDICTION, metavar="NAME")
    size: int | None = option(
        None, "input height and width, pixels (default: recipe's)", group=PREDICTION, low=32, high=4096
    )
    batch_sizes: tuple[int, ...] = option(
        (1, 2, 4, 8, 16, 32),
        "images a forward, to find the best of; what no longer fits in memory ends the search",
        group=PREDICTION,
        nargs="+",
        metavar="N",
        low=1,
        high=4096,
    )
    warmup: int = option(5, "forwards before time is taken", group=PREDICTION, high=100_000)
    repeats: int = option(30, "forwards whose time is taken", group=PREDICTION, low=1)
    images: str | None = option(
        None, "folder of images to read (default: synthetic ones, 480 x 640)", group=PREDICTION, metavar="FOLDER"
    )
    cuda_graphs: bool = option(
        False, "CUDA: record the kernels of a forward once and start them all at once", group=PREDICTION
    )
    out: str = option("result/benchmark", "folder for times.json and times.md", group=PREDICTION, metavar="FOLDER")


@dataclass(frozen=True)
class TrainBenchmark(ComputeOptions):
    """How long a training step takes: `python -m utils benchmark train`.

    Steps of the trainer on a batch that lies on the device, beside a step of a plain eager loop of the same network on
    the same batch (`plain.step`), one of each in turn. A step counts as 3 x forward multiply-adds x 2 FLOP: the
    backward pass takes twice the forward. The peak is the data sheet's float32 or half-precision rate; PyTorch lets
    convolutions in float32 use TF32, so theirs may seem high.

    A way to train is a precision and what is added to it: `tf32`, `cudnn`, `graph`, `compile` and `reduce-overhead` are
    the trainer's --tf32, --cudnn_benchmark, --cuda_graphs, --compile and --compile_mode reduce-overhead. On CUDA three
    more steps of each are profiled.
    """

    model: str = option("sepnet", "network", group=STEPS, choices=list_models("image"))
    backbone: str | None = option(None, "of the network (default: its own)", group=STEPS, metavar="NAME")
    size: int = option(352, "input height and width, pixels", group=STEPS, low=32, high=4096)
    batch_size: int = option(4, "images a step", group=STEPS, low=2, high=4096)
    warmup: int = option(2, "steps of each before time is taken", group=STEPS, high=100_000)
    repeats: int = option(7, "steps of each whose time is taken", group=STEPS, low=1)
    rows: tuple[str, ...] | None = option(
        None,
        f"how the trainer trains, as bf16+compile: {', '.join(PRECISIONS)}, each with {', '.join(SWITCHES)} (default: "
        "float32 and --amp; compiling for a CPU takes minutes)",
        group=STEPS,
        nargs="+",
        metavar="PRECISION[+SWITCH]",
    )
    ema: float = option(0.0, "decay of the average of the weights, 0 for none", group=STEPS, high=1, high_open=True)
    out: str = option("result/benchmark", "folder for steps.json and steps.md", group=STEPS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows and self.amp != "off":
            raise InputError(f"--amp {self.amp} was given with --rows, which name their own precision; leave one out")

    @property
    def ways(self) -> tuple[str, ...]:
        """The rows of the table."""
        return self.rows or tuple(dict.fromkeys(("float32", "float32" if self.amp == "off" else self.amp)))


@dataclass(frozen=True)
class RatesBenchmark(DeviceOptions):
    """What a device can do at most, as measured (`python -m utils benchmark rates`) and as data sheets say.

    Copies are counted as bytes read and written, matrix products of random numbers as 2 N^3 operations.
    """

    side: int = option(8192, "rows and columns of the matrices", group=RATES, low=16, high=65536)
    megabytes: int = option(4096, "size of what is copied", group=RATES, low=1, high=65536)
    repeats: int = option(10, "products and copies whose time is taken", group=RATES, low=1, high=1000)
    out: str = option("result/benchmark", "folder for rates.json and rates.md", group=RATES)


@dataclass(frozen=True)
class AblationBenchmark(DeviceOptions):
    """What a change of the recipe is worth on another hospital: `python -m utils benchmark ablation --steps FILE`.

    The file is a text file with `name: flags of myTrain.py` a line. The first line is the recipe to start from; every
    other one adds its flags to those. Each is trained with several seeds on the images that one split file names and
    scored on those of the other, and the reverse. The score is the mean Dice at 0.5 of calibrated probabilities;
    nothing is chosen: the last epoch counts. A change's gain is paired run by run, over seeds and directions, with
    Student's 95 % interval.

    Runs that are finished are kept, so the same command goes on where it was stopped, and `--seeds` may grow.
    """

    steps: str = option("steps.txt", "file of recipes, NAME: FLAGS a line", group=ABLATION)
    train_data_path: str = option("data/TrainDataset", "folder with images/ and masks/", group=ABLATION)
    parts: tuple[str, str] = option(
        ("a.txt", "b.txt"), "two split files, one hospital each", group=ABLATION, nargs=2, metavar="FILE"
    )
    seeds: tuple[int, ...] = option((0, 1, 2), "seeds of the runs", group=ABLATION, nargs="+", metavar="N")
    processes: int = option(1, "runs at a time", group=ABLATION, low=1, high=256)
    out: str = option("result/ablation", "folder for ablation.md, ablation.json and the runs", group=ABLATION)


@dataclass(frozen=True)
class LoaderBenchmark(Options):
    """What a training sample costs: `python -m utils benchmark loader`.

    On every pair and in turn: decoding alone; our loader, without a cache and with each (filled before); and a plain
    loader of the same augmentations, SEPNet's, in Pillow and torchvision. Ours ends with 8 bits, which the device
    normalizes; the plain one normalizes. Times are processor time of one thread, so that other work on the machine
    hardly moves them.
    """

    images: str | None = option(
        None,
        "folder with images/ and masks/ (default: synthetic PNG pairs of 622 x 529)",
        group=LOADING,
        metavar="FOLDER",
    )
    size: int = option(352, "input height and width, pixels", group=LOADING, low=32, high=4096)
    repeats: int = option(10, "passes over the pairs whose time is taken", group=LOADING, low=1)


@dataclass(frozen=True)
class RuntimesBenchmark(Options):
    """What runs a network on this CPU, side by side: `python -m utils benchmark runtimes`.

      python -m utils benchmark runtimes --data data/ValDataset --calibration data/TrainDataset/images
      python -m utils benchmark runtimes --weights best.pth other.onnx --data data/ValDataset

    Time of a forward, Dice, and what each loses against PyTorch. All take turns on every image, one image a forward, so
    that other work on the machine meets them alike; medians. What cannot run here is left out, with the reason. An
    exported .onnx is run as it is, beside the first weights.
    """

    weights: tuple[str, ...] | None = option(
        None, "weights, and .onnx files (default: the starter's)", group=RUNTIMES, nargs="+", metavar="FILE"
    )
    data: str = option("data/ValDataset", "a set with images/ and masks/", group=RUNTIMES, metavar="FOLDER")
    count: int = option(100, "images to take, evenly spread", group=RUNTIMES, low=1, metavar="N")
    calibration: tuple[str, ...] | None = option(
        None,
        "images, folders, patterns or lists that ranges of 8 bits are measured on; training images, not those of "
        "--data (default: 8 bits are left out)",
        group=RUNTIMES,
        nargs="+",
        metavar="X",
    )
    calibration_count: int | None = option(
        None,
        f"of --calibration to use, evenly spread (default: {CALIBRATION_COUNT})",
        group=RUNTIMES,
        low=1,
        high=10_000,
        metavar="N",
    )
    compile: bool = option(True, "take torch.compile in, which compiles for minutes", group=RUNTIMES)
    size: int | None = option(
        None, "input height and width, pixels (default: as trained)", group=RUNTIMES, low=1, high=8192, metavar="N"
    )
    out: str | None = option(None, "file for the table, Markdown", group=RUNTIMES, metavar="FILE")
    images: str = option("images", "folder of a set's images", group=LAYOUT, metavar="NAME")
    masks: str = option("masks", "folder of a set's masks", group=LAYOUT, metavar="NAME")
    mask_suffix: str | None = option(
        None,
        "what masks have at the end of their names, as _mask where 1_mask.png belongs to 1.jpg",
        group=LAYOUT,
        metavar="TEXT",
    )
    mask_values: tuple[str, ...] | None = option(
        None,
        "values of the masks that mean polyp, indices (1 2) or colors (255,0,0)",
        group=LAYOUT,
        nargs="+",
        metavar="VALUE",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.calibration_count and not self.calibration:
            raise InputError(
                f"--calibration_count {self.calibration_count} was given without --calibration, where it means "
                "nothing; add the images to measure on or leave it out"
            )


@dataclass(frozen=True)
class VideoBenchmark(ComputeOptions):
    """What a frame costs a video network: `python -m utils benchmark video`.

    One clip is streamed as myTest.py does it, its frames on the host: a frame's time is that of bringing the next frame
    to the device, encoding it, reading the memory, segmenting the frame and, every few frames, writing it to the
    memory. The memory is counted after every frame. A frame is timed once the device has finished it, after a warm-up
    on another clip.
    """

    models: tuple[str, ...] | None = option(
        None, "networks (default: all of video)", group=VIDEO, nargs="+", metavar="NAME"
    )
    backbone: str | None = option(None, "of the networks (default: their own)", group=VIDEO, metavar="NAME")
    size: int = option(352, "input height and width, pixels", group=VIDEO, low=32, high=4096)
    frames: int = option(500, "length of the clip", group=VIDEO, low=1)
    memory_frames: int | None = option(
        None, "frames that the memory keeps (default: the network's own)", group=VIDEO, low=1, high=100_000
    )
    write_every: int = option(
        WRITE_EVERY, "frames from one write to the memory to the next", group=VIDEO, low=1, high=100_000
    )
    warmup: int = option(5, "frames of another clip before time is taken", group=VIDEO, low=1, high=100_000)
    input: str | None = option(
        None,
        f"a video or frames (a folder, a list, a pattern), whose first {CYCLE} are repeated (default: a phantom clip)",
        group=VIDEO,
        metavar="VIDEO",
    )
    cuda_graphs: bool = option(
        False, "CUDA: record the kernels of a forward once and start them all at once", group=VIDEO
    )
    out: str = option("result/benchmark", "folder for video.json and video.md", group=VIDEO, metavar="FOLDER")
