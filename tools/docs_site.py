"""Builds the docs site into build/site, offline: `make docs`, or `python tools/docs_site.py`.

The pages of docs/ are plain markdown that GitHub shows as well. A site can only link to what is
inside it, so they are copied to build/docs first: a link that leaves docs/ then leads to a page
that shows the file. A real report and a real playground page, of a small run that is trained once
and kept in build/, are made here too.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(
    r"^ *(?P<fence>`{3,}).*?^ *(?P=fence)$"
    r"|(?P<before>\]\(|src=\")(?P<path>[^)\s\"#]+)(?P<anchor>#[^)\s\"]*)?",
    re.MULTILINE | re.DOTALL,
)
"""A link outside a block of code; or a whole block, which has none."""
LIVE = re.compile(r"<!-- live: (\w+) -->")
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown", ".json": "json"}


def stage(into: Path) -> list[Path]:
    """Copy docs/ and every file that it links to, with links that stay inside.

    Args:
        into: the folder to make; what was there is removed.

    Returns:
        The files outside docs/ that pages were made of, relative to the repository.
    """
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(DOCS, into)
    waiting = [(page, page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md"))]
    shown: list[Path] = []
    while waiting:
        source, place = waiting.pop()
        text, outside = rewritten(source, place)
        target = into / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        for file in outside:
            if file not in shown:
                shown.append(file)
                if file.suffix == ".md":
                    waiting.append((ROOT / file, place_of(file)))
                else:
                    page = into / place_of(file)
                    page.parent.mkdir(parents=True, exist_ok=True)
                    page.write_text(page_of(file), "utf-8")
    return shown


def place_of(file: Path) -> Path:
    """Where the site shows a file outside docs/, relative to the site."""
    page = file if file.suffix == ".md" else file.with_name(f"{file.name}.md")
    return Path("source") / page


def rewritten(source: Path, place: Path) -> tuple[str, list[Path]]:
    """A page's text as the site has it at a place, and the files outside docs/ that it links to."""
    outside = []

    def turn(match: re.Match[str]) -> str:
        before, path, anchor = match["before"], match["path"], match["anchor"] or ""
        if before is None or "://" in path:
            return match.group(0)
        there = (source.parent / path).resolve()
        if there.is_dir():
            raise SystemExit(f"{source} links to a folder, {path}: link to a file of it.")
        if there.is_relative_to(DOCS):
            target = there.relative_to(DOCS)
        else:
            outside.append(there.relative_to(ROOT))
            target = place_of(outside[-1])
        return f"{before}{os.path.relpath(target, place.parent)}{anchor}"

    return LINK.sub(turn, source.read_text("utf-8")), outside


def page_of(file: Path) -> str:
    """A page that shows a file of text."""
    language = LANGUAGES.get(file.suffix, "text")
    text = (ROOT / file).read_text("utf-8").rstrip("\n")
    return f"# {file.as_posix()}\n\n````{language}\n{text}\n````\n"


def commands() -> set[str]:
    """The commands that this zerosum has."""
    from zerosum.cli.main import app

    return set(app)


def make_live_pages(into: Path, *, run: Path | None) -> None:
    """Put a real report and a real playground page where a page says `<!-- live: report -->`.

    Both are of one vanilla run of five epochs on the bundled MNIST, about a minute, which is kept.
    Where they are not made, or zerosum has no such command, the page says so.

    Args:
        into: the staged pages.
        run: where the run is kept; None to make neither.
    """
    known = commands() if run else set()
    place = os.path.relpath(run, ROOT) if run else ""  # which the report shows in its command
    made = {}
    for command in ("report", "play"):
        if command in known:
            zerosum("train", "vanilla", "--epochs", "5", "--sample-every", "1", "--out", place)
            out = into / "live" / f"{command}.html"
            out.parent.mkdir(exist_ok=True)
            zerosum(command, place, "--out", str(out), "--language", "en")
            made[command] = out
    for page in into.rglob("*.md"):
        text = page.read_text("utf-8")
        for command in LIVE.findall(text):
            text = text.replace(f"<!-- live: {command} -->", frame(command, made, page))
        page.write_text(text, "utf-8")


def frame(command: str, made: dict[str, Path], page: Path) -> str:
    """The link and the frame in which a page shows another."""
    if command not in made:
        return f"*The page of `zerosum {command}` was not made when this site was built.*"
    source = os.path.relpath(made[command], page.parent)
    return (
        f'<p><a href="{source}" target="_blank">Open it in a page of its own</a></p>\n\n'
        f'<iframe class="live" src="{source}" title="zerosum {command}" loading="lazy"></iframe>'
    )


def zerosum(*words: str) -> None:
    """Run a command of zerosum's, and stop where it fails."""
    subprocess.run([sys.executable, "-m", "zerosum", *words], cwd=ROOT, check=True)


def build(into: Path) -> int:
    """Make the site of the staged pages, and return zensical's exit code.

    Its config names folders relative to itself, so a copy of it is put beside them.
    """
    config = into / "zensical.toml"
    text = (ROOT / "zensical.toml").read_text("utf-8").replace('"build/', '"')
    config.write_text(text, "utf-8")
    words = ["build", "--strict", "--clean", "--config-file", str(config)]
    return subprocess.run([sys.executable, "-m", "zensical", *words], cwd=ROOT).returncode


def main() -> None:
    """Stage, make the live pages, build."""
    parser = argparse.ArgumentParser(description="Build the docs site into build/site.")
    parser.add_argument("--no-live", action="store_true", help="without a real run's pages")
    parser.add_argument("--into", type=Path, default=ROOT / "build", help="the folder to build in")
    arguments = parser.parse_args()
    into = arguments.into.resolve()
    stage(into / "docs")
    run = None if arguments.no_live else into / "runs" / "vanilla-mnist"
    make_live_pages(into / "docs", run=run)
    raise SystemExit(build(into))


if __name__ == "__main__":
    main()
