"""Options as frozen dataclasses: each field carries its help, its bounds and its choices, and the flags are made of it.

A new option is one line in one class: the command line, the record of a run and the command that repeats it follow.
This module needs no PyTorch, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from os import PathLike
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from lib import list_models
from measure.io import InputError, Number, Switch

__all__ = [
    "ComputeOptions",
    "DeviceOptions",
    "MachineOptions",
    "NetworkOptions",
    "Options",
    "add_flags",
    "network_options",
    "option",
    "shown",
    "words_of",
]

Own = TypeVar("Own", bound="Options")
BACKBONES = "pvt-v2-b0 ... pvt-v2-b5, resnet50, res2net50, efficientnet-b1, -b4 or a timm model"


def option(
    default: Any,
    help: str,
    *,
    group: str,
    low: float = 0,
    high: float = 10**6,
    low_open: bool = False,
    high_open: bool = False,
    choices: Sequence[str] = (),
    nargs: str | int | None = None,
    metavar: str | None = None,
    **facts: Any,
) -> Any:
    """A field of an `Options` class.

    Args:
        default: what holds where the flag is not given.
        help: what the option means, with its unit.
        group: heading of --help that it stands under.
        low: the least number allowed.
        high: the greatest number allowed.
        low_open: whether the number must be more than `low`.
        high_open: whether it must be less than `high`.
        choices: the texts allowed.
        nargs: how many words a sequence takes, as argparse has it.
        metavar: what --help calls the value.
        facts: what else is to be known of the option, kept in the field's metadata.
    """
    bounds = {"low": low, "high": high, "low_open": low_open, "high_open": high_open}
    words = {"help": help, "group": group, "choices": tuple(choices), "nargs": nargs, "metavar": metavar}
    return dataclasses.field(default=default, metadata={**bounds, **words, **facts})


@dataclass(frozen=True)
class Options:
    """Base of all option classes.

    Raises:
        InputError: a value that is of another type, out of its bounds, none of its choices, or an empty text.
    """

    def __post_init__(self) -> None:
        annotations = annotations_of(type(self))
        for field in dataclasses.fields(self):
            value, annotation = getattr(self, field.name), annotations[field.name]
            if value is None and type(None) in get_args(annotation):
                continue
            kind, is_sequence = value_type(annotation)
            if is_sequence:
                check_sequence(field, value)
            for single in value if is_sequence else (value,):
                check_value(field, single, kind)

    def flags(self) -> dict[str, Any]:
        """All options as plain data, by the names of their flags."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_flags(cls: type[Own], flags: Mapping[str, Any]) -> Own:
        """Options from plain data, or from what argparse read; names of other classes' options are passed over."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in flags.items()}
        return cls(**{name: value for name, value in values.items() if name in known})


@cache
def annotations_of(options: type[Options]) -> dict[str, Any]:
    """The annotations of a class's options, resolved; looked up once, as every new instance is checked by them."""
    return get_type_hints(options)


def check_sequence(field: dataclasses.Field, value: Any) -> None:
    """Refuse what is no sequence, or one of another length than its option has."""
    length = field.metadata["nargs"]
    if not isinstance(value, (tuple, list)) or (isinstance(length, int) and len(value) != length):
        told = f"{length} values" if isinstance(length, int) else "a list of values"
        raise InputError(f"--{field.name} {shown(value)} was given; it must be {told}")


def check_value(field: dataclasses.Field, value: Any, kind: type) -> None:
    """Refuse a value that its option does not allow."""
    choices = field.metadata["choices"]
    if problem := problem_of(field, value, kind):
        told = list(value) if isinstance(value, tuple) else value
        raise InputError(f"--{field.name} {told} was given; it must be {problem}")
    if kind is str and choices and value not in choices:
        raise InputError(f"--{field.name} {value} was given; expected one of {', '.join(choices)}")
    if kind is str and not str(value).strip():
        raise InputError(f"--{field.name} was given an empty text; give a value or leave the flag out")


def problem_of(field: dataclasses.Field, value: Any, kind: type) -> str | None:
    """What a value must be by its type and bounds, and is not; a path is a text, and NumPy's numbers are numbers."""
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind is str:
        return None if isinstance(value, (str, PathLike)) else "a text"
    is_number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if is_number and not isinstance(value, (int, float)):
        value = kind(value)
    return number_of(field, kind).problem(value if is_number else math.nan)


def number_of(field: dataclasses.Field, kind: type) -> Number:
    """The bounds of a numeric option."""
    facts = field.metadata
    return Number(kind, facts["low"], facts["high"], facts["low_open"], facts["high_open"])


def add_flags(parser: argparse.ArgumentParser, options: type[Options], **defaults: Any) -> None:
    """Add a flag for every option, under its group's heading; `defaults` replace the class's own."""
    types = annotations_of(options)
    groups = {group.title: group for group in parser._action_groups}
    for field in dataclasses.fields(options):
        facts = field.metadata
        title = facts["group"]
        group = groups.get(title) or groups.setdefault(title, parser.add_argument_group(title))
        default = defaults.get(field.name, field.default)
        kind, is_sequence = value_type(types[field.name])
        if kind is bool:
            group.add_argument(f"--{field.name}", action=Switch, spelled=True, default=default, help=facts["help"])
            continue
        settings = {
            "nargs": facts["nargs"] or ("*" if is_sequence else None),
            "metavar": facts["metavar"] or choice_text(facts),
        }
        group.add_argument(
            f"--{field.name}",
            type=kind if kind is str else number_of(field, kind),
            default=list(default) if isinstance(default, tuple) else default,
            help=facts["help"],
            **settings,
        )


def choice_text(facts: Mapping[str, Any]) -> str | None:
    """How --help writes the choices; that a value is one of them is checked by the options themselves."""
    return f"{{{','.join(facts['choices'])}}}" if facts["choices"] else None


def value_type(annotation: Any) -> tuple[type, bool]:
    """The type of an option's value, or of a sequence's entries, and whether it is a sequence."""
    choices = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is tuple:
        return choices[0], True
    return value_type(choices[0]) if choices else (annotation, False)


def words_of(options: Options, default: Options) -> list[str]:
    """The words of a command line that give `options` where they are not those of `default`."""
    words: list[str] = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value is None or value == getattr(default, field.name):
            continue
        if isinstance(value, bool):
            words.append(f"--{field.name}" if value else f"--no-{field.name}")
        elif isinstance(value, str) and value.startswith("-"):
            words.append(f"--{field.name}={value}")  # by itself it would be read as a flag
        else:
            words += [f"--{field.name}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return words


def shown(value: Any) -> str:
    """An option's value as one would type it."""
    return shlex.join(map(str, value)) or "none" if isinstance(value, (tuple, list)) else f"{value}"


NETWORK, RELEASED, MACHINE = "network", "released options of SEPNet's parts", "machine"


@dataclass(frozen=True)
class NetworkOptions(Options):
    """Which network, and its own options; those that are None keep the network's default.

    `network` in the metadata is the name that the network's config has for the option.
    """

    model: str = option("sepnet", "name of the network", group=NETWORK, choices=list_models())
    net_backbone: str | None = option(None, BACKBONES, group=NETWORK, network="backbone")
    net_temporal: bool | None = option(
        None,
        "off: a video network without memory and alignment, frame by frame, to compare with (default: on)",
        group=NETWORK,
        network="temporal",
    )
    net_scm: bool | None = option(
        None,
        "off: SCR-Net without semantic calibration, as in its ablation (default: on)",
        group=NETWORK,
        network="scm",
    )
    net_srm: bool | None = option(
        None, "off: SCR-Net without semantic refinement, as in its ablation (default: on)", group=NETWORK, network="srm"
    )
    memory_frames: int | None = option(
        None,
        "frames that a video network remembers (default: 35)",
        group=NETWORK,
        low=1,
        high=1e4,
        network="memory_frames",
    )
    memory_top_k: int | None = option(
        None,
        "entries of its memory that a pixel reads (default: 20)",
        group=NETWORK,
        low=1,
        high=1e4,
        network="memory_top_k",
    )
    net_planes: int | None = option(
        None, "channels after the backbone (default: 64)", group=RELEASED, low=1, high=4096, network="channels"
    )
    net_pgs_reduction_scale: int | None = option(
        None, "divisor of the width inside MAP (default: 4)", group=RELEASED, low=1, high=4096, network="map_reduction"
    )
    net_pgs_se_channel_reduction: int | None = option(
        None,
        "divisor in MAP's channel weights (default: 16)",
        group=RELEASED,
        low=1,
        high=4096,
        network="map_se_reduction",
    )
    net_df_channel_reduction: tuple[int, int] | None = option(
        None,
        "divisors in CRC's two fusions (default: 4 4)",
        group=RELEASED,
        low=1,
        high=4096,
        nargs=2,
        metavar="N",
        network="fuse_reductions",
    )
    net_sc_middle_channle_scale: int | None = option(
        None,
        "width between PSE's layers, in planes (default: 2)",
        group=RELEASED,
        low=1,
        high=64,
        network="pse_expansion",
    )
    net_sc_ksize: tuple[int, int, int] | None = option(
        None,
        "predicted kernels by level, pixels (default: 3 3 3)",
        group=RELEASED,
        low=1,
        high=63,
        nargs=3,
        metavar="N",
        network="pse_kernels",
    )
    net_sc_hidden_scale: int | None = option(
        None, "hidden channels per region in PSE (default: 32)", group=RELEASED, low=1, high=4096, network="pse_hidden"
    )
    net_sc_gas_ksize: int | None = option(
        None, "size of the guide kernel before scaling (default: 1)", group=RELEASED, low=1, high=255
    )
    net_sc_gas_ksize_scale: tuple[int, int, int] | None = option(
        None,
        "scale of the guide kernel by level (default: 15 15 15)",
        group=RELEASED,
        low=1,
        high=255,
        nargs=3,
        metavar="N",
    )


GUIDE_SIZE, GUIDE_SCALES = 1, (15, 15, 15)


def network_options(options: NetworkOptions) -> dict[str, Any]:
    """The entries of the network's config that the given options set."""
    named = {
        field.metadata["network"]: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if "network" in field.metadata
    }
    given = {name: value for name, value in named.items() if value is not None}
    if options.net_sc_gas_ksize is not None or options.net_sc_gas_ksize_scale is not None:
        size, scales = options.net_sc_gas_ksize or GUIDE_SIZE, options.net_sc_gas_ksize_scale or GUIDE_SCALES
        given["guide_kernels"] = tuple(size * scale for scale in scales)
    return given


@dataclass(frozen=True)
class DeviceOptions(Options):
    """What computes."""

    device: str = option("auto", "auto: CUDA where there is one", group=MACHINE, choices=("auto", "cpu", "cuda"))
    gpu_id: int = option(0, "number of the CUDA device", group=MACHINE, low=0, high=1023)


@dataclass(frozen=True)
class ComputeOptions(DeviceOptions):
    """What computes, how exactly, and from which seed."""

    seed: int = option(0, "seed of everything drawn at random", group=MACHINE, low=0, high=2**63 - 1)
    amp: str = option("off", "mixed precision; losses stay float32", group=MACHINE, choices=("off", "bf16", "fp16"))


@dataclass(frozen=True)
class MachineOptions(ComputeOptions):
    """What a command that loads images may use of the machine."""

    workers: int | None = option(
        None, "processes that load images (default: 1, with CUDA up to 16)", group=MACHINE, low=0, high=1024
    )
