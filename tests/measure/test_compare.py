"""`measure why`: what is said about two score files whose differences are known."""

from __future__ import annotations

import json

import pytest

from measure.commands.compare import explain, main
from tests.helpers.report_results import result


def _run(dice: dict[str, float], **parts) -> dict:
    mean = sum(dice.values()) / len(dice)
    per_image = {"S": {stem: {"Dice": value, "MAE": 0.1} for stem, value in dice.items()}}
    return result("Net", {"S": {"Dice": mean, "MAE": 0.1}}, per_image=per_image, **parts)


def _write(path, scores):
    path.write_text(json.dumps(scores), encoding="utf-8")
    return str(path)


def test_equal_runs_agree():
    run = _run({"1": 0.5, "2": 0.7})
    text = explain(run, run)
    assert "protocol, options and versions agree" in text
    assert "every score agrees" in text
    assert "every image agrees" in text


def test_settings_that_differ_are_listed_and_no_others():
    other = _run({"1": 0.5}, options={"minmax": False, "br_rate": 15, "partial": True}, versions={"numpy": "1.26"})
    settings = explain(_run({"1": 0.5}), other).split("\n\n")[0].splitlines()[2:]
    assert [line.split() for line in settings] == [
        ["options.minmax", "true", "false"],
        ["options.partial", "not", "recorded", "true"],
        ["versions.numpy", '"2.0"', '"1.26"'],
    ]


def test_images_are_sorted_by_how_far_they_moved():
    first, second = _run({"a": 0.5, "b": 0.5, "c": 0.5}), _run({"a": 0.6, "b": 0.2, "c": 0.5})
    lines = explain(first, second).splitlines()
    assert "  Dice moved most of 1 score that differs" in lines
    assert "  2 of 3 images in both differ, 2 of them in Dice" in lines
    assert [line.split() for line in lines[-2:]] == [
        ["b", "0.500000", "0.200000", "-0.300000"],
        ["a", "0.500000", "0.600000", "+0.100000"],
    ]
    assert explain(first, second, top=1).splitlines()[-1].split()[0] == "b"


def test_images_of_one_run_only_explain_a_moved_mean():
    text = explain(_run({"1": 0.5, "2": 0.9}), _run({"1": 0.5, "3": 0.1}))
    assert "only in A: 1, namely 2" in text
    assert "only in B: 1, namely 3" in text
    assert "every image in both agrees, so a score that differs does so by the images that one run lacks" in text


def test_scores_that_are_missing_on_one_side_come_foremost():
    first, second = _run({"1": 0.5}), _run({"1": 0.9})
    second["datasets"]["S"]["MAE"] = None
    lines = explain(first, second).splitlines()
    place = lines.index("  MAE moved most of 2 scores that differ")
    assert lines[place + 2].split() == ["MAE", "0.100000", "missing"]


def test_a_metric_other_than_dice_ranks_images_where_dice_stood_still():
    first, second = _run({"1": 0.5}), _run({"1": 0.5})
    second["per_image"]["S"]["1"]["MAE"] = 0.3
    assert "1 of 1 image in both differs, 1 of them in MAE" in explain(first, second)


def test_data_sets_of_one_run_only_are_named():
    second = _run({"1": 0.5})
    second["datasets"]["T"] = {"Dice": 0.4}
    assert any(
        line.split() == ["T", "absent", "not", "recorded"] for line in explain(_run({"1": 0.5}), second).splitlines()
    )


def test_command_line(tmp_path, capsys):
    a, b = _write(tmp_path / "a.json", _run({"1": 0.5})), _write(tmp_path / "b.json", _run({"1": 0.9}))
    assert main([a, b]) == 0
    assert "+0.400000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("not json", "is no JSON"),
        ("[]", 'holds no "datasets"'),
        ('{"datasets": 1}', "holds no"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, capsys, content, said):
    good = _write(tmp_path / "good.json", _run({"1": 0.5}))
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_text(content)
    assert main([good, str(bad)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["a", "a", "--dataset", "S"], "--dataset was given, which a comparison of two files does not use"),
        (["a", "a", "--GT_root", "."], "--GT_root was given, which a comparison of two files does not use"),
        (["--published", "Dice=.5", "a", "--protocol", "vps"], "--protocol was given, which --published with a file"),
        (["--published", "Dice=.5", "--metric", "MAE"], "--metric was given, which --published does not use"),
    ],
)
def test_flags_that_nothing_would_use_are_refused(tmp_path, capsys, flags, said):
    path = _write(tmp_path / "a.json", _run({"1": 0.5}))
    assert main([path if flag == "a" else flag for flag in flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_an_unknown_metric_is_refused(tmp_path, capsys):
    path = _write(tmp_path / "a.json", _run({"1": 0.5}))
    assert main([path, path, "--metric", "dice"]) == 2
    assert "known are Dice, MAE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"datasets": {}}', '"protocol" is no text'),
        ('{"protocol": ["image"], "datasets": {}}', '"protocol" is no text'),
        ('{"protocol": "image", "datasets": {"S": 1}}', '"datasets" of S holds no scores'),
        ('{"protocol": "image", "datasets": {"S": {"Dice": "0.5"}}}', "Dice is '0.5', a number or null was expected"),
        ('{"protocol": "image", "datasets": {"S": {"Dice": true}}}', "Dice is 'True', a number"),
        ('{"protocol": "image", "datasets": {"S": {"Dice": Infinity}}}', "Dice is 'inf', a number"),
        ('{"protocol": "image", "datasets": {"S": {"Dice": 1' + "0" * 400 + "}}}", "Dice is '1000"),
        ('{"protocol": "image", "datasets": {}, "options": []}', '"options" holds no names'),
        ('{"protocol": "image", "datasets": {}, "per_image": [1]}', '"per_image" holds no names'),
        ('{"protocol": "image", "datasets": {}, "per_image": {"S": [1]}}', '"per_image" of S holds no images'),
        ('{"protocol": "image", "datasets": {}, "per_image": {"S": {"1": [0]}}}', "of S, 1 holds no scores"),
        ("[" * 100_000, "is no JSON"),
        ("\xff\xfe", "is no JSON"),
    ],
)
def test_score_files_of_another_form_are_refused_in_one_line(tmp_path, capsys, content, said):
    good, bad = _write(tmp_path / "good.json", _run({"1": 0.5})), tmp_path / "bad.json"
    bad.write_bytes(content.encode("latin-1"))
    for pair in ([good, str(bad)], [str(bad), good]):
        assert main(pair) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert main([good, good, "--top", "-1"]) == 2
    assert "--top -1 was given; it must be at least 1" in capsys.readouterr().err
