"""Tests mirror modules: zerosum/a/b.py has tests/a/test_b.py, or is named here with the reason.

The file of a package, zerosum/a/__init__.py, has tests/a/test_a.py where it defines anything.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "zerosum"

WITHOUT_A_TEST = {
    "__main__": "runs cli/main.py; tests/cli/test_main.py and tests/test_streams.py start it",
    "_version": "a number; tests/cli/test_main.py prints it",
    "cli/directions": "flags; tests/inference/test_direction_files.py draws through them",
    "cli/evaluate": "flags; tests/evaluation/test_evaluate.py evaluates through them",
    "cli/invert": "flags; tests/inference/test_inversion_files.py inverts through them",
    "cli/export": "flags; tests/export/test_folder.py exports through them",
    "cli/sample": "flags; tests/cli/test_main.py samples through them",
    "cli/sweep": "flags; tests/sweeps/test_sweep.py sweeps through them",
    "cli/tables": "a table; tests/cli/test_main.py prints it",
    "cli/translate": "flags; tests/inference/test_translate_files.py translates through them",
    "comparison/tables": "text; tests/cli/test_compare.py and tests/comparison/ read it",
    "config/gan": "settings as data; tests/recipes/test_every_setting.py tries each",
    "config/translation": "settings as data; tests/recipes/test_every_setting.py tries each",
    "data/arrays": "names of types",
    "data/cache_entries": "the entries of data/cache.py; test_cache.py lists, removes",
    "data/canvas": "where data/gather.py decodes to; test_gather.py and test_folder.py fill it",
    "data/checked_files": "how data/cache.py writes; test_cache.py damages what is there",
    "data/inventory": "what data/gather.py begins with; tests/data/test_folder.py sorts files",
    "evaluation/encoded": "tests/evaluation/test_stores.py opens every kind of store",
    "evaluation/image_files": "tests/evaluation/test_stores.py opens every kind of store",
    "evaluation/npz_images": "tests/evaluation/test_stores.py opens every kind of store",
    "evaluation/shard_files": "tests/evaluation/test_stores.py opens every kind of store",
    "inference/sampler": "what every sample comes from; tests/inference/test_run.py and others",
    "inference/model": "what runs and exported generators share; test_run.py and test_exported.py",
    "metrics/classifier": "a net; tests/metrics/test_features.py measures its accuracy",
    "plots/tables": "the look of tables; whoever prints one is tested",
    "recipes/translation": "makes two recipes: test_pix2pix.py and test_cyclegan.py beside it",
    "sweeps/trial": "what a sweep trains; tests/sweeps/test_sweep.py feigns and trains it",
    "tasks/tasks": "what a task is; tests/tasks/ tests each of them",
}
WITHOUT_A_MODULE = {
    "attack/bombs": "what strangers pack, against bounds of memory and time",
    "attack/corruption": "every file of a run damaged, and every command",
    "attack/kill": "a training killed, or its disk failing, at every call, and begun again",
    "attack/surroundings": "commands under all users, homes, locales, terminals and disks",
    "attack/fuzz": "every kind of file that is read, made wrong, and requests",
    "attack/state_machine": "runs trained, stopped, killed, damaged and copied, in any order",
    "browser/hostile_pages": "all pages with hostile names, in real browsers",
    "browser/play_pages": "the pages of export/playground.py, in real browsers",
    "cuda": "everything on a GPU",
    "data_tiers": "trainings from the disk and from memory, and how much memory they take",
    "docs": "the documents: their links and command lines",
    "docs_code": "the code in the documents, which is run",
    "docs_site": "tools/docs_site.py and tools/reference.py",
    "evaluation/trained_translations": "evaluating and comparing runs of pairs, trained once",
    "example": "examples/, against the library",
    "first_steps": "examples/first_steps.ipynb",
    "import_graph": "what may import what",
    "metrics/agreement": "all metrics against other packages, where they are installed",
    "metrics/stacked": "the net of metrics/features.py that looks at each channel",
    "metrics/torchmetrics": "distances against torchmetrics",
    "mirror": "this file",
    "nets/every_net": "what all nets have in common",
    "old_runs": "runs of older versions",
    "packaging": "the wheel",
    "recipes/cyclegan": "half of recipes/translation.py",
    "recipes/every_setting": "every setting of every recipe: read, or refused",
    "recipes/pix2pix": "half of recipes/translation.py",
    "recipes/vanilla": "the recipe of recipes/gan.py that must be exact",
    "supply": "what comes with zerosum and what it is built of; tools/lock.py and others",
}


def defines(file: Path) -> bool:
    """Whether a module has a function or a class of its own."""
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef)
        for node in ast.parse(file.read_text()).body
    )


def of_modules() -> set[str]:
    """The name that each module's test has, such as `data/idx`; a package's is `data/data`."""
    names = set()
    for file in PACKAGE.rglob("*.py"):
        path = file.relative_to(PACKAGE)
        if path.name != "__init__.py":
            names.add(path.with_suffix("").as_posix())
        elif path.parent.name and defines(file):
            names.add((path.parent / path.parent.name).as_posix())
    return names


def of_tests() -> set[str]:
    """The same of each file of tests, such as `data/idx`."""
    files = (file.relative_to(TESTS) for file in TESTS.rglob("test_*.py"))
    return {(file.parent / file.stem.removeprefix("test_")).as_posix() for file in files}


@pytest.mark.parametrize(
    ("alone", "reasons"),
    [
        (of_modules() - of_tests(), WITHOUT_A_TEST),
        (of_tests() - of_modules(), WITHOUT_A_MODULE),
    ],
    ids=["modules", "tests"],
)
def test_whatever_stands_alone_is_named_and_nothing_else(alone, reasons):
    assert alone - reasons.keys() == set()
    assert reasons.keys() - alone == set()


@pytest.mark.parametrize("reason", [*WITHOUT_A_TEST.values(), *WITHOUT_A_MODULE.values()])
def test_a_reason_names_tests_that_exist(reason):
    for word in reason.replace(",", " ").replace(";", " ").split():
        if word.startswith("tests/"):
            assert (TESTS.parent / word).exists()
