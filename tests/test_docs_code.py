"""Every block of code in docs/ is run, or is an excerpt of the source, or says why it is neither.

A comment in the line before a block decides:

- `<!-- not run: REASON -->`: it is not run. Command lines are parsed all the same (test_docs.py).
- `<!-- from: FILE -->`: an excerpt, whose lines stand so in that file, one after another.
- without one it is run. Lines of `sh` begin with `zerosum`, and are run in this process with tiny
  budgets and nets; blocks of `python` share one namespace a page. All blocks of a page run in their
  order, in one folder that holds `photos/`, `pairs/`, `unpaired/` and `sketch.png`.

The Chinese pages have the blocks of the English ones, which are run once.
"""

import re
import shlex
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.cli.main import run
from zerosum.recipes import RECIPES

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"((?:^<!--[^\n]*-->\n)?)^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (not run|from): (.+) -->\n")
LANGUAGES = {"sh", "python", "js", "yaml"}  # the last two of which are never run
TINY = {"--images": "40", "--batch-size": "8", "--device": "cpu"}
BUDGETS = ("--epochs", "--images", "--width", "--batch-size", "--grad-accumulation", "--hold-out")


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and what is said of it, "" where it is run."""

    language: str
    text: str
    mark: str
    said: str


def blocks_of(page):
    """The blocks of code in a page."""
    found = []
    for before, _, language, text in BLOCK.findall(page.read_text("utf-8")):
        marked = MARK.fullmatch(before)
        mark, said = marked.groups() if marked else ("", "")
        found.append(Block(language, textwrap.dedent(text), mark, said))
    return found


def name_of(page):
    return str(page.relative_to(ROOT / "docs"))


CHINESE = [page for page in PAGES if "zh" in page.relative_to(ROOT / "docs").parts]
RUN = [
    page
    for page in PAGES
    if page not in CHINESE and any(not block.mark for block in blocks_of(page))
]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_have_a_language_that_is_run(page):
    fences = re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.MULTILINE)
    opened = fences[::2]
    assert fences[1::2] == [""] * len(opened), "a block is not closed"
    assert {language for language in opened if language} <= LANGUAGES
    assert len(blocks_of(page)) == sum(1 for language in opened if language)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_excerpts_stand_in_the_source(page):
    for block in blocks_of(page):
        if block.mark == "from":
            source = (ROOT / block.said).read_text("utf-8")
            assert stands_in(source, block.text), f"not in {block.said}:\n{block.text}"


@pytest.mark.parametrize("page", CHINESE, ids=name_of)
def test_chinese_pages_have_the_code_and_pictures_of_the_english_ones(page):
    english = ROOT / "docs" / page.relative_to(ROOT / "docs" / "zh")
    assert blocks_of(page) == blocks_of(english)
    pictures = [re.findall(r"src=\"[./]*(\S+)\"", p.read_text("utf-8")) for p in (page, english)]
    assert pictures[0] == pictures[1]
    numbers = [re.findall(r"\d+\.\d+", prose_of(p)) for p in (page, english)]
    assert sorted(numbers[0]) == sorted(numbers[1])


def prose_of(page):
    """A page without its code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def stands_in(source, excerpt):
    """Whether lines stand in a source one after another, at whatever depth they are."""
    lines, wanted = source.splitlines(), excerpt.splitlines()
    for start in range(len(lines) - len(wanted) + 1):
        part = "\n".join(lines[start : start + len(wanted)])
        if textwrap.dedent(part) == "\n".join(wanted):
            return True
    return False


def tiny(words):
    """A command line with a budget and nets that take no time."""
    if words[0] == "evaluate":
        return [*without(words, "--count", "-n"), "-n", "60"]
    if words[0] == "sample" and "-n" in words:
        return [*without(words, "-n"), "-n", "4"]
    if words[0] != "train":
        return words
    given = dict(TINY)
    recipe = words[1] if len(words) > 1 and not words[1].startswith("-") else "vanilla"
    if recipe in RECIPES:
        nets = RECIPES[recipe].settings.get("nets")
        if nets != "mlp" and not {"ring", "grid"} & set(words):
            given["--width"] = "4"
    if "--grad-accumulation" in words:
        given["--grad-accumulation"] = "2"
    if "--patience" not in words:
        given["--evaluate-every"] = "0"
    return [*without(words, *BUDGETS), *(word for pair in given.items() for word in pair)]


def without(words, *flags):
    """Words without some flags and the one value behind each."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in flags:
            skip = True
        else:
            kept.append(word)
    return kept


def expanded(word):
    """A word of a command line as a shell expands it: the files that a pattern is met by."""
    found = sorted(map(str, Path().glob(word))) if "*" in word else []
    return found or [word]


@pytest.fixture
def folder(tmp_path, monkeypatch, write_images):
    """Where a page's code runs."""
    for kind in ("cat", "dog"):
        write_images(tmp_path / "photos" / kind, 20, size=(64, 64))
    for domain in "AB":
        write_images(tmp_path / "pairs" / domain, 6, size=(32, 32))
        write_images(tmp_path / "unpaired" / f"train{domain}", 6, size=(32, 32))
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(tmp_path / "sketch.png")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    known = dict(RECIPES)
    yield tmp_path
    RECIPES.clear()  # of recipes of one's own that a page has named
    RECIPES.update(known)


@pytest.fixture
def tiny_trainings(monkeypatch):
    """Let `zerosum.train` and `zerosum.evaluate` in a page's Python take no time either."""
    train, evaluate = zerosum.train, zerosum.evaluate

    def train_tiny(*args, **named):
        named = {k: v for k, v in named.items() if k not in ("epochs", "width")}
        small = {"images": 40, "batch_size": 8, "device": "cpu", "evaluate_every": 0}
        return train(*args, **{**named, **small, "quiet": True})

    monkeypatch.setattr("zerosum.api.train", train_tiny)
    monkeypatch.setattr("zerosum.api.evaluate", lambda *a, **k: evaluate(*a, **{"count": 60, **k}))


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_code_runs(page, folder, tiny_trainings, capsys):
    names = {}
    for block in blocks_of(page):
        if block.mark:
            continue
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            command, *words = shlex.split(line, comments=True) or [""]
            if not command:
                continue
            assert command == "zerosum", f"{line}: say why it is not run"
            words = [file for word in words for file in expanded(word)]
            code = run(tiny(words))
            assert code == 0, f"{line}, as {tiny(words)}: {capsys.readouterr().err}"


def test_what_is_wrong_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: why -->\n```sh\na\n```\n\n```python\nb\n```\n")
    first, second = blocks_of(page)
    assert (first.mark, first.said, second.mark) == ("not run", "why", "")
    assert stands_in("def f():\n    a = 1\n    b = 2\n", "a = 1\nb = 2\n")
    assert not stands_in("def f():\n    a = 1\n    c = 3\n    b = 2\n", "a = 1\nb = 2\n")
    assert tiny(["train", "dcgan", "--epochs", "9"])[:4] == ["train", "dcgan", "--images", "40"]
