"""Flags that the command lines share, in named groups, and what they mean to a network. Imports no PyTorch."""

from __future__ import annotations

import argparse
from typing import Any

from lib import list_models
from measure.io import Switch, nonempty, number

__all__ = ["add_device_flags", "add_model_flags", "model_options"]

# flag -> option of a network's config; the --net_* flags are the released ones of SEPNet
NET_FLAGS = {
    "net_backbone": "backbone",
    "net_planes": "channels",
    "net_pgs_reduction_scale": "map_reduction",
    "net_pgs_se_channel_reduction": "map_se_reduction",
    "net_df_channel_reduction": "fuse_reductions",
    "net_sc_middle_channle_scale": "pse_expansion",
    "net_sc_ksize": "pse_kernels",
    "net_sc_hidden_scale": "pse_hidden",
    "net_temporal": "temporal",
    "memory_frames": "memory_frames",
    "memory_top_k": "memory_top_k",
}
GUIDE_SIZE, GUIDE_SCALES = 1, (15, 15, 15)
WIDTH = number(int, low=1, high=4096)  # of channels, and what divides or multiplies them
KERNEL = number(int, low=1, high=255)  # pixels


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Add --model and the flags of its options; what is not given keeps the network's own default."""
    group = parser.add_argument_group("network")
    stills, videos = ", ".join(list_models("image")), ", ".join(list_models("video"))
    group.add_argument(
        "--model",
        type=nonempty,
        default="sepnet",
        metavar="NAME",
        help=f"network, of {stills} for images, {videos} for video (default: sepnet)",
    )
    group.add_argument(
        "--net_backbone",
        type=nonempty,
        metavar="NAME",
        help="pvt-v2-b0 ... pvt-v2-b5, resnet50, res2net50, efficientnet-b1, -b4 or a timm model",
    )
    group.add_argument(
        "--net_temporal",
        action=Switch,
        spelled=True,
        default=None,
        help="video networks: memory and alignment; --no-net_temporal goes frame by frame, to compare with (on)",
    )
    group.add_argument(
        "--memory_frames",
        type=number(int, low=1, high=100_000),
        metavar="N",
        help="frames that a video network remembers (35)",
    )
    group.add_argument(
        "--memory_top_k",
        type=number(int, low=1, high=100_000),
        metavar="N",
        help="entries of its memory that a pixel reads (20)",
    )
    add_released_flags(
        parser.add_argument_group("SEPNet's inner sizes (rarely needed; the released values in brackets)")
    )


def add_released_flags(group: argparse._ArgumentGroup) -> None:
    """Add the released flags that only a study of SEPNet's parts changes."""
    group.add_argument("--net_planes", type=WIDTH, metavar="N", help="channels after the backbone (64)")
    group.add_argument(
        "--net_pgs_reduction_scale", type=WIDTH, metavar="N", help="divisor of a receptive field's width in MAP (4)"
    )
    group.add_argument(
        "--net_pgs_se_channel_reduction", type=WIDTH, metavar="N", help="divisor in MAP's channel weights (16)"
    )
    group.add_argument(
        "--net_df_channel_reduction", type=WIDTH, nargs=2, metavar="N", help="divisors in CRC's two fusions (4 4)"
    )
    group.add_argument(
        "--net_sc_middle_channle_scale", type=WIDTH, metavar="N", help="width between PSE's layers, in planes (2)"
    )
    group.add_argument(
        "--net_sc_ksize", type=KERNEL, nargs=3, metavar="N", help="predicted kernels by level, pixels (3 3 3)"
    )
    group.add_argument("--net_sc_hidden_scale", type=WIDTH, metavar="N", help="hidden channels per region in PSE (32)")
    group.add_argument(
        "--net_sc_gas_ksize", type=KERNEL, metavar="N", help="size of the guide kernel before scaling, pixels (1)"
    )
    group.add_argument(
        "--net_sc_gas_ksize_scale", type=KERNEL, nargs=3, metavar="N", help="its scale by level (15 15 15)"
    )


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the config options that the given flags set."""
    values = {option: getattr(args, flag) for flag, option in NET_FLAGS.items() if getattr(args, flag) is not None}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if args.net_sc_gas_ksize is not None or args.net_sc_gas_ksize_scale is not None:
        size = GUIDE_SIZE if args.net_sc_gas_ksize is None else args.net_sc_gas_ksize
        options["guide_kernels"] = tuple(size * scale for scale in args.net_sc_gas_ksize_scale or GUIDE_SCALES)
    return options


def add_device_flags(parser: argparse.ArgumentParser) -> None:
    """Add --device, --gpu_id, --seed, --workers and --amp."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is one"
    )
    group.add_argument(
        "--gpu_id", type=number(int, high=1023), default=0, metavar="N", help="number of the CUDA device (default: 0)"
    )
    group.add_argument(
        "--seed", type=number(int, high=2**32 - 1), default=0, metavar="N", help="of everything drawn at random"
    )
    group.add_argument(
        "--workers",
        type=number(int, high=512),
        metavar="N",
        help="processes that load images (default: 1, with CUDA up to 8)",
    )
    group.add_argument(
        "--amp", choices=("off", "bf16", "fp16"), default="off", help="mixed precision; losses stay float32"
    )
