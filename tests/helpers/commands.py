"""Every command of this project, started in this process, and the parser that reads its flags."""

import importlib

from measure.io import CommandParser
from utils.__main__ import VERBS
from utils.benchmark.command import VERBS as BENCHMARKS

# as typed after `python` -> module with `main(argv)`, the words before the flags
COMMANDS = {
    "myTrain.py": ("myTrain", []),
    "myTest.py": ("myTest", []),
    "-m measure": ("measure.__main__", []),
    "-m measure why": ("measure.__main__", ["why"]),
    "-m measure benchmark": ("measure.__main__", ["benchmark"]),
    **{f"-m utils {verb}": ("utils.__main__", [verb]) for verb in VERBS if verb != "benchmark"},
    **{f"-m utils benchmark {verb}": ("utils.__main__", ["benchmark", verb]) for verb in BENCHMARKS},
}


def run(command, *words):
    """Run a command with these flags; returns its exit status."""
    module, verb = COMMANDS[command]
    return importlib.import_module(module).main([*verb, *words])


def parser_of(command, monkeypatch, capsys):
    """The parser that reads a command's flags, caught when it prints its help."""
    caught = []
    print_help = CommandParser.print_help
    with monkeypatch.context() as patch:
        patch.setattr(CommandParser, "print_help", lambda self, *a: (caught.append(self), print_help(self, *a)))
        assert run(command, "--help") == 0
    capsys.readouterr()
    return caught[-1]
