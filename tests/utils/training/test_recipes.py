"""Recipes: what --model chooses, what flags replace; each trains, stops early and goes on with the same bits."""

import csv
import dataclasses
import sys

import pytest

import myTrain
from lib import list_models
from measure.io import InputError
from tests.helpers.runs import assert_equal, interrupt_after, state
from utils.commands.train_flags import parse_train_args, words_of_run
from utils.data.augmentation.pipeline import parse_augmentation
from utils.training.config import TrainConfig
from utils.training.losses import LOSSES
from utils.training.recipes import RECIPES, recipe_for, recipe_of, recipe_overrides
from utils.training.schedule import SCHEDULES

TINY = {"sepnet": ["--net_backbone", "pvt-v2-b0"], "scrnet": []}
RESNET = ["--net_backbone", "resnet18"]
RECIPE_OPTIONS = {field.name for field in dataclasses.fields(TrainConfig) if field.metadata.get("recipe")}
RUN = ["--net_pretrained_backbone_path", "none", "--train_size", "32", "--device", "cpu", "--workers", "0"]


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=8, seed=0, size=(64, 80))


def train(data, folder, model, *flags):
    where = ["--train_data_path", str(data), "--train_model_save_path", str(folder)]
    return myTrain.main(["--model", model, *where, *RUN, *TINY.get(model, RESNET), *flags])


def rows(folder):
    return list(csv.DictReader((folder / "log.csv").open()))


@pytest.mark.slow
@pytest.mark.parametrize("model", list_models("image"))
def test_each_recipe_trains_an_epoch(data, tmp_path, model, capsys):
    assert train(data, tmp_path, model, "--epoch", "1", "--batch_size", "4") == 0
    assert all(value.isfinite().all() for value in state(tmp_path)["model_state_dict"].values())
    flags, recipe = state(tmp_path)["config"]["flags"], recipe_for(model).config.flags()
    kept = RECIPE_OPTIONS - {"epoch", "batch_size", "train_size"}
    assert {name: flags[name] for name in kept} == {name: recipe[name] for name in kept}
    note = [line for line in capsys.readouterr().err.splitlines() if "departs" in line]
    assert len(note) == 1
    assert RECIPES[model].source in note[0] and f"--train_size 32 ({RECIPES[model].config.train_size})" in note[0]
    assert "--lr" not in note[0]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("sepnet", {"train_size": 352, "batch_size": 3, "lr": 1e-4, "weight_decay": 1e-4, "gradient_clip": 0.5}),
        ("scrnet", {"train_size": 448, "batch_size": 8, "lr": 1e-3, "loss": "ce_dice", "schedule": "poly"}),
        ("convsegnet", {"train_size": 256, "batch_size": 16, "lr": 1e-4, "loss": "bce_dice", "early_stop": 50}),
        ("dilatedsegnet", {"train_size": 256, "batch_size": 16, "schedule": "plateau", "lr_decay_epoch": 5}),
    ],
)
def test_a_recipe_is_what_the_paper_says(model, expected):
    config = parse_train_args(["--model", model]).config
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize("model", RECIPES)
def test_recipes_name_parts_that_exist(model):
    recipe = RECIPES[model]
    assert recipe.config.loss in LOSSES and recipe.config.schedule in SCHEDULES
    assert [parse_augmentation(text) for text in recipe.config.augment]
    assert parse_train_args(["--model", model]).config == recipe.config
    assert recipe_overrides(recipe, recipe.config) == []


@pytest.mark.parametrize("model", list_models("image"))
def test_our_recipe_is_one_for_every_network_of_still_images(model):
    config = parse_train_args(["--model", model, "--recipe", "ours", "--lr", "1e-3"]).config
    assert (config.model, config.recipe, config.batch_size, config.ema, config.lr) == (model, "ours", 16, 0.998, 1e-3)
    assert recipe_overrides(recipe_of(config), config) == ["--lr 0.001 (0.0004)"]
    assert config.loss in LOSSES and [parse_augmentation(text) for text in config.augment]
    assert parse_train_args(words_of_run(config)).config == config
    assert ("ours" in words_of_run(config)) and ("16" not in words_of_run(config))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--recipe best", "--recipe best was given; expected one of released, ours"),
        ("--recipe ours --model sali", "--recipe ours was given with sali, a video network"),
    ],
)
def test_recipes_that_are_not_there_are_told(words, message):
    with pytest.raises(InputError, match=message):
        parse_train_args(words.split())


@pytest.mark.slow
def test_a_run_by_our_recipe_goes_on_as_one_and_refuses_another(data, tmp_path, capsys):
    assert train(data, tmp_path, "scrnet", "--recipe", "ours", "--epoch", "1", "--batch_size", "4") == 0
    assert "this run departs from this project's recipe for still images: --train_size 32 (352)" in (
        capsys.readouterr().err
    )
    words = ["--load_checkpoint_path", str(tmp_path / "last.pth"), "--epoch", "2"]
    assert myTrain.main([*words, "--recipe", "released"]) == 2
    assert "--recipe released was given, but the run to go on with was trained with ours" in capsys.readouterr().err
    assert myTrain.main(words) == 0
    flags = state(tmp_path)["config"]["flags"]
    assert (flags["recipe"], flags["ema"], flags["batch_size"]) == ("ours", 0.998, 4)


@pytest.mark.parametrize("model", RECIPES)
def test_help_says_where_the_defaults_come_from_and_what_was_chosen(model, capsys):
    with pytest.raises(SystemExit):
        parse_train_args(["--model", model, "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert RECIPES[model].source in printed and RECIPES[model].chosen in printed
    assert ("It leaves open" in printed) == bool(RECIPES[model].chosen)


def test_flags_replace_entries_of_a_recipe():
    words = "--model scrnet --lr 2e-3 --augment flip rotate:degrees=35 --schedule constant".split()
    config = parse_train_args(words).config
    assert (config.lr, config.augment, config.schedule) == (2e-3, ("flip", "rotate:degrees=35"), "constant")
    assert config.batch_size == 8 and config.loss == "ce_dice"
    assert recipe_overrides(recipe_for("scrnet"), config) == [
        "--lr 0.002 (0.001)",
        "--schedule constant (poly)",
        "--augment flip rotate:degrees=35 (flip flip_upside_down contrast zoom random_crop)",
    ]
    assert parse_train_args(["--augment"]).config.augment == ()


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "constant"])
def test_a_resumed_run_has_the_same_bits_under_every_schedule(data, tmp_path, schedule, monkeypatch):
    """Four epochs of two steps; the plateau decays after each epoch without a better score."""
    flags = ["--epoch", "4", "--batch_size", "4", "--schedule", schedule, "--lr_warmup_epoch", "1", "--lr", "0.01"]
    flags += ["--lr_decay_epoch", "1", "--lr_decay_rate", "0.5", "--early_stop", "3"]
    assert train(data, tmp_path / "straight", "scrnet", *flags) == 0
    for steps in (1, 3):
        again = tmp_path / f"after {steps}"
        with monkeypatch.context() as patched:
            interrupt_after(patched, steps)
            assert train(data, again, "scrnet", *flags) == 130
        assert myTrain.main(["--load_checkpoint_path", str(again / "last.pth")]) == 0
        first, second = state(tmp_path / "straight"), state(again)
        for content in (first, second):
            content.pop("config"), content.pop("generators"), content.pop("seconds")
        assert_equal(first, second)
        rates = [[row["lr"] for row in rows(folder)] for folder in (tmp_path / "straight", again)]
        assert rates[0] == rates[1]


@pytest.mark.slow
def test_a_run_stops_when_the_score_stays_away_and_stays_stopped(data, tmp_path, monkeypatch, capsys):
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.9])
    parts = {"Dice": 0.0, "IoU": 0.0, "MAE": 0.0}
    monkeypatch.setattr("utils.evaluation.images.ImageValidation.scores", lambda *_: parts | {"score": next(scores)})
    flags = ["--epoch", "9", "--batch_size", "4", "--early_stop", "2", "--best_by", "score"]
    assert train(data, tmp_path, "scrnet", *flags) == 0
    assert "early stop: no better score in the last 2 epochs" in capsys.readouterr().out
    assert [float(row["score"]) for row in rows(tmp_path)] == [0.5, 0.7, 0.6, 0.7]
    assert state(tmp_path, "best.pth")["epoch"] == 2
    assert myTrain.main(["--load_checkpoint_path", str(tmp_path / "last.pth")]) == 0
    assert len(rows(tmp_path)) == 4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--augment", "flop"], "unknown augmentation 'flop'"),
        (["--loss_weights", "deep9=2"], "--loss_weights deep9=2 was given; expected OUTPUT=WEIGHT, of out"),
        (["--loss_weights", "out=much"], "--loss_weights out=much was given"),
        (["--loss_weights", "out=1", "out=2"], "--loss_weights out=1 out=2 was given, which names out twice"),
        (["--loss_weights", "out=1e300"], "--loss_weights out=1e300 was given; expected OUTPUT=WEIGHT"),
        (["--loss_weights", "out=0"], "leaves nothing to train"),
        (["--mixtures", "sum=1", "sum=2"], "--mixtures sum=1 sum=2 was given, which names sum twice"),
        (["--augment", "flip:p=1,p=0"], "augmentation 'flip:p=1,p=0' gives p twice; give it once"),
        (["--train_size", "8192", "--scales", "1", "10"], "they lead to 81920 pixels, and at most 8192 are"),
        (["--logger", "mlflow"], "--logger mlflow was given, and there is no package mlflow here: pip install mlflow"),
        (["--logger", "mlflow", "mlflow"], "--logger mlflow mlflow was given; name each tracker once"),
        (["--mixtures", "mean=1"], "--mixtures mean=1 was given; expected KIND=WEIGHT, of sum, product"),
        (["--scales", "0"], "--scales 0 was given; it must be at least 0.1"),
        (["--scales", "1", "--multi_scale_training"], "--multi_scale_training and --scales were given"),
        (["--early_stop", "-1"], "--early_stop -1 was given; it must be at least 0"),
        (["--budget", "-5minutes"], "--budget -5minutes was given; write a number and a unit: 20epochs, 500steps or"),
        (
            ["--load_checkpoint_path", "a.pth", "--resume", "auto"],
            "--load_checkpoint_path and --resume were given",
        ),
        (
            ["--load_checkpoint_path", "a.pth", "--init_weights", "b.pth"],
            "and --init_weights were given; keep one",
        ),
        (["--resume", "auto", "--overwrite"], "--resume auto and --overwrite were given; keep the first to go on"),
        (["--lr_decay_epoch", "0"], "--lr_decay_epoch 0 was given; it must be at least 1"),
    ],
)
def test_mistakes_end_in_one_line(data, tmp_path, capsys, flags, message):
    assert train(data, tmp_path / "run", "scrnet", *flags) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_trained_replaces_no_run(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pth").write_bytes(b"another run")
    assert train(data, tmp_path / "run", "scrnet", "--overwrite", "--logger", "mlflow") == 2
    assert "there is no package mlflow here: pip install mlflow" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.pth"]


def test_a_run_is_not_kept_among_the_images(data, tmp_path, capsys):
    for place in (data / "images", data / "masks" / "run"):
        assert train(data, place, "scrnet") == 2
        assert "and would be written to; choose another place for the output" in capsys.readouterr().err
    assert not (data / "masks" / "run").exists() and not (data / "images" / ".lock").exists()


def test_weights_come_from_one_file(data, tmp_path, capsys):
    flags = [
        "--init_weights",
        "all.pth",
        "--net_pretrained_backbone_path",
        "backbone.pth",
        "--net_backbone",
        "resnet18",
    ]
    assert train(data, tmp_path / "run", "sepnet", *flags) == 2
    assert "backbone.pth was given beside the weights of all.pth, which bring their own" in capsys.readouterr().err


def test_mixtures_need_a_network_of_several_outputs(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "convsegnet", "--mixtures", "sum=1") == 2
    assert "--mixtures was given, but convsegnet has a single output, out; drop the flag" in capsys.readouterr().err


def test_a_way_to_compile_without_compiling_is_refused():
    with pytest.raises(InputError, match="--compile_mode max-autotune was given without --compile, where it means"):
        TrainConfig(compile_mode="max-autotune")
