"""Checkpoints as a training run here writes them, untrained and small."""

import dataclasses

import torch

from lib import create_model

BACKBONES = {"sepnet": "pvt-v2-b0", "sali": "pvt-v2-b0", "lsinet": "pvt-v2-b0"}


def untrained(name, path, *, size, seed=0, classes=None):
    """Write a checkpoint of the network `name` at `path` and return the path."""
    torch.manual_seed(seed)
    options = {"backbone": BACKBONES[name]} if name in BACKBONES else {}
    model = create_model(name, **options, **({"classes": len(classes)} if classes else {}))
    described = {"name": name, "options": dataclasses.asdict(model.config)}
    config = {"model": described, "flags": {"train_size": size, "classes": classes}}
    torch.save({"format_version": 2, "config": config, "model_state_dict": model.state_dict()}, path)
    return path
