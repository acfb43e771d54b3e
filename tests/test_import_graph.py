"""Dependencies point one way; this holds it (docs: the design's layout)."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import zerosum

PACKAGE = Path(zerosum.__file__).parent
FLOORS = (
    *(
        "__main__",
        "cli",
        "sweeps",
        "__init__",
        "api",
        "experiment",
        "bench",
        "preparation",
        "comparison",
    ),
    "report",
    *("export", "evaluation", "tasks", "callbacks", "inference", "plots", "pages", "recipes"),
    *("training", "metrics", "game", "nets", "data", "config", "hardware", "files", "streams"),
    "reading",
    *("seeds", "errors", "_version"),
)
"""Everything right under the package, from the roof down. A room may import what is below it."""


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


class Imports(ast.NodeVisitor):
    """Every import of a module, in functions too; but not those that only type checkers run, and
    not those of a package's `__getattr__`, which hands names on and needs none of them itself."""

    def __init__(self, module):
        self.package = module if MODULES[module].stem == "__init__" else module.rpartition(".")[0]
        self.found = set()

    def visit_Import(self, node):
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            self.found.add(inner if inner in MODULES else node.module)

    def visit_If(self, node):
        typing_only = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in node.orelse if typing_only else [*node.body, *node.orelse]:
            self.visit(child)

    def visit_FunctionDef(self, node):
        if node.name != "__getattr__":
            self.generic_visit(node)


@cache
def imports(module):
    visitor = Imports(module)
    visitor.visit(ast.parse(MODULES[module].read_text("utf-8")))
    return frozenset(visitor.found)


def own_imports(module):
    return {name for name in imports(module) if name.split(".")[0] == "zerosum"}


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def modules_of(*packages):
    found = [module for module in MODULES if within(module, packages)]
    assert found, packages
    return sorted(found)


def reachable(module):
    """What is imported in the end, if all of it runs."""
    seen, waiting = set(), [module]
    while waiting:
        for name in own_imports(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


def room(module):
    """The folder or file right under the package that a module belongs to."""
    return module.removeprefix("zerosum").removeprefix(".").partition(".")[0] or "__init__"


def test_every_room_has_its_floor():
    assert {room(module) for module in MODULES} == set(FLOORS), "name each folder in FLOORS, once"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module):
    """From a room to those below it: so no folders import one another in a circle either."""
    height = FLOORS.index(room(module))
    wrong = {
        name
        for name in own_imports(module)
        if room(name) != room(module) and FLOORS.index(room(name)) < height
    }
    assert not wrong, f"{module} imports {wrong}, which stands above it"


def test_the_loop_ends_up_with_no_recipe_net_loss_or_data_set():
    strangers = {"recipes", "nets", "data", "plots", "callbacks", "inference", "experiment"}
    for module in modules_of("zerosum.training.loop", "zerosum.training.round"):
        met = {name for name in reachable(module) if room(name) in strangers}
        assert not met, f"{module} reaches {met}"
    # The walk does find its way: the one place where the parts meet reaches all of them.
    everything = {
        "zerosum.training.loop",
        "zerosum.game.losses",
        "zerosum.nets.mlp",
        "zerosum.tasks.translation",
        "zerosum.game.cycle",
        "zerosum.data.images",
    }
    assert everything <= reachable("zerosum.api")


def test_only_the_commands_know_the_command_line():
    importers = {module for module in MODULES if "zerosum.cli.main" in own_imports(module)}
    assert importers == {"zerosum.__main__"}


def test_there_are_no_cycles():
    for module in MODULES:
        assert module not in reachable(module), f"{module} imports itself in the end"


def test_nobody_imports_torchvision():
    for module in MODULES:
        assert not {name for name in imports(module) if name.split(".")[0] == "torchvision"}


def test_nobody_imports_pyplot():
    """It would choose a backend, and may open windows."""
    for module in MODULES:
        assert not {name for name in imports(module) if within(name, ["matplotlib.pyplot"])}


def test_what_draws_and_what_counts_is_imported_where_it_is_used():
    """Even by the modules that torch does come with."""
    drawing = ("zerosum.experiment", "zerosum.comparison.page", "zerosum.metrics.paired")
    code = (
        f"import sys, {', '.join(drawing)}; "
        "sys.exit(bool({'matplotlib', 'scipy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_module_that_is_imported_exists():
    for module in MODULES:
        assert own_imports(module) <= MODULES.keys(), module


@pytest.mark.parametrize(
    "module",
    [
        "zerosum",
        "zerosum.config.base",
        "zerosum.game.schedules",
        "zerosum.config.specs",
        "zerosum.game.packing",
        "zerosum.recipes",
        "zerosum.data",
        "zerosum.cli.main",
    ],
)
def test_these_do_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
