"""Flags that the command lines share, in named groups, and what they mean to a network."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["HelpFormatter", "add_device_flags", "add_model_flags", "model_options", "switch"]


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


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the default to a flag's help where there is one and the text does not tell it."""

    def _get_help_string(self, action: argparse.Action) -> str:
        told = action.default is None or action.default is False or "default:" in action.help
        return action.help if told else super()._get_help_string(action)


def switch(text: str) -> bool:
    """Read a released switch: true or false, in the spellings people use."""
    values = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Add --model and the flags of its options; what is not given keeps the network's own default."""
    group = parser.add_argument_group("network")
    group.add_argument("--model", default="sepnet", help="name of the network (default: sepnet)")
    group.add_argument(
        "--net_backbone", help="pvt-v2-b0 ... pvt-v2-b5, resnet50, res2net50, efficientnet-b1, -b4 or a timm model"
    )
    group.add_argument("--net_planes", type=int, help="channels after the backbone (64)")
    group.add_argument("--net_pgs_reduction_scale", type=int, help="divisor of a receptive field's width in MAP (4)")
    group.add_argument("--net_pgs_se_channel_reduction", type=int, help="divisor in MAP's channel weights (16)")
    group.add_argument(
        "--net_df_channel_reduction", type=int, nargs=2, metavar="N", help="divisors in CRC's two fusions (4 4)"
    )
    group.add_argument("--net_sc_middle_channle_scale", type=int, help="width between PSE's layers, in planes (2)")
    group.add_argument(
        "--net_sc_ksize", type=int, nargs=3, metavar="N", help="predicted kernels by level, pixels (3 3 3)"
    )
    group.add_argument("--net_sc_hidden_scale", type=int, help="hidden channels per region in PSE (32)")
    group.add_argument("--net_sc_gas_ksize", type=int, help="size of the guide kernel before scaling (1)")
    group.add_argument("--net_sc_gas_ksize_scale", type=int, nargs=3, metavar="N", help="its scale by level (15 15 15)")
    group.add_argument(
        "--net_temporal",
        type=switch,
        metavar="on|off",
        help="off: a video network without memory and alignment, frame by frame, to compare with (on)",
    )
    group.add_argument("--memory_frames", type=int, help="frames that a video network remembers (35)")
    group.add_argument("--memory_top_k", type=int, help="entries of its memory that a pixel reads (20)")


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the config options that the given flags set."""
    values = {option: getattr(args, flag) for flag, option in NET_FLAGS.items() if getattr(args, flag) is not None}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if args.net_sc_gas_ksize is not None or args.net_sc_gas_ksize_scale is not None:
        size = GUIDE_SIZE if args.net_sc_gas_ksize is None else args.net_sc_gas_ksize
        options["guide_kernels"] = tuple(size * scale for scale in args.net_sc_gas_ksize_scale or GUIDE_SCALES)
    return options


def add_device_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is one"
    )
    group.add_argument("--gpu_id", type=int, default=0, help="number of the CUDA device (default: 0)")
    group.add_argument("--seed", type=int, default=0, help="of everything drawn at random (default: 0)")
    group.add_argument("--workers", type=int, help="processes that load images (default: 1, with CUDA up to 8)")
    group.add_argument(
        "--amp",
        choices=("off", "bf16", "fp16"),
        default="off",
        help="mixed precision; losses stay float32 (default: off)",
    )
