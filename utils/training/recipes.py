"""How each network is trained, as its paper or release says; what they leave open and we chose is named `chosen`.

A recipe is a `TrainConfig`: `--model` and `--recipe` pick it, and every flag that is given replaces an entry of it.
`--recipe ours` is one way to train every network of still images, measured on real data.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lib import list_models
from measure.io import InputError

from ..runtime import shown
from .config import TrainConfig

__all__ = ["RECIPES", "Recipe", "recipe_for", "recipe_of", "recipe_overrides"]


@dataclass(frozen=True)
class Recipe:
    """A way to train, with its origin.

    Attributes:
        source: where the numbers come from.
        config: the numbers.
        chosen: what the source leaves open and this project chose.
    """

    source: str
    config: TrainConfig
    chosen: str = ""


SEPNET = Recipe(source="SEPNet's released code (IEEE TCSVT 2024)", config=TrainConfig())

SCRNET = Recipe(
    source="SCR-Net's paper (AAAI 2021)",
    chosen="epochs, the length of the warm-up, the Dice smoothing, the L2 weight, chances and shape of augmentations",
    config=TrainConfig(
        model="scrnet",
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
    ),
)

CONVSEGNET = Recipe(
    source="ConvSegNet's paper (IEEE Access 2023)",
    chosen="the upper bound of epochs, the chances of augmentations, the holes' number and size; "
    "the plateau and the early stop follow the validation score",
    config=TrainConfig(
        model="convsegnet",
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
        augment=(
            "rotate:degrees=35,p=0.3",
            "flip:p=0.3",
            "flip_upside_down:p=0.3",
            "dropout:holes=10,side=0.125,p=0.3",
        ),
    ),
)

DILATEDSEGNET = dataclasses.replace(
    CONVSEGNET,
    source="DilatedSegNet's paper (MMM 2023), as ConvSegNet's",
    config=dataclasses.replace(CONVSEGNET.config, model="dilatedsegnet"),
)

SALI = Recipe(
    source="SALI's released code (MICCAI 2024)",
    chosen="the cross-entropy keeps its weight, which the released loss averages away: --loss structure_plain_entropy",
    config=TrainConfig(
        model="sali",
        batch_size=8,
        epoch=200,
        loss_weights=(),
        weight_decay=0.0,
        schedule="steps",
        lr_warmup_epoch=0,
        lr_decay_rate=0.1,
        augment=("flip", "rotate", "jitter"),
        memory_window=(5, 10, 15, 20, 25),
    ),
)

LSINET = dataclasses.replace(
    SALI,
    source="SALI's released code (MICCAI 2024), whose first release LSI-Net is",
    config=dataclasses.replace(SALI.config, model="lsinet"),
)

RECIPES = {recipe.config.model: recipe for recipe in (SEPNET, SCRNET, CONVSEGNET, DILATEDSEGNET, SALI, LSINET)}


# the starter weights were trained with it, for 50 epochs (checkpoint/README.md); on another hospital's images no part
# of it has been shown to help or to harm (docs/measured.md)
OURS = {
    "train_size": 352,
    "batch_size": 16,
    "epoch": 100,
    "loss": "structure",
    "loss_weights": ("out=2",),
    "optimizer": "Adam",
    "lr": 4e-4,
    "weight_decay": 1e-4,
    "schedule": "poly",
    "lr_lowest": 0.1,
    "lr_warmup_epoch": 1,
    "gradient_clip": 0.5,
    "clip_mode": "value",
    "ema": 0.998,
    "early_stop": 0,
    "augment": (
        "flip",
        "flip_upside_down",
        "zoom:factor=0.7..1.5,p=0.5",
        "rotate:degrees=45,p=0.3",
        "jitter",
        "hue",
        "tint",
        "gamma",
        "shading",
    ),
}


def recipe_for(model: str, name: str = "released") -> Recipe:
    """The recipe of a network; one without a released recipe of its own starts from SEPNet's.

    Args:
        model: the network's name.
        name: `released`, as its authors trained it, or `ours`.

    Raises:
        InputError: there is none of ours for the network, or no recipe of this name.
    """
    released = RECIPES.get(model, SEPNET)
    if name == "released":
        return released
    if name != "ours":
        raise InputError(f"--recipe {name} was given; expected one of released, ours")
    if model in list_models("video"):
        raise InputError(
            f"--recipe ours was given with {model}, a video network; it is for networks of still images: leave it out"
        )
    config = dataclasses.replace(released.config, model=model, recipe="ours", **OURS)
    return Recipe(source="this project's recipe for still images", config=config)


def recipe_of(config: TrainConfig) -> Recipe:
    """The recipe that a run took its defaults from."""
    return recipe_for(config.model, config.recipe)


def recipe_overrides(recipe: Recipe, config: TrainConfig) -> list[str]:
    """Where a run is not trained as the recipe says, as `--flag given (recipe's)`."""
    names = [field.name for field in dataclasses.fields(TrainConfig) if field.metadata.get("recipe")]
    pairs = [(name, getattr(config, name), getattr(recipe.config, name)) for name in names]
    return [f"--{name} {shown(given)} ({shown(own)})" for name, given, own in pairs if given != own]
