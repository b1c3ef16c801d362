"""Consoles and environments that lack something: every command ends in words, quietly where nobody listens."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import COMMANDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
THIRD_PARTY = ("PIL", "cv2", "matplotlib", "numpy", "scipy", "timm", "torch", "torchvision", "tqdm")
REQUIRED = {
    "-m utils phantom": "--out x --train 1",
    "-m utils split": "--data x --out y train=1",
    "-m utils sunseg": "--sun x --annotations y",
    "-m utils sequences": "--data x --groups y --out z",
    "-m utils montage": "--data x --maps y --out z.png",
    "-m utils export": "--weights x --out y.pth",
    "-m utils repeat": "x",
    "-m utils reproduce": "run sepnet/Kvasir",
    "-m measure why": "x y",
}


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name != "-m utils app"]
)  # which asks for Gradio first
def test_a_missing_package_is_named_with_the_way_out(command, tmp_path):
    module, verb = COMMANDS[command]
    words = [*verb, *REQUIRED.get(command, "").split()]
    code = f"import sys; sys.modules.update(dict.fromkeys({THIRD_PARTY!r})); sys.path.insert(0, {str(ROOT)!r})\n"
    code += f"from {module} import main; sys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.stderr.count("\n") == 1 and done.returncode in (1, 2), done.stderr
    if command != "-m measure why":  # compares files, and needs no package
        assert done.stderr.startswith("error: the package ") and ".venv/bin/python" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("redirection", "status"), [("| true", (0, 141)), (">&-", (0,)), ("2>&-", (0,)), (">&- 2>&- <&-", (0,))]
)
@pytest.mark.parametrize("words", ["-m measure --help", "-m utils", "-m utils split --help", "-m utils benchmark -h"])
def test_help_without_a_listener_is_quiet(words, redirection, status):
    command = f"{sys.executable} {words} {redirection}; echo ${{PIPESTATUS[0]}} >&3"
    done = subprocess.run(
        ["bash", "-c", f"exec 3>&1; {{ {command}; }} 2>&1 | cat >&2"],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert int(done.stdout.split()[-1]) in status
    assert "Traceback" not in done.stderr and "rror" not in done.stderr
