"""Imports run one way: scripts -> utils -> {lib, measure}; measure needs no torch; nothing happens at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"lib", "measure", "utils", "myTrain", "myTest", "tests"}
MAY_IMPORT = {"lib": {"lib"}, "measure": {"measure"}, "utils": {"utils", "lib", "measure"}}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every absolute import in a file, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_packages_import_only_what_lies_below_them(package):
    assert modules(package)
    for path in modules(package):
        assert imported(path) & OURS <= MAY_IMPORT[package], path


def test_measure_needs_no_torch():
    for path in modules("measure"):
        assert not imported(path) & {"torch", "torchvision", "timm"}, path


def test_networks_need_only_torch_torchvision_and_timm():
    for path in modules("lib"):
        third_party = imported(path) - OURS - set(sys.stdlib_module_names)
        assert third_party <= {"torch", "torchvision", "timm"}, path


@pytest.mark.parametrize("package", ["lib", "measure", "utils"])
def test_nothing_parses_arguments_or_starts_cuda_at_import(package):
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules(package)]
    names = [name for name in names if not name.endswith("__main__")]
    code = "import importlib, sys\nsys.argv = ['x', '--no-such-flag']\n"
    code += f"for name in {names!r}: importlib.import_module(name)\n"
    code += "assert 'torch' not in sys.modules or not sys.modules['torch'].cuda.is_initialized()\n"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
