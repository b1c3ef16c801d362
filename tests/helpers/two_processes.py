"""What two processes see, written as JSON by the first; started in test_distributed.py."""

import json
from pathlib import Path

import torch
from torch import nn

from lib import create_model
from tests.helpers.sync_batchnorm import synchronize_on_cpu
from utils.data.image_dataset import EvaluationData
from utils.data.pairs import find_pairs
from utils.evaluation.images import ImageValidation
from utils.runtime.precision import autocast
from utils.runtime.process_group import join, world


def normalized(x, *, sync):
    """Outputs, input gradients and running statistics of a batch normalization of rows of `x`."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    nn.init.uniform_(norm.weight)
    norm = synchronize_on_cpu(nn.Sequential(norm), world())[0] if sync else norm
    x = x.clone().requires_grad_()
    out = norm(x)
    (out**3).sum().backward()
    return {"out": out, "grad": x.grad, "weight": norm.weight.grad, "mean": norm.running_mean, "var": norm.running_var}


def scores(folder, processes):
    torch.manual_seed(0)
    model = create_model("scrnet")
    data = EvaluationData(find_pairs(folder), size=32)
    cpu = torch.device("cpu")
    validation = ImageValidation(data, batch_size=2, workers=0, device=cpu, world=processes)
    return validation.scores(model, autocast(cpu, "off"))


def report(folder, processes):
    batch = torch.randn(5, 3, 4, 6, generator=torch.Generator().manual_seed(1)) * 3 + 2
    whole = normalized(batch, sync=False)
    mine = normalized(processes.shard(batch), sync=processes.size > 1)
    rows = {name: processes.shard(whole[name]) for name in ("out", "grad")} | {n: whole[n] for n in ("mean", "var")}
    gaps = {name: float((mine[name] - rows[name]).detach().abs().max()) for name in rows}
    weight = sum(torch.tensor(part) for part in processes.all_gather(mine["weight"].tolist()))
    gaps["weight"] = float((weight - whole["weight"]).abs().max())
    return {
        "gaps": processes.all_gather(gaps),
        "all_reduce_max": processes.all_reduce_max(10 + processes.rank),
        "gather_in_order": processes.gather_in_order([10 * item for item in processes.shard(range(5))]),
        "scores": scores(folder, processes),
    }


def write_report(folder, path):
    processes = world()
    with join(processes):
        found = report(folder, processes)
    if processes.is_first:
        Path(path).write_text(json.dumps(found))
