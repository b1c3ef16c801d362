"""What all command lines share: how flags are read, and how a command ends.

    def main(argv=None):
        return run_command(lambda: work(parse_args(argv)))

A mistake becomes one line on stderr and status 2. Only the standard library is imported, so that `--help` is quick and
a missing package can be named.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import math
import os
import re
import select
import shlex
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .errors import CommandError, InputError

__all__ = [
    "CommandParser",
    "Number",
    "Switch",
    "nonempty",
    "number",
    "path",
    "run_command",
    "sentence_of",
    "split_words",
    "switch",
]

LONGEST_NUMBER = 40  # characters; no flag needs more, and Python takes long over thousands
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143  # as a shell reports ends by SIGINT, SIGPIPE and SIGTERM


class HelpFormatter(argparse.HelpFormatter):
    """Wraps the paragraphs of a description, leaves its indented lines alone, and names each default once."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = re.split(r"\n\s*\n", textwrap.dedent(text).strip("\n"))
        return "\n\n".join(self._fill_paragraph(paragraph, width, indent) for paragraph in paragraphs)

    def _fill_paragraph(self, paragraph: str, width: int, indent: str) -> str:
        """Wrap the flush lines of a paragraph together; lines that are indented stay as they are."""
        parts: list[list[str]] = []
        for line in paragraph.splitlines():
            kept = line.startswith((" ", "\t"))
            if parts and not kept and not parts[-1][0].startswith((" ", "\t")):
                parts[-1].append(line)
            else:
                parts.append([line])
        wrap = super()._fill_text
        return "\n".join(
            indent + part[0] if part[0].startswith((" ", "\t")) else wrap(" ".join(part), width, indent)
            for part in parts
        )

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        is_none = default is None or default is False or default in ("", argparse.SUPPRESS) or default == []
        if is_none or "default:" in (action.help or "") or action.required or not action.option_strings:
            return action.help
        if isinstance(default, (list, tuple)):
            words = " ".join(map(str, default))
        else:
            words = action.option_strings[0] if default is True else str(default)
        return f"{action.help} (default: {words.replace('%', '%%')})"

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        if isinstance(action.type, Number):
            return "N"
        is_path = action.type is path or action.dest.endswith("_path")
        return "PATH" if is_path else "TEXT"

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, Switch) and action.nargs:
            return ", ".join([f"{action.option_strings[0]} [true|false]", *action.option_strings[1:]])
        return super()._format_action_invocation(action)


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations, whose mistakes are one sentence each.

    Raises:
        InputError: an unknown flag (the nearest known one is named), a wrong or a missing value.
    """

    def __init__(self, **options: Any) -> None:
        options = {"formatter_class": HelpFormatter, "allow_abbrev": False} | options
        super().__init__(**options)
        # argparse takes -5 and -0.5 for values; so are -1e-3, -inf and -5minutes, and whoever reads them says what is
        # wrong: no flag begins with a digit
        self._negative_number_matcher = re.compile(r"^-(\.?\d.*|inf|infinity|nan)$", re.I)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        self._refuse_unknown_flags(words)
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S+): (?=.+ was given; it must)", r"\1 ", message)  # what `Number` refused
        message = re.sub(r"^argument (\S+?)(/\S+)*: ", r"\1: ", message)
        raise InputError(f"{message}; see {self.prog} --help")

    def _refuse_unknown_flags(self, words: Sequence[str]) -> None:
        if any(isinstance(action, argparse._SubParsersAction) for action in self._actions):
            return  # the flags after a verb are those of the verb's own parser, which looks at them
        for word in words:
            if word == "--":
                return
            flag = word.partition("=")[0]
            is_value = len(word) < 2 or word[0] != "-" or " " in flag or self._negative_number_matcher.match(word)
            if not is_value and flag not in self._option_string_actions:
                raise InputError(self._unknown(flag))

    def _unknown(self, flag: str) -> str:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        spelled = "--" + flag.lstrip("-")
        begun = [name for name in known if name.startswith(spelled)][:1]
        near = begun or difflib.get_close_matches(spelled, known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists what there is"
        return f"unknown flag {flag}: {advice}"


class Switch(argparse.Action):
    """`--flag` and `--no-flag`; with `spelled`, for the released scripts' switches, `--flag True` and `False` too.

    parser.add_argument("--plots", action=Switch, default=True, help="curves and bars")
    """

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        *,
        default: bool | None = False,
        spelled: bool = False,
        required: bool = False,
        help: str | None = None,
    ) -> None:
        names = [*option_strings, *(f"--no-{name[2:]}" for name in option_strings if name.startswith("--"))]
        form = {"nargs": "?", "type": switch} if spelled else {"nargs": 0}
        super().__init__(names, dest, default=default, required=required, help=help, **form)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        off = (option_string or "").startswith("--no-")
        if off and isinstance(values, bool):
            parser.error(f"argument {option_string}: it takes no value")
        setattr(namespace, self.dest, not off if values in (None, []) else values)

    def format_usage(self) -> str:
        return " | ".join(self.option_strings)


def switch(text: str) -> bool:
    """Read a released switch: true or false, in the spellings people use."""
    values = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def nonempty(word: str) -> str:
    """Read a name, a pattern or a path given as text."""
    if not word.strip() or "\0" in word:
        raise argparse.ArgumentTypeError("an empty text was given; give it a value, or leave the flag out")
    return word


def split_words(text: str, *, where: str) -> list[str]:
    """The words of a piece of a command line, as a shell takes them apart.

    Raises:
        InputError: a quotation mark without its counterpart; `where` says where the text stands.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{where} has a quotation mark without its counterpart; close it") from error


def path(word: str) -> Path:
    """Read a path; an empty one would mean the folder that the command was started in."""
    return Path(nonempty(word))


@dataclass(frozen=True)
class Number:
    """The type of a numeric flag: called with a word, it returns the number or says what is wrong with it.

    Attributes:
        kind: int or float.
        low: the least value.
        high: the greatest value.
        low_open: whether the value must be more than `low`.
        high_open: whether it must be less than `high`.
    """

    kind: type
    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def __call__(self, word: str) -> int | float:
        if len(word) > LONGEST_NUMBER:
            word, value = f"{word[:10]}... ({len(word)} characters)", math.nan
        else:
            value = self._read(word)
        if problem := self.problem(value):
            raise argparse.ArgumentTypeError(f"{word.strip() or 'nothing'} was given; it must be {problem}")
        return value

    def _read(self, word: str) -> float:
        try:
            return self.kind(word)
        except ValueError:
            return math.nan

    def problem(self, value: float) -> str | None:
        """What a value must be and is not; None where it is within the bounds."""
        # only NaN differs from itself; math.isnan fails on whole numbers that no float can hold
        if not isinstance(value, (int, float)) or value != value or (self.kind is int and value != int(value)):
            return f"a {'whole ' * (self.kind is int)}number, {self._lowest} and {self._highest}"
        if value < self.low or (self.low_open and value == self.low):
            return self._lowest
        if value > self.high or (self.high_open and value == self.high):
            return self._highest
        return None

    @property
    def _lowest(self) -> str:
        return f"{'more than' if self.low_open else 'at least'} {self.low:g}"

    @property
    def _highest(self) -> str:
        return f"{'less than' if self.high_open else 'at most'} {self.high:.12g}"


def number(
    kind: type, *, low: float = 0, high: float = 1e9, low_open: bool = False, high_open: bool = False
) -> Callable[[str], Any]:
    """Return the argparse type of a number between bounds; NaN, infinity and words of many digits are refused.

    Args:
        kind: int or float.
        low: the least value. low_open: it must be more than that.
        high: the greatest value. high_open: it must be less than that.
    """
    return Number(kind, low, high, low_open, high_open)


def run_command(
    main: Callable[[], int | None],
    *,
    mistakes: tuple[type[Exception], ...] = (),
    report: Callable[[str, BaseException], None] | None = None,
    interrupted: str = "interrupted",
) -> int:
    """Call `main` and return the exit status; what users can cause ends in a message on stderr, not in a traceback.

    Args:
        main: parses the command line and does the work; it may return a status, None for 0.
        mistakes: further exceptions that are the user's mistakes, status 2.
        report: takes the message and the exception behind it; prints the message to stderr by default.
        interrupted: the message after Ctrl-C.
    """
    prepare_streams()
    report = report or print_message
    try:
        with sigterm_raises():
            return _status(main, mistakes, report, interrupted)
    except BrokenPipeError:  # `| head` has read enough
        if not _drop_dead_streams():
            raise
        return READER_GONE


def _status(
    main: Callable[[], int | None], mistakes: tuple[type[Exception], ...], report: Any, interrupted: str
) -> int:
    try:
        status = main() or 0
        sys.stdout.flush()  # while a failure can still be reported
        return status
    except Terminated as end:
        report("terminated", end)
        return TERMINATED
    except SystemExit as end:  # --help, or a library's own
        sys.stdout.flush()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except CommandError as error:
        report(": ".join(filter(None, (error.label, sentence_of(error)))), error)
        return error.status
    except mistakes as error:
        report(f"error: {sentence_of(error)}", error)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "lib", "measure", "utils"):
            raise  # a fault of this code
        report(f"error: the package {error.name} is not installed here; {environment_advice()}", error)
        return 1
    except OSError as error:  # the system refuses: no space, no permission; connections have their own story
        if isinstance(error, ConnectionError) or not error.strerror:
            raise
        report(f"error: {error.strerror}{f': {error.filename}' if error.filename else ''}", error)
        return 2 if error.errno == errno.ELOOP else 1
    except RuntimeError as error:  # what Python before 3.13 makes of a link that leads to itself
        if not str(error).startswith("Symlink loop"):
            raise
        report(f"error: {error}, a link that leads to itself; give another path", error)
        return 2
    except KeyboardInterrupt as error:
        report(interrupted, error)
        return INTERRUPTED


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM; temporary files are removed on the way out."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in the block, unless somebody else takes it."""
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_terminated(number: int, frame: Any) -> NoReturn:
    raise Terminated(TERMINATED)


def print_message(message: str, error: BaseException) -> None:
    print(message, file=sys.stderr)


def environment_advice() -> str:
    """What to do where a package is missing: the environment that `make` creates, if it is there."""
    root = Path(__file__).resolve().parents[2]
    made = "activate the environment" if (root / ".venv").is_dir() else "make the environment (make test), activate it"
    return f"{made} (. .venv/bin/activate), or start the command with .venv/bin/python"


def sentence_of(error: BaseException) -> str:
    """The message of an exception, all its lines; where another process raised it, without that process's traceback.

    PyTorch's loaders raise an exception of the same type here, whose message is the whole traceback there.
    """
    name = f"{type(error).__module__}.{type(error).__qualname__}: "
    message = str(error)
    _, found, sentence = message.rpartition(f"\n{name}")
    return (sentence if found and "Traceback (most recent call last)" in message else message).strip()


def prepare_streams() -> None:
    """Make stdout and stderr writable: closed ones go nowhere, and what the encoding lacks is replaced."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, so that no data file does
            setattr(sys, name, open(os.devnull, "r" if descriptor == 0 else "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _drop_dead_streams() -> bool:
    """Send the streams nobody reads any more to nowhere; return whether there were any."""
    dead = [stream for stream in (sys.stdout, sys.stderr) if _is_dead(stream)]
    for stream in dead:
        _drop(stream)
    return bool(dead)


def _is_dead(stream: Any) -> bool:
    """Whether a stream is a pipe without a reader; asking the system, since a flush fails only with something left."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLERR)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError):  # Windows has no poll; a stream without a descriptor is no pipe
        return False


def _drop(stream: Any) -> None:
    """Let Python's own flush at the end find a place to write to."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
