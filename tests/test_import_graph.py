"""Dependencies point one way; this holds it (docs: the design's layout)."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import zerosum

PACKAGE = Path(zerosum.__file__).parent
ALWAYS = ("zerosum.memory", "zerosum.errors", "zerosum.seeds", "zerosum.arrays", "zerosum._version")


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


@pytest.mark.parametrize(
    ("modules", "may_import"),
    [
        (["zerosum.errors", "zerosum.seeds", "zerosum.arrays", "zerosum.memory"], []),
        (["zerosum.nets"], ["zerosum.nets"]),
        (["zerosum.data"], ["zerosum.data"]),
        (["zerosum.metrics"], ["zerosum.metrics", "zerosum.data"]),
        (["zerosum.game"], []),
        (["zerosum.losses"], ["zerosum.game"]),
        (["zerosum.penalties"], ["zerosum.game", "zerosum.names"]),
        (["zerosum.names", "zerosum.schedules"], []),
        (["zerosum.policies", "zerosum.packing"], []),
        (["zerosum.augment"], ["zerosum.policies"]),
        (["zerosum.config"], []),
        (
            ["zerosum.recipes"],
            [
                *("zerosum.recipes", "zerosum.config", "zerosum.game", "zerosum.deals"),
                *("zerosum.losses", "zerosum.penalties", "zerosum.schedules", "zerosum.nets"),
                *("zerosum.augment", "zerosum.policies", "zerosum.names"),
            ],
        ),
        (
            ["zerosum.deals"],
            [
                *("zerosum.deals", "zerosum.game", "zerosum.losses", "zerosum.augment"),
                "zerosum.packing",
            ],
        ),
        (["zerosum.training"], ["zerosum.training", "zerosum.game", "zerosum.config"]),
        (
            ["zerosum.tasks"],
            [
                *("zerosum.tasks", "zerosum.config", "zerosum.data", "zerosum.metrics"),
                *("zerosum.reporting", "zerosum.training", "zerosum.checkup"),
                "zerosum.recipes.translators",
            ],
        ),
    ],
    ids=lambda value: value[0].removeprefix("zerosum.") if value else "nothing",
)
def test_a_part_knows_only_what_it_is_made_of(modules, may_import):
    for module in modules_of(*modules):
        surplus = {n for n in own_imports(module) if not within(n, (*ALWAYS, *may_import))}
        assert not surplus, f"{module} imports {surplus}"


def test_the_loop_ends_up_with_no_recipe_net_loss_metric_or_data_set():
    strangers = (
        "recipes",
        "tasks",
        "deals",
        "nets",
        "losses",
        "penalties",
        "metrics",
        "data",
        "reporting",
        "api",
        "session",
        "run",
        "cli",
    )
    for module in modules_of("zerosum.training"):
        met = {n for n in reachable(module) if within(n, [f"zerosum.{name}" for name in strangers])}
        assert not met, f"{module} reaches {met}"
    # The walk does find its way: the one place where the parts meet reaches all of them.
    everything = {
        "zerosum.training.loop",
        "zerosum.losses",
        "zerosum.nets.mlp",
        "zerosum.tasks.translation",
        "zerosum.deals.cycle",
        "zerosum.data.images",
    }
    assert everything <= reachable("zerosum.api")


def test_only_the_commands_know_the_command_line():
    importers = {module for module in MODULES if "zerosum.cli" in own_imports(module)}
    assert importers == {"zerosum.__main__"}


def test_there_are_no_cycles():
    for module in MODULES:
        assert module not in reachable(module), f"{module} imports itself in the end"


def test_nobody_imports_torchvision():
    for module in MODULES:
        assert not {name for name in imports(module) if name.split(".")[0] == "torchvision"}


def test_every_module_that_is_imported_exists():
    for module in MODULES:
        assert own_imports(module) <= MODULES.keys(), module


@pytest.mark.parametrize(
    "module",
    [
        "zerosum",
        "zerosum.config",
        "zerosum.names",
        "zerosum.schedules",
        "zerosum.policies",
        "zerosum.packing",
        "zerosum.recipes",
        "zerosum.data",
        "zerosum.cli",
    ],
)
def test_these_do_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
