"""What the documents say can be followed: links lead somewhere; commands, flags and names exist."""

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from zerosum.cli.main import app, run
from zerosum.cli.sweep import sweep_app
from zerosum.cli.train import train_app
from zerosum.config.base import SPELLINGS
from zerosum.recipes import RECIPES

ROOT = Path(__file__).parent.parent
FOLDERS = ("*.md", "docs/**/*.md", "examples/*.md", "zerosum/**/*.md")
PAGES = sorted(page for pattern in FOLDERS for page in ROOT.glob(pattern))
OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names what is gone
CODE = re.compile(r"^```sh\n(.*?)^```|(?<!`)`([^`]+)`(?!`)", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
PLACEHOLDERS = {"RECIPE", "配方"}
SPELT = {f"--{name.replace('_', '-')}" for name in SPELLINGS}
RUNS_COMMANDS = ("rm", "prune")
"""Of `zerosum runs`, behind which a folder may stand as well."""
OF_RECIPES = {"train": train_app, "sweep": sweep_app}
OF_OTHERS = {
    *("--no-deps", "--bf16", "--pace", "--rounds", "--repeats", "--logdir", "--project"),
    *("--require-hashes", "--nproc-per-node", "--nnodes", "--max-restarts"),
    *("--rdzv-backend", "--rdzv-endpoint", "--rdzv-id"),
    *("--node-rank", "--master-addr", "--master-port"),
    *("--nodes", "--ntasks-per-node", "--gpus-per-node", "--cpus-per-task"),
    *("--requeue", "--signal", "--open-mode"),
}
"""Flags of pip, tensorboard, trackio, torchrun and SLURM, and of the scripts in benchmarks/."""


def name_of(page):
    return str(page.relative_to(ROOT))


@cache
def code_of(page):
    """The lines of shell blocks, and what stands between backticks."""
    found = []
    for block, span in CODE.findall(page.read_text("utf-8")):
        found += block.replace("\\\n", " ").splitlines() if block else [span.replace("\n", " ")]
    return found


def commands_of(page):
    """The words behind `zerosum` in each command line of a page."""
    for line in code_of(page):
        words = line.partition(" #")[0].split()
        if words[:1] == ["zerosum"] and len(words) > 1:
            yield words[1:]


@cache
def flags_of(*command):
    """The flags of a command, by its own parser; a KeyError if there is no such command."""
    if command[0] in OF_RECIPES:
        parser = OF_RECIPES[command[0]](command[1:])
        for recipe in command[1:]:
            parser = parser[recipe]
    else:
        parser = app
        for word in command:
            parser = parser[word]
    shown = [flag for flag in parser.assemble_argument_collection() if flag.show]
    return {name for flag in shown for name in flag.names}


def known_flags(words):
    """The flags that go with a command line's words."""
    second = words[1] if len(words) > 1 else ""
    if words[0] in OF_RECIPES:
        if re.match(r"[\w/.]+:\w+$", second) or second in PLACEHOLDERS:
            return {*flags_of(words[0]), *SPELT}  # somebody's own recipe has at least these
        if second and not second.startswith("-"):
            return {*flags_of(words[0], second), *SPELT}
        return {*flags_of(words[0]), *SPELT}
    if words[0] == "data" and second:
        return flags_of(*words[:2])
    return flags_of(*words[:2]) if second in RUNS_COMMANDS else flags_of(words[0])


@pytest.fixture
def own_recipes_forgotten():
    known = dict(RECIPES)
    yield
    RECIPES.clear()
    RECIPES.update(known)


@cache
def all_flags():
    """Every flag of every command."""
    commands = [name for name in app if not name.startswith("-") and name not in OF_RECIPES]
    found = [flags_of(name) for name in commands] + [flags_of("train", name) for name in RECIPES]
    found += [flags_of("data", name) for name in app["data"] if not name.startswith("-")]
    found.append(flags_of("sweep"))
    found += [flags_of("runs", name) for name in RUNS_COMMANDS]
    return set().union(*found, SPELT, OF_OTHERS, {"--help"})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"src=\"([^\"]+)\"", text)
    for target in targets:
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {path}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_command_lines_parse(page):
    for words in commands_of(page):
        line = f"{page.name}: zerosum {' '.join(words)}"
        if words[0].startswith("-"):
            assert words[0] in set(app), line
            continue
        try:
            known = known_flags(words)
        except KeyError:
            pytest.fail(f"{line}: there is no such command")
        given = set(FLAG.findall(" ".join(words)))
        assert given <= {*known, "--help"}, f"{line}: {given - known}"


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_settings_of_trainings_go_together(page, monkeypatch, capsys, own_recipes_forgotten):
    monkeypatch.setattr("zerosum.api.train_config", lambda *_, **__: None)
    monkeypatch.setattr("zerosum.api.train_seeds", lambda *_, **__: [])
    monkeypatch.setattr("zerosum.cli.train.compare", lambda *_: None)
    monkeypatch.chdir(ROOT)  # of examples/own_game.py
    for words in commands_of(page):
        needs_files = {
            "--config",
            "--resume",
            "--from",
            "my_module.py:RECIPE",
            *PLACEHOLDERS,
        } & set(words)
        if words[0] == "train" and not needs_files:
            assert run(words) == 0, f"zerosum {' '.join(words)}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_flags_that_are_mentioned_exist(page):
    own = ("benchmarks/", "tests/attack/")  # with flags of their own
    lines = [line for line in code_of(page) if not any(name in line for name in own)]
    mentioned = {flag for line in lines for flag in FLAG.findall(line)}
    assert mentioned <= all_flags(), page.name


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_names_in_python_exist(page):
    for path in re.findall(r"\bzerosum((?:\.[A-Za-z_]\w*)+)", page.read_text("utf-8")):
        found = importlib.import_module("zerosum")
        for name in path.split(".")[1:]:
            if not hasattr(found, name):
                importlib.import_module(f"{found.__name__}.{name}")
            found = getattr(found, name)


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_files_that_are_named_exist(page):
    for path in re.findall(
        r"`((?:zerosum|tests|benchmarks|examples|docs)/[\w/.-]+)`", page.read_text("utf-8")
    ):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_what_is_wrong_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nzerosum train dcgan --n-critic 2 \\\n  --parts 3  # --old\n```\n`zerosum pose a`"
    )
    assert list(commands_of(page)) == [
        ["train", "dcgan", "--n-critic", "2", "--parts", "3"],
        ["pose", "a"],
    ]
    assert "--n-critic" in known_flags(["train", "dcgan"])
    assert "--parts" not in all_flags()  # the old name is understood, but not shown
    for words in (["pose", "a"], ["data", "fetch", "cifar10"]):
        with pytest.raises(KeyError):
            known_flags(words)
