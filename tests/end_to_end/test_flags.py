"""Every flag of every command: no abbreviations, numbers within bounds, no empty texts, before anything is read."""

import argparse

import pytest

from measure.io import InputError
from measure.io.command_line import Number
from tests.helpers.commands import COMMANDS, parser_of, run

BAD_NUMBERS = ("-1e-9", "-7", "nan", "inf", "-inf", "1e300", "9" * 20, "9" * 5000, "", "x", "0x10")


def flags_of(parser):
    return [a for a in parser._actions if a.option_strings and not isinstance(a, argparse._HelpAction)]


def values(action, word):
    return [word] * (action.nargs if isinstance(action.nargs, int) else 1)


def one_line(capsys):
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and told.err.startswith("error: "), told.err
    return told.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_read_strictly(command, monkeypatch, capsys):
    parser = parser_of(command, monkeypatch, capsys)
    assert not parser.allow_abbrev
    for action in parser._actions:
        assert action.type not in (int, float), f"{action.dest} has no bounds"


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_out_of_bounds_are_refused_before_anything_is_read(command, monkeypatch, capsys, tmp_path):
    parser = parser_of(command, monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)
    for action in flags_of(parser):
        if isinstance(action.type, Number):
            flag, bounds = action.option_strings[0], action.type
            words = [*BAD_NUMBERS, str(bounds.low - 1), f"{bounds.high + 1:.0f}"]
            words = [word for word in words if not fits(bounds, word)]
            assert {"nan", "inf", "9" * 20} <= set(words), f"{flag} has no bounds"
            for word in words:
                with pytest.raises(InputError, match=f"^{flag} "):
                    parser.parse_args([flag, *values(action, word)])
            assert run(command, flag, *values(action, words[0])) == 2, flag
            assert f"{flag} " in one_line(capsys), flag
    assert not list(tmp_path.iterdir())


def fits(bounds, word):
    try:
        bounds(word)
    except argparse.ArgumentTypeError:
        return False
    return True


@pytest.mark.parametrize("command", COMMANDS)
def test_empty_texts_and_unknown_flags_are_refused(command, monkeypatch, capsys, tmp_path):
    parser = parser_of(command, monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)
    known = {name for action in parser._actions for name in action.option_strings}
    for action in flags_of(parser):
        flag = action.option_strings[0]
        if action.nargs != 0 and not isinstance(action.type, Number):
            assert run(command, flag, *values(action, "")) == 2, flag
            assert flag in one_line(capsys)
        if flag[:-1] not in known:
            assert run(command, flag[:-1], "1") == 2
            assert f"unknown flag {flag[:-1]}: " in one_line(capsys)
    assert not list(tmp_path.iterdir())
