"""The record of a training run, kept as config.json and in every checkpoint: enough to build its network and to repeat
it, and to tell what has changed since."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from measure.io import InputError

from ..data import Fingerprint, size_and_hash
from ..runtime import machine, revision, versions
from . import checkpoint

__all__ = ["NOT_INHERITED_FLAGS", "RESULT_NEUTRAL_FLAGS", "read_record", "make_run_record"]

# flags that a resumed run does not take over
NOT_INHERITED_FLAGS = {"load_checkpoint_path", "resume", "seeds", "allow_changed_data"}
# flags that move no number, or that the files' hashes speak for
RESULT_NEUTRAL_FLAGS = NOT_INHERITED_FLAGS | {
    "train_model_save_path",
    "train_data_path",
    "val_data_path",
    "gpu_id",
    "workers",
}


def make_run_record(
    args: argparse.Namespace,
    model: nn.Module,
    *,
    argv: Sequence[str],
    device: torch.device,
    data: Fingerprint,
    former: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put the record of a run together, as plain data.

    Args:
        args: myTrain.py's flags. argv: as they were typed. data: the files of both parts.
        former: the record of the run that is taken up.

    Returns:
        `model`, `flags`, `command`, `revision`, `versions`, `machine`, `data` (see `Fingerprint.summary`), `weights`
        (path and hash of the files that training started from, by flag), and `earlier`: what was different before the
        run was taken up, oldest first.
    """
    record = {
        "model": {"name": args.model, "options": dataclasses.asdict(model.config)},
        "flags": vars(args),
        "command": shlex.join(["python", "myTrain.py", *argv]),
        "revision": revision(),
        "versions": versions(),
        "machine": machine(device),
        "data": data.summary(),
        "weights": first_weights(args),
        "earlier": [],
    }
    if former:
        record["weights"] = former.get("weights", {})
        record["earlier"] = [*former.get("earlier", []), *superseded(former, record)]
    return record


def read_record(place: Path) -> dict[str, Any]:
    """Read the record in a run folder, or in a checkpoint.

    Raises:
        InputError, ModelError: there is none.
    """
    if not place.is_dir():
        found = checkpoint.read_run(place)
        if found is None:
            raise InputError(f"{place} holds weights but no record of a run; give a run folder or a checkpoint of ours")
        return found["config"]
    try:
        return json.loads((place / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fault = getattr(error, "strerror", None) or "it is no JSON"
        raise InputError(
            f"cannot read {place / 'config.json'} ({fault}); give the folder of a run (of several seeds, one seed's)"
        ) from error


def first_weights(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Path and hash of every weight file that the flags name."""
    paths = {name: getattr(args, name) for name in ("load_checkpoint_path", "net_pretrained_backbone_path")}
    return {
        name: {"path": path, "hash": size_and_hash(path)[1]}
        for name, path in paths.items()
        if path and Path(path).is_file()
    }


def superseded(former: Mapping[str, Any], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `former` says otherwise than `record`, as one dict of its values; nothing where they agree."""
    kept = former["flags"].keys() & record["flags"].keys() - RESULT_NEUTRAL_FLAGS
    found: dict[str, Any] = {
        "flags": {
            name: former["flags"][name] for name in sorted(kept) if former["flags"][name] != record["flags"][name]
        }
    }
    for name in ("revision", "versions", "machine", "data"):
        if name in former and former[name] != record[name]:
            found[name] = former[name]
    found = {name: value for name, value in found.items() if value}
    return [found] if found else []


# flags that a resumed run does not take over
NOT_INHERITED_FLAGS = {"load_checkpoint_path", "resume", "seeds", "allow_changed_data"}
