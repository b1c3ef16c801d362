"""The rules of the rooms: imports run one way and name rooms, measure needs no torch, nothing runs at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"lib", "measure", "utils", "myTrain", "myTest", "tests"}
MAY_IMPORT = {"lib": {"lib"}, "measure": {"measure"}, "utils": {"utils", "lib", "measure"}}
REWRITES_LIB = {"utils/benchmark/plain/step.py"}  # writes PSE out plainly, to compare with, from PSE's own parts
MOST_ENTRIES = 15  # of a folder; more have no obvious place. Hidden names, which tools prescribe, do not count

# rooms of a package, bottom up; those of one floor do not know each other, "" are the files beside the rooms
FLOORS = {
    "measure": [["io"], ["metrics"], ["statistics"], [""], ["report"], ["commands"]],
    "utils": [
        ["runtime", "visualization", "phantom"],
        ["data"],
        ["preparation"],
        ["prediction"],
        ["evaluation"],
        ["training"],
        ["reproduction"],
        ["commands", "app"],
        ["benchmark"],
        [""],
    ],
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every absolute import in a file, wherever it stands."""
    return {target.split(".")[0] for target in targets(path) if not target.startswith(".")}


def targets(path: Path) -> list[str]:
    """The modules that a file imports from, relative ones resolved to absolute names."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(node.module)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [".".join([*above, name]) for name in names]
    return found


def room(module: str) -> str | None:
    """`utils.data.pairs` -> `data`; "" for `utils.__main__`; None for a module of another package."""
    package, *rest = module.split(".")
    if package not in FLOORS:
        return None
    rooms = {name for floor in FLOORS[package] for name in floor}
    return rest[0] if rest and rest[0] in rooms else ""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_packages_import_only_what_lies_below_them(package):
    assert modules(package)
    for path in modules(package):
        assert imported(path) & OURS <= MAY_IMPORT[package], path


@pytest.mark.parametrize("package", list(FLOORS))
def test_rooms_import_only_what_lies_below_them(package):
    floor_of = {name: number for number, floor in enumerate(FLOORS[package]) for name in floor}
    for path in modules(package):
        own = room(name_of(path))
        for target in targets(path):
            other = room(target)
            if target.split(".")[0] == package and other != own and not (other == "" and package == "utils"):
                is_door = path == ROOT / package / "__init__.py"  # the package's own door offers what lies above it
                assert is_door or floor_of[other] < floor_of[own], f"{path.relative_to(ROOT)} imports {target}"


def leads_past_the_door(path: Path, target: str) -> bool:
    """Whether a file imports from a file of another room instead of from the room."""
    package, *rest = target.split(".")
    own = path.relative_to(ROOT).parts[0]
    if package not in MAY_IMPORT or (package == own and room(target) in (None, "", room(name_of(path)))):
        return False
    return len(rest) > (1 if room(target) else 0)


def test_other_rooms_import_from_the_room_and_not_from_its_files():
    for path in [*(path for package in MAY_IMPORT for path in modules(package)), *ROOT.glob("my*.py")]:
        past = [target for target in targets(path) if leads_past_the_door(path, target)]
        past = [] if str(path.relative_to(ROOT)) in REWRITES_LIB else past
        assert not past, f"{path.relative_to(ROOT)} imports {', '.join(past)}; import from the room"


def test_every_folder_says_what_it_is_for_and_is_no_heap():
    for package in MAY_IMPORT:
        for door in (ROOT / package).rglob("__init__.py"):
            assert ast.get_docstring(ast.parse(door.read_text())), f"{door} has no docstring"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    entries: dict[Path, set[str]] = {}
    for name in listed:
        path = Path(name)
        for place in path.parents if not name.startswith(".") else ():
            entries.setdefault(place, set()).add(path.relative_to(place).parts[0])
    heaps = {str(place): len(names) for place, names in entries.items() if len(names) > MOST_ENTRIES}
    assert not {place for place in heaps if not place.startswith("tests/data")}, heaps


def test_measure_needs_no_torch():
    for path in modules("measure"):
        assert not imported(path) & {"torch", "torchvision", "timm"}, path


def test_networks_need_only_torch_timm_and_opencv():
    for path in modules("lib"):
        third_party = imported(path) - OURS - set(sys.stdlib_module_names)
        assert third_party <= {"torch", "timm", "cv2"}, path


@pytest.mark.slow
def test_nothing_parses_arguments_or_starts_cuda_at_import():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for package in MAY_IMPORT for path in modules(package)
    ]
    names = [name for name in names if not name.endswith("__main__")]
    assert {name.split(".")[0] for name in names} == {"lib", "measure", "utils"}
    code = "import importlib, sys\nsys.argv = ['x', '--no-such-flag']\n"
    code += f"for name in {names!r}: importlib.import_module(name)\n"
    code += "assert not sys.modules['torch'].cuda.is_initialized()\n"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=600)
