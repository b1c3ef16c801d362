"""The table of runtimes: one line each for what is installed, PyTorch first and losing nothing against itself."""

import re
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.weights import untrained
from utils.__main__ import main
from utils.benchmark.runtimes import Row, table, timed_calls
from utils.phantom import write_stills

pytestmark = pytest.mark.slow
installed = all(map(find_spec, ("onnx", "onnxscript", "onnxruntime", "openvino")))


def measured(tmp_path, capsys, *words, network="scrnet"):
    write_stills(tmp_path / "set", count=3, seed=0, size=(64, 80))
    weights = untrained(network, tmp_path / "w.pth", size=64)
    out = tmp_path / "table.md"
    flags = ["--weights", weights, "--data", tmp_path / "set", "--count", 2, "--out", out, "--no-compile", *words]
    assert main(["benchmark", "runtimes", *map(str, flags)]) == 0
    told = capsys.readouterr().out
    assert out.read_text() in told and told.startswith(f"2 images of {tmp_path}/set, 64 x 64, ")
    lines = [line for line in out.read_text().splitlines() if line.startswith("|")]
    return told, [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_pytorch_leads_the_table_and_what_is_left_out_has_a_reason(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("utils.prediction.runtimes.names.find_spec", lambda name: None)
    told, rows = measured(tmp_path, capsys)
    assert [row[0] for row in rows] == ["PyTorch, float32", "PyTorch, bf16 autocast", "PyTorch, batch norm folded"]
    assert rows[0][4:] == ["+0.0000", "0.0000"] and abs(float(rows[2][5])) < 0.001
    reasons = re.findall(r"^left out: (.*)$", told, re.MULTILINE)
    assert reasons == [
        "torch.compile, by --no-compile",
        "int8, without --calibration",
        "ONNX Runtime, which needs onnx and onnxscript and onnxruntime",
        "OpenVINO, which needs openvino",
    ]


@pytest.mark.skipif(not installed, reason="needs packages that requirements.txt names")
def test_every_runtime_has_a_row(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    told, rows = measured(tmp_path, capsys, "--calibration", tmp_path / "set", network="sepnet")
    names = {row[0] for row in rows} | set(re.findall(r"^left out: (OpenVINO, bf16)", told, re.MULTILINE))
    assert names >= {"ONNX Runtime, float32", "ONNX Runtime, int8"}
    assert names >= {"OpenVINO, float32", "OpenVINO, bf16", "OpenVINO, int8"}


def test_a_network_that_cannot_be_compiled_is_left_out(tmp_path, capsys, monkeypatch):
    def refused(*_):
        raise RuntimeError("no C++ compiler\nand more")

    monkeypatch.setattr("utils.prediction.runtimes.names.find_spec", lambda name: None)
    monkeypatch.setattr(torch, "compile", lambda forward: refused)
    told, rows = measured(tmp_path, capsys, "--compile")
    assert len(rows) == 3
    assert "left out: torch.compile, which does not work here: RuntimeError: no C++ compiler\n" in told


def test_the_table_by_hand():
    rows = [Row("first", 10.04, 9.0, [0.5, 1.0]), Row("second", 5.0, 5.0, [0.75, 0.25])]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(rows).splitlines()[2:]]
    assert cells == [
        ["first", "10.0", "9.0", "0.7500", "+0.0000", "0.0000"],
        ["second", "5.0", "5.0", "0.5000", "+0.2500", "0.7500"],
    ]


def test_every_call_is_timed_and_hooks_are_taken_off():
    model = nn.Identity()
    with timed_calls(model) as taken:
        model(np.zeros(1)), model(np.zeros(1))
    assert len(taken) == 2 and all(clock >= 0 and processor >= 0 for clock, processor in taken)
    model(np.zeros(1))
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--count", "0"], "--count"),
        (["--calibration_count", "0"], "--calibration_count"),
    ],
)
def test_mistakes(words, message, capsys):
    assert main(["benchmark", "runtimes", *words]) == 2
    assert message in capsys.readouterr().err
