"""Flags are read exactly, and whatever a user can cause ends a command in one line and a status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from measure.io import (
    CommandError,
    CommandParser,
    InputError,
    Switch,
    nonempty,
    number,
    path,
    replace_when_whole,
    run_command,
    switch,
)

ROOT = Path(__file__).parents[3]


def parser(**options):
    made = CommandParser(prog="tool", **options)
    made.add_argument("--epoch", type=number(int, low=1, high=1000), default=3, help="epochs")
    made.add_argument("--lr", type=number(float, low_open=True, high=10), help="learning rate")
    made.add_argument("--ema", type=number(float, high=1, high_open=True), default=0.0, help="decay")
    made.add_argument("--shift", type=number(float, low=-5, high=5), help="pixels")
    made.add_argument("--data_path", help="folder of images")
    made.add_argument("--plots", action=Switch, default=True, help="curves and bars")
    made.add_argument("--multi_scale", action=Switch, spelled=True, help="several sizes")
    made.add_argument("--seed", type=number(int), default=0, help="of the draw")
    made.add_argument("--out", type=path, help="folder")
    made.add_argument("--name", type=nonempty, help="a name (default: the folder's)")
    return made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--epochs", "5"], "unknown flag --epochs: did you mean --epoch?"),
        (["--epochs=5"], "unknown flag --epochs: did you mean --epoch?"),
        (["--multi"], "unknown flag --multi: did you mean --multi_scale?"),
        (["-epoch", "5"], "unknown flag -epoch: did you mean --epoch?"),
        (["--zzz"], "unknown flag --zzz: tool --help lists what there is"),
        (["--epoch", "0"], "--epoch 0 was given; it must be at least 1"),
        (["--epoch", "-3"], "--epoch -3 was given; it must be at least 1"),
        (["--epoch", "1001"], "--epoch 1001 was given; it must be at most 1000"),
        (
            ["--epoch", "9" * 5000],
            "--epoch 9999999999... (5000 characters) was given; it must be a whole number",
        ),
        (["--epoch", "2.5"], "--epoch 2.5 was given; it must be a whole number, at least 1 and at most 1000"),
        (["--epoch", ""], "--epoch nothing was given; it must be a whole number"),
        (["--lr", "0"], "--lr 0 was given; it must be more than 0"),
        (["--lr", "nan"], "--lr nan was given; it must be a number, more than 0 and at most 10"),
        (["--lr", "inf"], "--lr inf was given; it must be at most 10"),
        (["--lr", "-inf"], "--lr -inf was given; it must be more than 0"),
        (["--lr", "-1e-3"], "--lr -1e-3 was given; it must be more than 0"),
        (["--lr", "-5minutes"], "--lr -5minutes was given; it must be a number, more than 0"),
        (["--epoch", "-.5x"], "--epoch -.5x was given; it must be a whole number"),
        (["--epochs", "-5x"], "unknown flag --epochs: did you mean --epoch?"),
        (["--ema", "1"], "--ema 1 was given; it must be less than 1"),
        (["--out", ""], "--out: an empty text was given"),
        (["--name", " "], "--name: an empty text was given"),
        (["--multi_scale", "maybe"], "--multi_scale: 'maybe' is neither true nor false"),
        (["--no-multi_scale", "true"], "--no-multi_scale: it takes no value"),
        (["--epoch"], "--epoch: expected one argument"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence):
    with pytest.raises(InputError) as caught:
        parser().parse_args(words)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_meant_is_read():
    read = parser().parse_args("--epoch 7 --lr 1e-4 --shift -1e-1 --no-plots --multi_scale True --out a".split())
    assert (read.epoch, read.lr, read.shift, read.plots, read.multi_scale, read.out) == (
        7, 1e-4, -0.1, False, True, Path("a"),
    )  # fmt: skip
    assert parser().parse_args(["--name", "-5minutes"]).name == "-5minutes", "whoever reads it says what is wrong"
    for words, value in ([], False), (["--multi_scale"], True), (["--multi_scale", "off"], False):
        assert parser().parse_args(words).multi_scale is value
    assert parser().parse_args(["--multi_scale", "--no-multi_scale"]).multi_scale is False
    assert switch("Yes") is True


def test_flags_of_a_verb_are_read_by_the_verb():
    top = CommandParser(prog="tool")
    verb = top.add_subparsers(dest="verb", required=True).add_parser("run")
    verb.add_argument("--size", type=number(int))
    assert top.parse_args(["run", "--size", "4"]).size == 4
    with pytest.raises(InputError, match="unknown flag --sizes: did you mean --size?"):
        top.parse_args(["run", "--sizes", "4"])


def test_help_keeps_paragraphs_and_tells_defaults_once(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    told = parser(description="One\nparagraph.\n\n    an  example\n\nAnother 100% one.").format_help()
    assert "One paragraph.\n\n    an  example\n\nAnother 100% one.\n" in told
    for text in "of the draw (default: 0)", "epochs (default: 3)", "curves and bars (default: --plots)":
        assert text in told
    assert told.count("default: the folder's") == 1 and "learning rate\n" in told and "(default: None)" not in told
    forms = "--epoch N", "--out PATH", "--name TEXT", "--data_path PATH"
    for form in "--multi_scale [true|false], --no-multi_scale", *forms:
        assert f"  {form} " in told or f"  {form}\n" in told


def stop(error):
    def main():
        raise error

    return main


class OfLib(ValueError):
    pass


class Paused(CommandError):
    status, label = 75, ""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("got a, expected b"), 2, "error: got a, expected b"),
        (InputError("no fit:\n  missing: x\n  unexpected: y"), 2, "error: no fit:\n  missing: x\n  unexpected: y"),
        (CommandError("a process was lost"), 1, "error: a process was lost"),
        (Paused("paused; go on with --resume auto"), 75, "paused; go on with --resume auto"),
        (OfLib("no such network"), 2, "error: no such network"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(3), 3, ""),
    ],
)  # fmt: skip
def test_how_commands_end(capsys, error, status, line):
    assert run_command(stop(error), mistakes=(OfLib,)) == status
    assert capsys.readouterr().err.strip() == line


@pytest.mark.parametrize("look", [Path.resolve, os.stat])
def test_a_path_that_leads_to_itself_is_the_users_mistake(look, tmp_path, capsys):
    (tmp_path / "loop").symlink_to("loop")
    status = run_command(lambda: look(tmp_path / "loop") and 2)  # Python from 3.13 on resolves it to itself
    told = capsys.readouterr().err
    assert status == 2 and (sys.version_info >= (3, 13) or ("loop" in told and told.count("\n") == 1))


def test_a_status_is_passed_on():
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 1) == 1


def test_an_error_of_a_loader_process_is_told_whole_and_without_its_traceback(capsys):
    message = "Caught InputError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
    message += (
        '  File "x.py", line 1, in f\nmeasure.io.errors.InputError: a.png is odd:\n  expected grey\n  got color\n'
    )
    assert run_command(stop(InputError(message))) == 2
    assert capsys.readouterr().err == "error: a.png is odd:\n  expected grey\n  got color\n"


def test_a_missing_package_names_the_environment(capsys):
    def main():
        import no_such_package_at_all  # noqa: F401

    assert run_command(main) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: the package no_such_package_at_all is not installed here; ")
    assert ".venv/bin/python" in told and told.count("\n") == 1


def test_a_fault_of_this_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)
    with pytest.raises(BrokenPipeError):  # of another pipe than stdout
        run_command(stop(BrokenPipeError()))


def test_names_as_long_as_a_file_system_takes_are_written_and_folders_are_not_replaced(tmp_path):
    for name in ("n" * 250 + ".txt", "ы" * 125 + ".txt"):
        with replace_when_whole(tmp_path / name) as partial:
            partial.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is a folder, and a file of this name is to be written"):
        replace_when_whole(tmp_path / "folder").__enter__()


def test_sigterm_removes_what_is_half_written(tmp_path):
    code = (
        "import sys, time; from measure.io import replace_when_whole, run_command\n"
        "def main():\n"
        f" with replace_when_whole({str(tmp_path / 'scores.json')!r}) as partial:\n"
        "  partial.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
        "sys.exit(run_command(main))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n" and list(tmp_path.iterdir())
    process.terminate()
    assert (process.communicate(timeout=30)[1], process.returncode) == (b"terminated\n", 143)
    assert not list(tmp_path.iterdir())


def shell(code, redirection, **environment):
    command = f"{sys.executable} -c 'from measure.io import run_command; import sys; {code}' {redirection}"
    return subprocess.run(
        ["bash", "-c", f"{command}; echo status ${{PIPESTATUS[0]}} >&2"],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | environment, timeout=60,
    )  # fmt: skip


MANY = "sys.exit(run_command(lambda: [print(i) for i in range(100000)] and 0))"
FEW = "sys.exit(run_command(lambda: print(1)))"
HELP = 'from measure.io import CommandParser; sys.exit(run_command(lambda: CommandParser().parse_args(["-h"])))'


@pytest.mark.parametrize(
    ("code", "redirection", "told"),
    [
        (MANY, "| head -n 1", "status 141\n"),
        (FEW, "| true", None),
        (HELP, "| true", None),
        (FEW, ">&-", "status 0\n"),
        (MANY, ">&- 2>&-", "status 0\n"),
        ('sys.exit(run_command(lambda: print("x" * 9, file=sys.stderr)))', "2>&-", "status 0\n"),
        (FEW, "> /dev/full", "error: No space left on device\nstatus 1\n"),
    ],
)
def test_streams_that_are_closed_or_full(code, redirection, told):
    assert shell(code, redirection).stderr in ([told] if told else ["status 0\n", "status 141\n"])


def test_what_the_console_cannot_show_is_replaced():
    done = shell('sys.exit(run_command(lambda: print(chr(0x2013), chr(0xDCFF), "end")))', "", PYTHONIOENCODING="ascii")
    assert (done.stdout, done.stderr) == ("? ? end\n", "status 0\n")
