"""The record of a training run, kept as config.json and in every checkpoint: enough to build its network and to repeat
it, and to tell what has changed since."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import weight_file
from measure.io import InputError

from ...data import Fingerprint, size_and_hash
from ...runtime import NetworkOptions, machine, revision, shown, versions
from ..config import StartOptions, TrainConfig, neutral_options
from . import checkpoint

__all__ = ["config_of", "make_run_record", "read_record", "resume_changes"]


def make_run_record(
    config: TrainConfig,
    start: StartOptions,
    model: nn.Module,
    *,
    argv: Sequence[str],
    device: torch.device,
    data: Fingerprint,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put the record of a run together, as plain data.

    Args:
        config: how the run trains.
        start: how this start of it began.
        model: the network.
        argv: the flags as they were typed.
        device: where it trains.
        data: the files of both parts.
        previous: the record of the run that is resumed.

    Returns:
        `model`, `flags`, `command`, `revision`, `versions`, `machine`, `data` (see `Fingerprint.summary`), `weights`
        (path and hash of the files that training started from, by flag), and `earlier`: what was different before the
        run was resumed, oldest first.
    """
    record = {
        "model": {"name": config.model, "options": dataclasses.asdict(model.config)},
        "flags": config.flags(),
        "command": shlex.join(["python", "myTrain.py", *argv]),
        "revision": revision(),
        "versions": versions(),
        "machine": machine(device),
        "data": data.summary(),
        "weights": first_weights(config, start),
        "earlier": [],
    }
    if previous:
        record["weights"] = previous.get("weights", {})
        record["earlier"] = [*previous.get("earlier", []), *superseded(previous, record)]
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
        found = json.loads((place / "config.json").read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError
        return found
    except (OSError, ValueError) as error:
        fault = getattr(error, "strerror", None) or "it is no JSON of a run"
        raise InputError(
            f"cannot read {place / 'config.json'} ({fault}); give the folder of a run (of several seeds, one seed's)"
        ) from error


def config_of(record: Mapping[str, Any]) -> TrainConfig:
    """The configuration that a record holds.

    Runs from before `best_by` existed chose by the released score, and go on to; `center_crop` was spelled otherwise.

    Raises:
        InputError: it holds none, or one that no run can have: a record can be edited by hand.
    """
    flags = record.get("flags")
    if not isinstance(flags, Mapping):
        raise InputError("the checkpoint's record of its run is damaged: it has no flags; start from its weights")
    augment = flags.get("augment") or ()
    if isinstance(augment, (list, tuple)):
        augment = [text.replace("centre_crop", "center_crop") if isinstance(text, str) else text for text in augment]
    try:
        return TrainConfig.from_flags({"best_by": "score", **flags, "augment": augment})
    except InputError as error:
        raise InputError(f"the checkpoint's record of its run is damaged ({error}); start from its weights") from error


def first_weights(config: TrainConfig, start: StartOptions) -> dict[str, dict[str, str]]:
    """Path and hash of every weight file that training starts from, by flag."""
    paths = {
        "init_weights": start.init_weights or start.load_checkpoint_path,
        "net_pretrained_backbone_path": weight_file(config.net_pretrained_backbone_path),
    }
    return {
        name: {"path": path, "hash": size_and_hash(path)[1]}
        for name, path in paths.items()
        if path and Path(path).is_file()
    }


def superseded(previous: Mapping[str, Any], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `previous` says otherwise than `record`, as one dict of its values; nothing where they agree."""
    before, now = config_of(previous).flags(), record["flags"]
    kept = before.keys() & now.keys() - neutral_options()
    found: dict[str, Any] = {"flags": {name: before[name] for name in sorted(kept) if before[name] != now[name]}}
    for name in ("revision", "versions", "machine", "data"):
        if name in previous and previous[name] != record[name]:
            found[name] = previous[name]
    found = {name: value for name, value in found.items() if value}
    return [found] if found else []


def resume_changes(previous: TrainConfig, config: TrainConfig) -> list[str]:
    """What a resumed run changes, as `--flag given (was before)`.

    Raises:
        InputError: an option changes that a resumed run must keep, since its weights, its optimizer, the order of its
            samples or the scores of its earlier epochs would not fit.
    """
    fixed = {field.name for field in dataclasses.fields(NetworkOptions)}
    fixed |= {field.name for field in dataclasses.fields(TrainConfig) if field.metadata.get("resume") == "fixed"}
    names = [field.name for field in dataclasses.fields(TrainConfig) if field.name not in neutral_options()]
    changed = [name for name in names if getattr(config, name) != getattr(previous, name)]
    for name in changed:
        if name in fixed:
            raise InputError(
                f"--{name} {shown(getattr(config, name))} was given, but the run to go on with was trained with "
                f"{shown(getattr(previous, name))}; drop the flag, or start a fresh run with --init_weights"
            )
    return [f"--{name} {shown(getattr(config, name))} (was {shown(getattr(previous, name))})" for name in changed]
