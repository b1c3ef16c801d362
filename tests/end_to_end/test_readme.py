"""README.md and docs/ stay true: its Python runs, its places exist, its commands have the flags they are shown with."""

import re
import shlex
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import myTrain
from lib import create_model, list_models
from lib.registry import NETWORKS
from tests.helpers.commands import COMMANDS, parser_of
from utils.__main__ import VERBS
from utils.phantom import phantom_still
from utils.training import DeepSupervision, recipe_for

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCS = {path.relative_to(ROOT / "docs").as_posix(): path.read_text(encoding="utf-8") for path in PAGES}


def blocks(language, text=README):
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.M | re.S)


def commands():
    """The command lines of the README, of docs/ and the Makefile, without comments and without what wraps `python`."""
    made = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    shown = re.findall(r"`(python (?:my|-m \w+ )[^`]+)`", "".join(DOCS.values()))
    for line in [
        *"\n".join(block for text in (README, *DOCS.values()) for block in blocks("bash", text)).splitlines(),
        *shown,
        *(line for line in made.splitlines() if "$(RUN)" in line),
    ]:
        words = shlex.split(line, comments=True)
        if words[:1] == ["$(RUN)"] and words[2:3] not in (["pip"], ["pytest"], ["ruff"]):
            yield words[1:]
        elif words[:1] == ["torchrun"]:
            yield words[words.index("myTrain.py") :]
        elif words[:1] == ["python"]:
            yield words[1:]


@pytest.mark.slow
def test_its_python_runs_as_it_stands(stills, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = stills(count=6, seed=0, size=(64, 80))
    small = "--net_backbone pvt-v2-b0 --net_pretrained_backbone_path none --train_size 64 --epoch 1 --batch_size 4"
    run = ["--train_data_path", str(data), "--train_model_save_path", "checkpoint/sepnet", "--workers", "0"]
    assert myTrain.main([*run, *small.split(), "--device", "cpu"]) == 0
    torch.save(create_model("sepnet", backbone="pvt-v2-b2").state_dict(), "SEPNet.pth")
    image, mask = phantom_still(seed=7, size=(96, 112))
    cv2.imwrite("polyp.jpg", np.ascontiguousarray(image[..., ::-1])), cv2.imwrite("mask.png", mask)
    capsys.readouterr()
    names = {}
    for block in blocks("python"):
        exec(block, names)
    told = capsys.readouterr().out
    assert told.count("of the frame is polyp") == 2 and "torch.Size([1, 1, 88, 88])" in told
    assert names["probability"].shape == (96, 112)


def test_a_network_and_a_loss_of_ones_own_work_as_the_page_shows_them(monkeypatch):
    network, loss, _ = blocks("python", DOCS["extending.md"])
    module = types.ModuleType("lib.tinynet")
    module.__package__ = "lib"
    monkeypatch.setitem(sys.modules, "lib.tinynet", module)
    exec(network, vars(module))
    monkeypatch.setitem(NETWORKS, *entry_of(DOCS["extending.md"]))
    model = create_model("tinynet", classes=2).eval()
    with torch.no_grad():
        outputs = model(*model.example_inputs(64))
    assert tuple(outputs) == model.output_names and outputs["out"].shape == (1, 2, 16, 16)
    assert recipe_for("tinynet") == recipe_for("sepnet")

    names = {}
    exec(loss, names)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    half = torch.zeros_like(mask)  # probability .5: both 4, only the map 4, only the mask 4
    total, _ = DeepSupervision(names["tversky_loss"], {"out": 2.0})({"out": half}, mask)
    assert total.item() == pytest.approx(2 * (1 - 5 / (4 + 0.3 * 4 + 0.7 * 4 + 1)))


def entry_of(page):
    """Name and entry of the line that a page adds to the table of networks."""
    name, *entry = re.search(r'`"(\w+)": \("(\w+)", "(\w+)", "(\w+)"\),`', page).groups()
    return name, tuple(entry)


@pytest.mark.slow
def test_a_loop_of_ones_own_runs_as_the_page_shows_it(stills, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/TrainDataset").symlink_to(stills(count=6, seed=0, size=(64, 80)))
    exec(blocks("python", DOCS["extending.md"])[2], {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]
    model = create_model("sepnet", backbone="pvt-v2-b0")
    model.load_state_dict(torch.load("own.pth", weights_only=True))


def test_its_places_exist():
    places = set(re.findall(r"`((?:lib|measure|utils|tests)/[\w/.]*)`", DOCS["places.md"]))
    assert len(places) > 40
    places |= set(re.findall(r"`((?:lib|measure|utils|tests)/[\w/.]*)`", README + "".join(DOCS.values())))
    assert not {place for place in places if not (ROOT / place).exists()}


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{name}" for name in DOCS)])
def test_its_links_lead_somewhere(page):
    linked = re.findall(r"\]\(([^)#\s]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in linked if "://" not in link and not ((ROOT / page).parent / link).exists()]


def test_every_network_has_a_page_that_says_what_differs_and_how_far_it_got():
    for name in list_models():
        assert (
            "## Differs from the" in DOCS[f"networks/{name}.md"]
            and "## How far ours got" in DOCS[f"networks/{name}.md"]
        )
        assert f"](docs/networks/{name}.md)" in README


def test_it_lists_every_verb():
    table = README[README.index("| verb | what it does |") :]
    assert [verb for verb in VERBS if f"`python -m utils {verb}" not in table] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_have_the_flags_they_are_shown_with(command, monkeypatch, capsys):
    shown = [line for line in commands() if " ".join(line).startswith(f"{command} ") and owner(line) == command]
    known = set(parser_of(command, monkeypatch, capsys)._option_string_actions) if shown else set()
    for line in shown:
        flags = {word.split("=")[0] for word in line if word.startswith("--")}
        assert flags <= known, f"{' '.join(line)}: {flags - known}"


def owner(line):
    """The longest command that a line begins with: `-m measure why` rather than `-m measure`."""
    return max((name for name in COMMANDS if line[: len(name.split())] == name.split()), key=len, default=None)


def test_every_command_line_belongs_to_a_command():
    assert len(list(commands())) > 15
    assert [line for line in commands() if owner(line) is None] == []
