"""Everything that decides a training run, in one frozen dataclass.

The flags of myTrain.py are made of it, recipes are instances of it, config.json and every checkpoint store it, and
`python -m utils repeat` reads it back. A new hyperparameter is one field here, and its use. No PyTorch is needed.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass

from measure.io import LARGEST_LIMIT, USUAL_LIMIT, InputError

from ..runtime import MACHINE, NETWORK, RELEASED, MachineOptions, NetworkOptions, Options, option
from .run_files.trackers import TRACKERS
from .schedule import SCHEDULES, Budget, Schedule, parse_budget

__all__ = ["GROUPS", "MULTI_SCALE_SIZES", "REPETITION", "StartOptions", "TrainConfig", "neutral_options"]

MULTI_SCALE_SIZES = (224, 256, 288, 320, 352)  # pixels, as released with SEPNet
SIZE_STEP = 32  # pixels; the sizes of --scales are multiples of it, as in PraNet's code

DATA, FOLDER, REPETITION = "data", "run folder", "repetition"
RECIPE, SELECTION, SPEED = (
    "training (defaults: those of --recipe and --model)",
    "choosing the best checkpoint",
    "speed and memory",
)

# the headings of --help, in their order
GROUPS = (DATA, RECIPE, SELECTION, SPEED, FOLDER, NETWORK, RELEASED, MACHINE, REPETITION)

# what a resumed run may do with an option: the default is that it may change and that the record says so
FIXED = {"resume": "fixed"}  # refused: the weights, the order of the samples or the earlier scores would not fit
NEUTRAL = {"resume": "neutral"}  # moves no number, or the hashes of the files speak for it


@dataclass(frozen=True)
class TrainConfig(MachineOptions, NetworkOptions):
    """How a network is trained, on what, and where the run is kept.

    Raises:
        InputError: a value that cannot be used; the message names the flag.
    """

    train_data_path: str = option(
        "data/TrainDataset", "folder with images/ and masks/, or Frame/ and GT/", group=DATA, **NEUTRAL
    )
    val_data_path: str | None = option(
        None, "validate on this folder instead of a held-out tenth of the training set", group=DATA, **NEUTRAL
    )
    images: str = option("images", "folder of the images below the data folder", group=DATA, metavar="NAME", **NEUTRAL)
    masks: str = option("masks", "folder of the masks below the data folder", group=DATA, metavar="NAME", **NEUTRAL)
    mask_suffix: str | None = option(
        None,
        "what masks have at the end of their names, as _mask where 1_mask.png belongs to 1.jpg",
        group=DATA,
        metavar="TEXT",
        **NEUTRAL,
    )
    mask_values: tuple[str, ...] | None = option(
        None,
        "values of the masks that mean polyp, indices (1 2) or colors (255,0,0); all others are background "
        "(default: levels above 128, or 1 in masks of 0 and 1)",
        group=DATA,
        nargs="+",
        metavar="VALUE",
    )
    max_megapixels: float = option(
        USUAL_LIMIT,
        "images of more pixels are refused, before they take memory",
        group=DATA,
        high=LARGEST_LIMIT,
        low_open=True,
        metavar="N",
        **NEUTRAL,
    )
    split: str | None = option(
        None, "train on the images or clips that this file names, one a line (python -m utils split)", group=DATA
    )
    val_split: str | None = option(None, "validate on the images or clips that this file names", group=DATA)
    classes: tuple[str, ...] | None = option(
        None,
        "what the masks tell apart: NAME=R,G,B for colors, NAME=INDEX for indices (default: polyp alone)",
        group=DATA,
        nargs="+",
        metavar="NAME=VALUE",
        **FIXED,
    )
    cache: str = option(
        "off",
        "keep training images decoded and shrunk to 1.25 times the input, image networks only",
        group=DATA,
        choices=("off", "memory", "disk"),
    )
    cache_path: str = option("checkpoint/cache", "folder of --cache disk; it holds pictures of patients", group=DATA)
    mask_noise: float = option(
        0.0, "share of mask pixels set to black or white at random (released: 0.0015)", group=DATA, high=1
    )
    multi_scale_training: bool = option(
        False, f"train every batch at {' '.join(map(str, MULTI_SCALE_SIZES))} pixels", group=DATA
    )

    recipe: str = option(
        "released",
        "where the defaults of these flags come from: the network's authors, or this project (still images)",
        group=RECIPE,
        choices=("released", "ours"),
        **FIXED,
    )
    train_size: int = option(352, "input height and width, pixels", group=RECIPE, low=1, high=8192, recipe=True)
    scales: tuple[float, ...] = option(
        (),
        f"train each batch at one of these multiples of --train_size, drawn at random, in steps of {SIZE_STEP} pixels",
        group=RECIPE,
        metavar="FACTOR",
        low=0.1,
        high=10,
        recipe=True,
    )
    epoch: int = option(100, "passes over the training images", group=RECIPE, low=1, recipe=True)
    batch_size: int = option(
        3, "images a step, over all processes", group=RECIPE, low=1, high=65536, recipe=True, **FIXED
    )
    loss: str = option(
        "structure",
        "loss of every output",
        group=RECIPE,
        choices=("structure", "structure_plain_entropy", "bce_dice", "ce_dice"),
        recipe=True,
    )
    loss_weights: tuple[str, ...] = option(
        ("out=2",), "weights of outputs that are not 1", group=RECIPE, metavar="OUTPUT=WEIGHT", recipe=True
    )
    mixtures: tuple[str, ...] = option(
        (),
        "supervise all sums or products of two and more outputs too: sum=W product=W, the weight of their mean loss",
        group=RECIPE,
        metavar="KIND=WEIGHT",
        recipe=True,
    )
    optimizer: str = option("Adam", "optimizer", group=RECIPE, choices=("AdamW", "Adam", "SGD"), recipe=True, **FIXED)
    lr: float = option(1e-4, "highest learning rate", group=RECIPE, high=100, recipe=True)
    weight_decay: float = option(
        1e-4,
        "weight decay; Adam's w is an L2 term of w / 2 times the squared weights",
        group=RECIPE,
        high=100,
        recipe=True,
    )
    schedule: str = option("sepnet", "course of the learning rate", group=RECIPE, choices=tuple(SCHEDULES), recipe=True)
    lr_lowest: float = option(0.1, "fraction of --lr where the warm-up starts", group=RECIPE, high=1, recipe=True)
    lr_warmup_epoch: int = option(30, "epochs of warm-up", group=RECIPE, recipe=True)
    lr_decay_rate: float = option(0.5, "factor of every decay", group=RECIPE, high=1, recipe=True)
    lr_decay_epoch: int = option(
        50,
        "epochs between decays; for plateau, epochs without a better score",
        group=RECIPE,
        low=1,
        recipe=True,
    )
    lr_power: float = option(0.9, "exponent of the poly schedules", group=RECIPE, high=100, recipe=True)
    gradient_clip: float = option(0.5, "bound on gradients, 0 for none", group=RECIPE, high=1e6, recipe=True)
    clip_mode: str = option(
        "value", "bound each element, or their norm", group=RECIPE, choices=("value", "norm"), recipe=True
    )
    augment: tuple[str, ...] = option(
        ("flip", "center_crop", "rotate", "jitter"),
        "augmentations in their order (utils/data/augmentation); a range is low..high",
        group=RECIPE,
        metavar="NAME[:SETTING=VALUE,...]",
        recipe=True,
    )
    memory_window: tuple[int, ...] = option(
        (),
        "video networks: how far back a memory frame may lie, for five epochs each, then again the first",
        group=RECIPE,
        metavar="FRAMES",
        low=1,
        recipe=True,
    )
    ema: float = option(
        0.0,
        "decay of an average of the weights, which is then validated and tested; 0 for none",
        group=RECIPE,
        high=1,
        high_open=True,
        recipe=True,
    )
    early_stop: int = option(
        0,
        "epochs without a better score that end the run, 0 for never",
        group=SELECTION,
        recipe=True,
    )
    best_by: str = option(
        "Dice",
        "what the best checkpoint is best by: the mean Dice, or the released score Dice + IoU - MAE",
        group=SELECTION,
        choices=("Dice", "score"),
        **FIXED,
    )
    accumulate: int = option(
        1, "parts in which a step is computed, to need less memory", group=SPEED, low=1, high=65536
    )
    compile: bool = option(
        False,
        "run the network through torch.compile; where that does not work, without it, and a line says why",
        group=SPEED,
    )
    compile_mode: str = option(
        "default",
        "of --compile: reduce-overhead records CUDA graphs",
        group=SPEED,
        choices=("default", "reduce-overhead", "max-autotune"),
    )
    cuda_graphs: bool = option(
        False,
        "CUDA: record the kernels of a step once and start them all at once: quicker where starting them takes longer "
        "than computing",
        group=SPEED,
    )
    tf32: bool = option(False, "CUDA: matrix products of float32 in TF32, as convolutions are anyway", group=SPEED)
    cudnn_benchmark: bool = option(
        False, "CUDA: try the algorithms of every convolution once and keep the fastest", group=SPEED
    )
    budget: str | None = option(
        None,
        "end the run after so much, as 500steps or 30minutes, whatever --epoch says",
        group=SPEED,
        metavar="N{epochs,steps,minutes}",
    )
    sync_batchnorm: bool = option(True, "under torchrun, normalize over the images of all processes", group=SPEED)
    train_model_save_path: str = option("checkpoint/run", "where checkpoints and logs go", group=FOLDER, **NEUTRAL)
    logger: tuple[str, ...] = option(
        (),
        "log to these too, beside TensorBoard; their packages must be installed",
        group=FOLDER,
        nargs="+",
        choices=TRACKERS,
        **NEUTRAL,
    )
    train_model_save_epoch: int = option(50, "epochs between numbered checkpoints", group=FOLDER, low=1)
    net_pretrained_backbone_path: str = option(
        "timm",
        "ImageNet weights of the backbone: timm (download), a file, pip:PACKAGE (the file in an installed package) "
        "or none (from scratch)",
        group=NETWORK,
    )
    held_out_seed: int | None = option(
        None,
        "seed of the draw of the held-out tenth alone (default: --seed, also for --seeds)",
        group=REPETITION,
        high=2**63 - 1,
    )
    deterministic: bool = option(False, "equal bits from run to run on CUDA too, slower", group=REPETITION)

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_budget(self.budget)
        if self.multi_scale_training and self.scales:
            raise InputError(
                "--multi_scale_training and --scales were given; the first trains every batch at several sizes, the "
                "second at one: drop one of them"
            )
        largest = next(field for field in dataclasses.fields(self) if field.name == "train_size").metadata["high"]
        if max(self.train_sizes) > largest:
            raise InputError(
                f"--scales {' '.join(map(str, self.scales))} was given with --train_size {self.train_size}; they lead "
                f"to {max(self.train_sizes)} pixels, and at most {largest} are trained at"
            )
        if self.compile_mode != "default" and not self.compile:
            raise InputError(
                f"--compile_mode {self.compile_mode} was given without --compile, where it means nothing; add "
                "--compile or leave it out"
            )
        others = {
            f"--compile_mode {self.compile_mode}": self.compile_mode != "default",
            "--amp fp16": self.amp == "fp16",
            "--optimizer SGD": self.optimizer == "SGD",
        }
        if self.cuda_graphs and any(others.values()):
            refused = " and ".join(name for name, given in others.items() if given)
            raise InputError(f"--cuda_graphs was given with {refused}; such steps cannot be recorded: leave one out")

    @property
    def limit(self) -> Budget:
        """What ends the run before its last epoch."""
        return parse_budget(self.budget)

    @property
    def learning_rate(self) -> Schedule:
        """The course of the learning rate."""
        return Schedule(
            kind=self.schedule,
            base=self.lr,
            lowest=self.lr_lowest,
            warmup=self.lr_warmup_epoch,
            decay_rate=self.lr_decay_rate,
            decay_epochs=self.lr_decay_epoch,
            power=self.lr_power,
        )

    @property
    def train_sizes(self) -> tuple[int, ...]:
        """Input heights and widths in pixels that batches are trained at: each at all of them, or with --scales at one.

        PraNet's code (MICCAI 2020) trains every batch at 0.75, 1 and 1.25 in turn, and rounds sizes as here.
        """
        if self.multi_scale_training:
            return MULTI_SCALE_SIZES
        multiples = (max(1, round(self.train_size * factor / SIZE_STEP)) for factor in self.scales)
        pairs = zip(self.scales, multiples, strict=True)
        return tuple(self.train_size if factor == 1 else n * SIZE_STEP for factor, n in pairs) or (self.train_size,)

    def sizes_of_step(self, epoch: int, step: int) -> tuple[int, ...]:
        """The input sizes of one batch, an update each; a drawn one depends on the seed, epoch and step alone."""
        if self.multi_scale_training:
            return self.train_sizes
        return (random.Random(f"input size {self.seed} {epoch} {step}").choice(self.train_sizes),)

    @property
    def draw_seed(self) -> int:
        """The seed of the held-out part's draw: one for all where --seeds trains several times."""
        return self.seed if self.held_out_seed is None else self.held_out_seed


def neutral_options() -> set[str]:
    """Names of the options that move no number."""
    neutral = {field.name for field in dataclasses.fields(TrainConfig) if field.metadata.get("resume") == "neutral"}
    return neutral | {"gpu_id", "workers"}


@dataclass(frozen=True)
class StartOptions(Options):
    """How this start of a run begins; a run does not keep these."""

    load_checkpoint_path: str | None = option(
        None,
        "a last.pth to go on from, or an earlier checkpoint to go back to, which keeps what came after it in "
        "left_at_epoch_N; a file of weights alone starts a fresh run, as --init_weights",
        group=FOLDER,
    )
    init_weights: str | None = option(
        None, "start a fresh run from the weights of this file, ours or published", group=FOLDER
    )
    resume: str | None = option(
        None,
        "auto: go on from the furthest whole checkpoint in the run folder, or start where there is none",
        group=FOLDER,
        choices=("auto",),
    )
    overwrite: bool = option(False, "replace the run that is in the run folder", group=FOLDER)
    seeds: tuple[int, ...] | None = option(
        None,
        "one run for each seed, in <train_model_save_path>/seed_N",
        group=REPETITION,
        nargs="+",
        metavar="N",
        high=2**63 - 1,
    )
    allow_changed_data: bool = option(
        False, "go on with a run although its data are not the same any more", group=REPETITION
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resume and self.overwrite:
            raise InputError(
                f"--resume {self.resume} and --overwrite were given; keep the first to go on with the run in the "
                "folder, or the second to replace it"
            )
