"""`python -m utils`: what it lists, what it runs, and that help comes without PyTorch."""

import subprocess
import sys
from pathlib import Path

import pytest

from utils.__main__ import VERBS, main

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_verbs_are_listed_a_line_each(words, capsys):
    assert main(words) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines() if line.startswith("  ")] == list(VERBS)
    assert max(map(len, told.splitlines())) <= 100


def test_an_unknown_verb_is_answered_with_the_nearest(capsys):
    assert main(["spilt", "--data", "x"]) == 2
    assert capsys.readouterr().err == "error: unknown verb spilt: did you mean split?\n"
    assert main(["zzz"]) == 2
    assert capsys.readouterr().err == "error: unknown verb zzz: python -m utils lists what there is\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    assert main([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: python -m utils {verb} ") and "  -h, --help" in told


def test_help_does_not_wait_for_pytorch():
    """Of one verb after the other in a process of its own, which ends at the first that imports PyTorch."""
    code = (
        "import sys; from utils.__main__ import main\n"
        f"for verb in {list(VERBS)!r}: assert main([verb, '--help']) == 0 and 'torch' not in sys.modules, verb"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
