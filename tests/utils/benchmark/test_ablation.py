"""Recipes compared across two parts of a data set: what is run, what is kept, what a gain is."""

import json
import math

import pytest

from measure.io import InputError
from utils.benchmark.ablation import gains, read_steps
from utils.benchmark.command import main

RECIPE = "--model scrnet --train_size 32 --epoch 1"


def test_steps_add_to_the_first(tmp_path):
    path = tmp_path / "steps.txt"
    path.write_text("# a comment\nbase: --epoch 3 --augment flip\n\nlonger run: --epoch 9\n")
    assert read_steps(path) == {
        "base": ["--epoch", "3", "--augment", "flip"],
        "longer run": ["--epoch", "3", "--augment", "flip", "--epoch", "9"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no recipe"),
        ("--epoch 3", "expected NAME: FLAGS"),
        ("a: --epoch 3\na: --epoch 4", "every name once"),
        ("a b: --epoch 3\na_b: --epoch 4", "every name once"),
        ("../a: --epoch 3", "one for a folder"),
        ("a: --augment 'flip", "the line .* has a quotation mark without its counterpart; close it"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "steps.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_steps(tmp_path / "steps.txt")


def test_gains_are_paired_by_part_and_seed():
    scores = {("base", "a", 0): 0.5, ("base", "a", 1): 0.6, ("base", "b", 0): 0.7}
    scores |= {("new", "a", 0): 0.6, ("new", "a", 1): 0.8, ("new", "b", 1): 0.1}
    gain, half, pairs = gains(scores, "new", "base")
    assert (gain, pairs) == (pytest.approx(0.15), 2)
    assert half == pytest.approx(12.7062 * 0.05, rel=1e-4)  # t of one degree of freedom; deviation .0707 / sqrt(2)
    assert math.isnan(gains({key: scores[key] for key in list(scores)[:4]}, "new", "base")[1])


@pytest.mark.slow
def test_a_small_study_is_run_kept_and_gone_on_with(stills, tmp_path, capsys):
    names = sorted(path.stem for path in (stills(count=12, seed=3, size=(64, 80)) / "images").iterdir())
    (tmp_path / "a.txt").write_text("\n".join(names[:6]))
    (tmp_path / "b.txt").write_text("\n".join(names[6:]))
    (tmp_path / "steps.txt").write_text(f"base: {RECIPE} --batch_size 3 --workers 0\nflip: --augment flip\n")
    words = ["ablation", "--steps", str(tmp_path / "steps.txt"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    words += ["--train_data_path", str(stills(count=12, seed=3, size=(64, 80))), "--seeds", "0"]
    words += ["--parts", str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "a to b" in shown and "- flip: `--augment flip`" in shown
    runs = json.loads((tmp_path / "out" / "ablation.json").read_text())["runs"]
    assert {(run["step"], run["training"].rsplit("/")[-1]) for run in runs} == {
        ("base", "a.txt"), ("base", "b.txt"), ("flip", "a.txt"), ("flip", "b.txt"),
    }  # fmt: skip
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").glob("*/dice.json")}
    assert len(kept) == 4 and all(set(json.loads(path.read_text())) <= set(names) for path in kept)
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    (tmp_path / "steps.txt").write_text(f"base: {RECIPE} --batch_size 3 --workers 0\ngone: --val_data_path nowhere\n")
    assert main(words) == 2
    told = capsys.readouterr()
    assert "nowhere" in told.err and "| base" in told.out, "a recipe that fails keeps nobody from the table"
    (tmp_path / "steps.txt").write_text(f"base: {RECIPE} --batch_size 3 --workers 0\nflip: --augment rotate\n")
    assert main(words) == 2
    assert (
        "holds a run of other flags or images than flip has now; give the recipe another name"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [("x/train", "y/train", "have one name, and runs are named after them"), ("a", "b", "share 1 image, first 2; one")],
)
def test_parts_that_cannot_be_told_apart_or_share_images_are_refused(first, second, message, tmp_path, capsys):
    (tmp_path / "steps.txt").write_text("base: --epoch 3\n")
    parts = [tmp_path / f"{name}.txt" for name in (first, second)]
    for part, names in zip(parts, ("1\n2\n", "2\n3\n"), strict=True):
        part.parent.mkdir(exist_ok=True)
        part.write_text(names)
    words = ["ablation", "--steps", str(tmp_path / "steps.txt"), "--parts", *map(str, parts)]
    assert main([*words, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_seeds_that_would_train_in_one_folder_are_refused(tmp_path, capsys):
    assert main(["ablation", "--seeds", "0", "0", "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert "--seeds 0 0 was given; name each seed once" in capsys.readouterr().err


def test_a_wrong_flag_is_told_before_any_run(stills, tmp_path, capsys):
    (tmp_path / "steps.txt").write_text("base: --epochs 3\n")
    (tmp_path / "a.txt").write_text("1\n")
    parts = ["--parts", str(tmp_path / "a.txt"), str(tmp_path / "a.txt")]
    words = [
        "ablation",
        "--steps",
        str(tmp_path / "steps.txt"),
        *parts,
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    assert main(words) == 2
    assert "unknown flag --epochs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
