"""The docs site: all pages are in it and in its navigation, and none of its links leaves it."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))


def load(tool):
    spec = importlib.util.spec_from_file_location(tool, ROOT / "tools" / f"{tool}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site():
    return load("docs_site")


def test_the_reference_is_that_of_todays_code():
    for name, text in load("reference").pages().items():
        now = (ROOT / "docs" / "reference" / name).read_text("utf-8")
        assert now == text, f"docs/reference/{name} has drifted: python tools/reference.py"


def test_the_reference_is_made_of_what_it_describes():
    pages = load("reference").pages()
    assert "| `--n-critic` | Updates of D for each update of G. |  | 1 |  |" in pages["options.md"]
    assert "| `--count`, `-n` | How many images. |" in pages["options.md"]
    assert "| `--penalty` | gradient-penalty:10 |" in pages["recipes.md"]
    assert "- `seeds`: train so many runs in a row" in pages["python.md"]
    assert "checkpoint: str | int = 'newest'" in pages["python.md"]


def test_navigation_has_every_page_and_no_other():
    def paths(entries):
        for entry in entries:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else paths(value)

    config = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    named = list(paths(config["project"]["nav"]))
    assert sorted(named) == [page.as_posix() for page in PAGES]
    assert len(set(named)) == len(named)


def test_links_of_staged_pages_stay_inside(site, tmp_path):
    shown = site.stage(tmp_path / "docs")
    assert Path("examples/vanilla_gan.py") in shown
    pages = sorted((tmp_path / "docs").rglob("*.md"))
    assert len(pages) == len(PAGES) + len(shown)
    for page in pages:
        for link in site.LINK.finditer(page.read_text("utf-8")):
            path = link["path"]
            if path and "://" not in path:
                there = Path(os.path.normpath(page.parent / path))
                assert there.is_relative_to(tmp_path / "docs"), f"{page}: {path}"
                assert there.exists(), f"{page}: {path}"


def test_code_is_staged_as_it_is(site, tmp_path):
    site.stage(tmp_path / "docs")
    file = ROOT / "examples" / "vanilla_gan.py"
    page = (tmp_path / "docs" / "source" / "examples" / "vanilla_gan.py.md").read_text("utf-8")
    assert file.read_text("utf-8").strip() in page
    excerpts = (tmp_path / "docs" / "path" / "pix2pix.md").read_text("utf-8")
    assert "maps = self.up[0](passed.pop())" in excerpts


def test_a_page_shows_what_was_made_for_it(site, tmp_path):
    page = tmp_path / "docs" / "page.md"
    made = {"report": tmp_path / "docs" / "live" / "report.html"}
    assert 'src="live/report.html"' in site.frame("report", made, page)
    assert "was not made" in site.frame("play", made, page)


@pytest.mark.slow
def test_it_builds_without_a_warning(tmp_path):
    pytest.importorskip("zensical", reason="zensical is not installed: pip install 'zerosum[docs]'")
    command = [sys.executable, "tools/docs_site.py", "--no-live", "--into", str(tmp_path)]
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    built = {path.relative_to(tmp_path / "site") for path in tmp_path.glob("site/**/*.html")}
    assert {page.with_suffix(".html") for page in PAGES} <= built
    text = (tmp_path / "site" / "index.html").read_text("utf-8")
    loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"(\w+:)?//", text)
    loaded += re.findall(r"<link rel=\"(?:stylesheet|preconnect)\"[^>]*href=\"\w+://", text)
    assert not loaded, "the site asks another host"
