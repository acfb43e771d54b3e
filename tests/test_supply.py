"""What comes with zerosum and what it is built of: licences, pinned hashes, promises and tests."""

import hashlib
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FOLDERS = ("zerosum", "docs", "examples", "tests", "tools", "benchmarks")
MADE_HERE = {"__pycache__", "node_modules", ".ipynb_checkpoints"}
"""Folders that are in no commit and no wheel."""
NEVER_PLAIN = {".svg", ".ipynb"}
"""Endings of text that has pictures inside."""
OF_A_SYSTEM = {"torch"}
"""Packages whose bytes are for their own index to answer for."""


def is_text(path):
    try:
        return b"\0" not in (content := path.read_bytes()) and content.decode() is not None
    except UnicodeDecodeError:
        return False


def bundled():
    """The files that are not text, or hold pictures."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and not MADE_HERE & set(path.parts)
        and (path.suffix in NEVER_PLAIN or not is_text(path))
    }


def listed():
    """The lines of LICENSES.md: a pattern, and the cells behind it."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", (ROOT / "LICENSES.md").read_text("utf-8"), re.M)
    return {pattern: [cell.strip() for cell in cells.split(" | ")] for pattern, cells in rows}


class TestLicences:
    @pytest.mark.parametrize("path", sorted(bundled()))
    def test_whatever_is_bundled_is_listed(self, path):
        assert [pattern for pattern in listed() if fnmatch(path, pattern)], path

    @pytest.mark.parametrize("pattern", listed())
    def test_whatever_is_listed_is_there(self, pattern):
        assert [path for path in bundled() if fnmatch(path, pattern)]

    @pytest.mark.parametrize("path", [path for path in listed() if path.startswith("zerosum/")])
    def test_files_in_the_package_are_those_that_were_looked_at(self, path):
        _, licence, digest = listed()[path]
        assert licence
        assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == digest.strip("`")

    def test_all_in_the_package_have_a_digest(self):
        assert {path for path in bundled() if path.startswith("zerosum/")} <= listed().keys()


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def hashed():
    """The packages of requirements-hashed.txt, and their hashes."""
    text = (ROOT / "requirements-hashed.txt").read_text()
    text = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split(" --hash=")
        found[canonicalize_name(Requirement(requirement).name)] = (
            Requirement(requirement),
            {each.strip() for each in hashes},
        )
    return found


class TestHashes:
    def test_each_pin_is_exact_and_there_once(self):
        lines = (ROOT / "constraints.txt").read_text().splitlines()
        assert len(lines) == len(constraints())
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)

    def test_the_hashes_are_of_the_same_versions(self):
        pins = {name: str(each.specifier) for name, each in constraints().items()}
        versions = {name: str(each.specifier) for name, (each, _) in hashed().items()}
        assert versions == {name: pin for name, pin in pins.items() if name not in OF_A_SYSTEM}

    def test_each_has_a_sha256(self):
        for name, (_, hashes) in hashed().items():
            assert hashes, name
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), name

    def test_no_index_is_named(self):
        for name in ("constraints.txt", "requirements-hashed.txt"):
            assert "://" not in (ROOT / name).read_text()
