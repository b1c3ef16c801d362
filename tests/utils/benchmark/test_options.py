"""What the benchmarks can be asked for: every option has an effect, and none is passed over without a word."""

import ast
import inspect
from dataclasses import fields
from importlib import import_module

import pytest
import torch

from measure.io import InputError
from utils.benchmark import predict, video
from utils.benchmark.command import VERBS, main, parse_args


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_looked_at(verb):
    options = VERBS[verb][0]
    code = inspect.getsource(import_module(f"utils.benchmark.{verb}")) + inspect.getsource(options)
    read = {node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)}
    assert {field.name for field in fields(options)} <= read


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train --workers 2", "unknown flag --workers"),
        ("video --workers 2", "unknown flag --workers"),
        ("train --amp bf16 --rows float32", "--amp bf16 was given with --rows, which name their own precision"),
        ("runtimes --calibration_count 8", "--calibration_count 8 was given without --calibration, where it means"),
    ],
)
def test_options_that_would_do_nothing_are_refused(words, message, capsys):
    with pytest.raises(InputError, match=message):
        parse_args(words.split())
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err


class Drawn(Exception):
    """Carries what a benchmark had drawn when it began to measure."""


def drawn(monkeypatch, module, function, *words):
    """The first image that a benchmark takes, as bytes, and the next number that is drawn for weights."""

    def measure(name, images, **_):
        raise Drawn(images[0].numpy().tobytes() if module is video else images[0].read_bytes(), torch.rand(1).item())

    monkeypatch.setattr(module, function, measure)
    monkeypatch.setattr(predict, "PHANTOMS", 1)
    verb, options = parse_args(words)
    with pytest.raises(Drawn) as caught:
        import_module(f"utils.benchmark.{verb}").start(options)
    return caught.value.args


@pytest.mark.parametrize(("module", "function"), [(predict, "measure_model"), (video, "measure_video")])
def test_the_seed_draws_images_and_weights(monkeypatch, module, function):
    words = [module.__name__.rpartition(".")[2], "--device", "cpu", "--size", "64"]
    first, again, other = (drawn(monkeypatch, module, function, *words, "--seed", seed) for seed in ("1", "1", "2"))
    assert first == again and first[0] != other[0] and first[1] != other[1]
