"""Write prediction maps: python myTest.py --model_state_dict_path best.pth --test_data_path data/TestDataset"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import create_model, load_weights, model_entry, read_checkpoint
from measure.errors import InputError
from measure.files import make_folder, replace_when_whole
from utils.checkpoint import is_resumable
from utils.cli import choose_device, run
from utils.options import add_device_flags, add_model_flags, model_options, worker_count
from utils.predict import PredictOptions, find_sets, predict_maps
from utils.repro import versions

RELEASED_SIZE = 352  # pixels, for weights that do not say what they were trained at


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    files = parser.add_argument_group("files")
    files.add_argument("--model_state_dict_path", default="checkpoint/run/best.pth", help="weights: ours or published")
    files.add_argument(
        "--test_data_path",
        default="data/TestDataset",
        help="a folder of sets with images/ each, one set, or a folder of images",
    )
    files.add_argument("--pred_save_path", default="result", help="maps go to <pred_save_path>/<set>/<stem>.png")
    maps = parser.add_argument_group("maps")
    maps.add_argument("--test_size", type=int, help="input height and width, pixels (default: as trained, else 352)")
    maps.add_argument("--batch_size", type=int, default=8, help="images a forward")
    maps.add_argument(
        "--minmax",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="stretch every map to full range, as published maps are; --no-minmax keeps calibrated probabilities",
    )
    add_model_flags(parser)
    add_device_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    return run(lambda: test(args))


def test(args: argparse.Namespace) -> None:
    """Write maps as the flags say, and predict.json beside them.

    Raises:
        InputError, ModelError: a flag, a folder, a file or weights that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    sets = find_sets(args.test_data_path)
    checkpoint = read_checkpoint(args.model_state_dict_path)
    model = build_model(args, checkpoint)
    options = predict_options(args, checkpoint, model, device)
    out = make_folder(args.pred_save_path)
    started = time.perf_counter()
    count = predict_maps(model, sets, out, options=options, device=device)
    seconds = time.perf_counter() - started
    describe(out, args, model, options, sets={name: len(images) for name, images in sets.items()}, seconds=seconds)
    print(f"{count} maps of {len(sets)} sets in {out} ({count / seconds:.1f} images/s on {device})")


def build_model(args: argparse.Namespace, checkpoint: dict[str, Any]) -> nn.Module:
    """Build the inference network that the checkpoint (or the flags) describe, and load the weights."""
    former = checkpoint["config"]["model"] if is_resumable(checkpoint) else {"name": args.model, "options": {}}
    name = former["name"]
    options = {**former["options"], **model_options(args)}
    if "aux" in model_entry(name).options:
        options["aux"] = False
    model = create_model(name, **options)
    load_weights(model, args.model_state_dict_path)
    return model


def predict_options(
    args: argparse.Namespace, checkpoint: dict[str, Any], model: nn.Module, device: torch.device
) -> PredictOptions:
    """Choose the input size (given, as trained, or the released one) and check it."""
    trained = checkpoint["config"]["flags"]["train_size"] if is_resumable(checkpoint) else RELEASED_SIZE
    size = args.test_size or trained
    divisor = model_entry(model.registered_name).divisor
    if size < divisor or size % divisor:
        raise InputError(f"--test_size {size} was given; {model.registered_name} needs a multiple of {divisor}")
    if args.batch_size < 1:
        raise InputError(f"--batch_size {args.batch_size} was given; it must be at least 1")
    return PredictOptions(
        size=size, batch_size=args.batch_size, minmax=args.minmax, amp=args.amp, workers=worker_count(args, device)
    )


def describe(
    out: Path,
    args: argparse.Namespace,
    model: nn.Module,
    options: PredictOptions,
    *,
    sets: dict[str, int],
    seconds: float,
) -> None:
    """Write predict.json: what made these maps."""
    weights = Path(args.model_state_dict_path)
    description = {
        "weights": str(weights),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "model": {"name": model.registered_name, "options": dataclasses.asdict(model.config)},
        "options": dataclasses.asdict(options),
        "test_data_path": args.test_data_path,
        "images": sets,
        "seconds": round(seconds, 3),
        "device": args.device,
        "versions": versions(),
    }
    with replace_when_whole(out / "predict.json") as partial:
        partial.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
