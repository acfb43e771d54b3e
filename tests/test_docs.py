"""What the documents say can be followed: links lead somewhere, commands and flags exist."""

import re
from pathlib import Path

import pytest

from zerosum.cli.main import run
from zerosum.recipes import RECIPES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
COMMAND = re.compile(
    r"\bzerosum ((?:train|sample|evaluate|compare|translate|data|recipes|doctor)\b[^`\n#|]*)"
)
FROM_0_1 = {"CHANGELOG.md"}  # which names flags that are gone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", page.read_text("utf-8")):
        path = next(filter(None, target)).partition("#")[0]
        if path and "://" not in path:
            assert (page.parent / path).exists(), f"{page.name} links to {path}"


def commands(page):
    """The commands of a page, by words, as they stand there."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    return [match[1].split() for match in COMMAND.finditer(text)]


def flags_of(words, capsys, known={}):  # noqa: B006 - remembered from page to page
    """The flags that a command has, by its own help."""
    if words[0] != "train":
        key = (words[0],)
    else:
        named = [words[1]] if len(words) > 1 and words[1] in RECIPES else []
        key = ("train", *named)
    if key not in known:
        assert run([*key, "--help"]) == 0
        known[key] = set(re.findall(r"--[a-z][a-z0-9-]*", capsys.readouterr().out)) | {
            "--lr",
            "--help",
        }
    return known[key]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in FROM_0_1], ids=lambda page: page.name
)
def test_flags_exist(page, capsys):
    for words in commands(page):
        wanted = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
        wanted = {re.match(r"--[a-z0-9-]+", flag)[0].rstrip("-") for flag in wanted}
        missing = wanted - flags_of(words, capsys)
        assert not missing, f"{page.name}: zerosum {' '.join(words)}: {missing}"
