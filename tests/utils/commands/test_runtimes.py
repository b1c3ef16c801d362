"""The table of runtimes: one line each for what is installed, PyTorch first and losing nothing against itself."""

import pytest

from tests.helpers.weights import untrained
from utils.__main__ import main
from utils.phantom import write_stills


@pytest.mark.slow
def test_pytorch_leads_the_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("utils.prediction.runtimes.names.find_spec", lambda name: None)
    write_stills(tmp_path / "set", count=3, seed=0, size=(64, 80))
    weights = untrained("sepnet", tmp_path / "w.pth", size=64)
    out = tmp_path / "table.md"
    words = ["--weights", weights, "--data", tmp_path / "set", "--count", 2, "--out", out]
    assert main(["runtimes", *map(str, words)]) == 0
    told = capsys.readouterr().out
    assert out.read_text() in told and told.startswith(f"2 images of {tmp_path}/set, 64 x 64, ")
    first, second = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.read_text().splitlines()[4:]]
    assert (first[0], first[3], first[4]) == ("PyTorch, float32", "+0.0000", "0.0000")
    assert second[0] == "PyTorch, bf16 autocast"
