"""How each network is trained, as its paper or release says; what they leave open and we chose is named `chosen`.

The fields of a recipe are myTrain.py's flags: `--model` picks the recipe, and every flag that is given replaces an
entry of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["RECIPES", "Recipe", "departures", "recipe_for"]


@dataclass(frozen=True)
class Recipe:
    """Defaults of the training flags; those of this class are SEPNet's as released.

    Attributes:
        source: where the numbers come from. chosen: what it leaves open and this project chose.
        train_size: input height and width, pixels. batch_size: images a step. epoch: passes over the data.
        early_stop: epochs without a better validation score that end the run, 0 for never.
        loss: one of `losses.LOSSES`. loss_weights: of outputs by name, as `name=weight`; the others weigh 1.
        optimizer, lr, weight_decay: Adam's weight decay w is an L2 term of w / 2 times the squared weights.
        schedule, lr_lowest, lr_warmup_epoch, lr_decay_rate, lr_decay_epoch, lr_power: see `schedule.Schedule`.
        gradient_clip, clip_mode: bound on gradients, 0 for none; on each element or on their norm.
        augment: of `augmentation.AUGMENTATIONS` with their settings.
        memory_window: of video networks, see `video_data.memory_window`.
    """

    source: str
    chosen: str = ""
    train_size: int = 352
    batch_size: int = 3
    epoch: int = 100
    early_stop: int = 0
    loss: str = "structure"
    loss_weights: tuple[str, ...] = ("out=2",)
    optimizer: str = "Adam"
    lr: float = 1e-4
    weight_decay: float = 1e-4
    schedule: str = "sepnet"
    lr_lowest: float = 0.1
    lr_warmup_epoch: int = 30
    lr_decay_rate: float = 0.5
    lr_decay_epoch: int = 50
    lr_power: float = 0.9
    gradient_clip: float = 0.5
    clip_mode: str = "value"
    augment: tuple[str, ...] = ("flip", "centre_crop", "rotate", "jitter")
    memory_window: tuple[int, ...] = ()

    def flags(self) -> dict[str, Any]:
        """The entries that are flags of myTrain.py."""
        entries = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in entries.items()
            if name not in ("source", "chosen")
        }


SEPNET = Recipe(source="SEPNet's released code (IEEE TCSVT 2024)")

SCRNET = Recipe(
    source="SCR-Net's paper (AAAI 2021)",
    chosen="epochs, the length of the warm-up, the Dice smoothing, the L2 weight, chances and shape of augmentations",
    train_size=448,
    batch_size=8,
    epoch=300,
    loss="ce_dice",
    loss_weights=(),
    lr=1e-3,
    schedule="poly",
    lr_lowest=0.01,
    lr_warmup_epoch=10,
    gradient_clip=0.0,
    augment=("flip", "flip_upside_down", "contrast", "zoom", "random_crop"),
)

CONVSEGNET = Recipe(
    source="ConvSegNet's paper (IEEE Access 2023)",
    chosen="the upper bound of epochs, the chances of augmentations, the holes' number and size; "
    "the plateau and the early stop follow the validation score",
    train_size=256,
    batch_size=16,
    epoch=500,
    early_stop=50,
    loss="bce_dice",
    loss_weights=(),
    weight_decay=0.0,
    schedule="plateau",
    lr_warmup_epoch=0,
    lr_decay_rate=0.1,
    lr_decay_epoch=5,
    gradient_clip=0.0,
    augment=("rotate:degrees=35,p=0.3", "flip:p=0.3", "flip_upside_down:p=0.3", "dropout:holes=10,side=0.125,p=0.3"),
)

DILATEDSEGNET = dataclasses.replace(CONVSEGNET, source="DilatedSegNet's paper (MMM 2023), as ConvSegNet's")

SALI = Recipe(
    source="SALI's released code (MICCAI 2024)",
    chosen="the cross-entropy keeps its weight, which the released loss averages away: --loss structure_plain_entropy",
    batch_size=8,
    epoch=200,
    loss_weights=(),
    weight_decay=0.0,
    schedule="steps",
    lr_warmup_epoch=0,
    lr_decay_rate=0.1,
    augment=("flip", "rotate", "jitter"),
    memory_window=(5, 10, 15, 20, 25),
)

LSINET = dataclasses.replace(SALI, source="SALI's released code (MICCAI 2024), whose first release LSI-Net is")

RECIPES = {
    "sepnet": SEPNET,
    "scrnet": SCRNET,
    "convsegnet": CONVSEGNET,
    "dilatedsegnet": DILATEDSEGNET,
    "sali": SALI,
    "lsinet": LSINET,
}


def recipe_for(model: str) -> Recipe:
    """The recipe of a network; one without a recipe of its own starts from SEPNet's."""
    return RECIPES.get(model, SEPNET)


def departures(recipe: Recipe, flags: Mapping[str, Any]) -> list[str]:
    """Where a run's flags are not the recipe's, as `--flag given (recipe's)`."""
    return [
        f"--{name} {_shown(flags[name])} ({_shown(value)})"
        for name, value in recipe.flags().items()
        if flags[name] != value
    ]


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else f"{value}"
