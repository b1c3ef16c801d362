"""Repeating a run: its record, the command that repeats it, and refusal where its data are not what they were."""

import json
import shlex
from pathlib import Path

import pytest
import torch

import myTrain
from lib import create_model
from tests.helpers.runs import QUICK, assert_equal, state
from utils.commands import repeat as repro
from utils.commands.repeat import command_words
from utils.commands.train_flags import parse_train_args
from utils.phantom import write_stills
from utils.training.config import TrainConfig

pytestmark = pytest.mark.slow

PLACES = {"train_model_save_path"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Data, weights to start from, and a run of one epoch that was taken up for a second."""
    place = tmp_path_factory.mktemp("a place's")
    write_stills(place / "data", count=6, seed=0, size=(64, 80))
    torch.save(create_model("scrnet").state_dict(), place / "weights.pth")
    weights = ["--load_checkpoint_path", str(place / "weights.pth")]
    assert train(place, "--train_model_save_path", str(place / "run"), "--epoch", "1", *weights) == 0
    assert myTrain.main(["--load_checkpoint_path", str(place / "run" / "last.pth"), "--epoch", "2"]) == 0
    return place


@pytest.fixture(autouse=True)
def data_as_they_were(place):
    image = place / "data" / "images" / "phantom_0001.jpg"
    before = image.read_bytes()
    yield
    image.write_bytes(before)


def train(place, *flags):
    return myTrain.main(["--train_data_path", str(place / "data"), "--seed", "3", *QUICK, "--batch_size", "3", *flags])


def change(place):
    with (place / "data" / "images" / "phantom_0001.jpg").open("ab") as file:
        file.write(b"\0")


def last_line(text):
    return text.strip().splitlines()[-1]


def test_the_record_says_what_the_run_was_made_of(place):
    record = json.loads((place / "run" / "config.json").read_text())
    assert record == json.loads(json.dumps(state(place / "run")["config"]))
    assert set(record["data"]) == {"training", "validation"}
    assert [part["files"] for part in record["data"].values()] == [10, 2]
    assert record["machine"]["device"] == "cpu" and record["machine"]["name"]
    assert record["versions"]["torch"] == torch.__version__
    assert "commit" in (record["revision"] or {"commit": "outside a clone"})
    assert record["command"].endswith("--epoch 2")
    assert record["earlier"] == [{"flags": {"epoch": 1}}]
    assert record["weights"]["init_weights"]["path"] == str(place / "weights.pth")
    files = (place / "run" / "data.csv").read_text().splitlines()
    assert len(files) == 13 and files[0] == "part,file,size,hash"


def test_the_printed_command_repeats_the_run(place, capsys):
    capsys.readouterr()
    assert repro.main([str(place / "run")]) == 0
    printed = capsys.readouterr()
    words = shlex.split(printed.out)
    assert words[:2] == ["python", "myTrain.py"]
    assert words[words.index("--train_model_save_path") + 1] == str(place / "run-again")
    assert "note: the run began with other settings (--epoch 1); " in printed.err
    assert myTrain.main(words[2:]) == 0
    first, second = state(place / "run"), state(place / "run-again")
    for entry in ("model_state_dict", "optimizer_state_dict", "scores"):
        assert_equal(first[entry], second[entry], entry)
    assert repro.main([str(place / "run" / "best.pth")]) == 0
    assert "run-again2" in capsys.readouterr().out, "a name that is not taken"


@pytest.mark.parametrize(
    "line",
    [
        "--train_data_path 'a folder' --val_data_path \"it's another\" --multi_scale_training --lr 3e-4",
        "--model scrnet --augment --loss_weights out=1 --sync_batchnorm off --deterministic --seed 4 --held_out_seed 0",
        "--model sali --augment flip rotate:degrees=35,p=0.3 --memory_window 5 10 --memory_frames 7 --gpu_id 1",
        "--net_df_channel_reduction 2 8 --net_sc_ksize 3 5 1 --budget 500steps --multi_scale_training False",
        "--model convsegnet --early_stop 0 --weight_decay 1e-05 --amp bf16 --workers 0 --ema 0.999",
        "",
    ],
)
def test_the_command_parses_back_to_the_same_flags(line, tmp_path):
    args = parse_train_args(shlex.split(line)).config.flags()
    words = command_words({"flags": args}, folder=tmp_path / "a new one")
    again = parse_train_args(shlex.split(shlex.join(words))[2:]).config.flags()
    assert {k: v for k, v in again.items() if k not in PLACES} == {k: v for k, v in args.items() if k not in PLACES}
    assert again["train_model_save_path"] == str(tmp_path / "a new one")
    assert flag_names(words) <= flag_names(shlex.split(line)) | {"--train_model_save_path"}, "defaults are not named"


def flag_names(words):
    return {word.replace("--no-", "--") for word in words if word.startswith("--")}


def test_a_fresh_folder_lies_beside_the_run_wherever_one_stands(tmp_path, monkeypatch):
    (tmp_path / "run" / "deeper").mkdir(parents=True)
    (tmp_path / "run-again").mkdir()
    assert repro.unused_folder_beside(tmp_path / "run") == tmp_path / "run-again2"
    monkeypatch.chdir(tmp_path / "run" / "deeper")
    assert repro.unused_folder_beside(Path(".")) == tmp_path / "run" / "deeper-again"
    assert repro.unused_folder_beside(Path("..")) == tmp_path / "run-again2"


def test_a_run_of_several_processes_is_repeated_by_torchrun():
    record = {"flags": TrainConfig().flags(), "machine": {"processes": 4}}
    assert command_words(record, folder="new")[:4] == ["torchrun", "--nproc_per_node", "4", "myTrain.py"]


def test_changed_data_are_refused_by_name(place, capsys):
    change(place)
    assert repro.main([str(place / "run")]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "1 file changed (images/phantom_0001.jpg); put the files back" in told.err


def test_a_run_does_not_go_on_with_changed_data_unless_told(place, tmp_path, capsys):
    change(place)
    go_on = ["--load_checkpoint_path", str(place / "run" / "last.pth"), "--train_model_save_path", str(tmp_path / "on")]
    assert myTrain.main([*go_on, "--epoch", "3"]) == 2
    assert "1 file changed (images/phantom_0001.jpg); put the files back, or add --allow" in capsys.readouterr().err
    assert not (tmp_path / "on").exists()
    assert myTrain.main([*go_on, "--epoch", "3", "--allow_changed_data"]) == 0
    earlier = state(tmp_path / "on")["config"]["earlier"]
    assert [sorted(change) for change in earlier] == [["flags"], ["data", "flags"]]
    again = parse_train_args(["--load_checkpoint_path", str(tmp_path / "on" / "last.pth")])
    assert again.start.allow_changed_data is False


def test_changed_first_weights_are_refused(place, capsys):
    weights = place / "weights.pth"
    before = weights.read_bytes()
    weights.write_bytes(before + b"\0")
    assert repro.main([str(place / "run")]) == 2
    assert "weights.pth of --init_weights has changed since the run read it" in capsys.readouterr().err
    weights.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "message"), [("data", "cannot read"), ("weights.pth", "holds weights but no record of a run")]
)
def test_places_without_a_record(place, capsys, name, message):
    assert repro.main([str(place / name)]) == 2
    assert message in last_line(capsys.readouterr().err)


def test_what_differs_from_then_is_told(place, monkeypatch):
    record = json.loads((place / "run" / "config.json").read_text())
    assert not [note for note in repro.differences(record) if "torch" in note or "name" in note]
    record["versions"]["torch"] = "1.0"
    record["machine"]["name"] = "another processor"
    record["revision"] = {"commit": "0123456789abcdef", "dirty": True}
    notes = list(repro.differences(record))
    assert notes[0].startswith("the code was 0123456789ab with uncommitted changes; it is ")
    here = {"commit": "0123456789abcdef", "dirty": True}
    monkeypatch.setattr(repro.runtime, "revision", lambda: here)
    assert next(repro.differences(record)) == (
        "the code was 0123456789ab with uncommitted changes, which may be others now"
    )
    assert f"torch was 1.0; it is {torch.__version__}" in notes
    assert any(note.startswith("name was another processor; it is ") for note in notes)
