"""What comes with zerosum and what it is built of: licences, pinned hashes, promises and tests."""

import ast
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from fnmatch import fnmatch
from itertools import chain
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
        lines = [pattern for pattern in listed() if fnmatch(path, pattern)]
        assert len(lines) == 1, (path, lines)  # two might name two licences

    def test_samples_of_other_digits_are_not_taken_for_those_of_mnist(self):
        other = "docs/images/recipes/dcgan-fashion-mnist.png"
        lines = [cells for pattern, cells in listed().items() if fnmatch(other, pattern)]
        assert not any("CC-BY-SA" in cells[1] for cells in lines)

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

    def test_what_the_project_asks_for_is_pinned(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        groups = [project["dependencies"], *project["optional-dependencies"].values()]
        for wanted in map(Requirement, chain.from_iterable(groups)):
            if (name := canonicalize_name(wanted.name)) != "zerosum":
                assert name in constraints(), f"run tools/lock.py after pinning {name}"
                (pin,) = constraints()[name].specifier
                assert wanted.specifier.contains(pin.version)

    def test_each_has_a_sha256(self):
        for name, (_, hashes) in hashed().items():
            assert hashes, name
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), name

    def test_no_index_is_named(self):
        for name in ("constraints.txt", "requirements-hashed.txt"):
            assert "://" not in (ROOT / name).read_text()


PROMISES = [
    (line, test)
    for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and line not in ("| attack | promise | test |",)
    for test in re.findall(r"`([^`]+)`", line.rstrip("|").rpartition(" | ")[2]) or [""]
]


@pytest.mark.parametrize(("line", "test"), PROMISES, ids=[test for _, test in PROMISES])
def test_each_promise_names_a_test(line, test):
    assert line.count(" | ") == 2
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.slow
def test_two_builds_have_equal_bytes(tmp_path, monkeypatch):
    """As `make release` builds them, but of the files that are here, committed or not."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    import release

    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    ).stdout.split(b"\0")
    if len(names) < 100:
        pytest.skip("needs a git repository, of which a release is made")

    def check_out(folder):
        folder.mkdir(parents=True)
        for name in filter(None, map(bytes.decode, names)):
            if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((ROOT / name).read_bytes())
        return folder

    monkeypatch.setattr(release, "check_out", check_out)
    files = release.build_twice(tmp_path)
    (sdist,) = [name for name in files if name.endswith(".tar.gz")]
    with tarfile.open(fileobj=io.BytesIO(files[sdist])) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "LICENSES.md", "SECURITY.md", "README.md"} <= inside


def test_a_release_of_a_version_needs_its_day(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import release

    (tmp_path / "zerosum").mkdir()
    version, changelog = tmp_path / "zerosum/_version.py", tmp_path / "CHANGELOG.md"
    version.write_text('__version__ = "1.0.0"\n')
    changelog.write_text("# Changelog\n\n## 1.0.0 (unreleased)\n")
    with pytest.raises(SystemExit, match=r"1\.0\.0 \(YEAR-MONTH-DAY\)"):
        release.version_of(tmp_path)
    changelog.write_text("# Changelog\n\n## 1.0.0 (2030-01-31)\n")
    assert release.version_of(tmp_path) == "1.0.0"
    version.write_text('__version__ = "1.1.0.dev0"\n')
    assert release.version_of(tmp_path) == "1.1.0.dev0"
    assert "rehearsal" in capsys.readouterr().out
    assert release.find("3.99") is None


@pytest.fixture(scope="module")
def bill(tmp_path_factory):
    pytest.importorskip("cyclonedx", reason="needs cyclonedx-python-lib (the release extra)")
    texts = []
    for number in range(2):
        out = tmp_path_factory.mktemp("bill") / f"{number}.json"
        subprocess.run([sys.executable, ROOT / "tools/sbom.py", out], check=True)
        texts.append(out.read_text("utf-8"))
    assert texts[0] == texts[1]
    return json.loads(texts[0])


class TestBill:
    def test_all_that_is_pinned_is_in_it_with_hashes(self, bill):
        parts = {each["name"]: each for each in bill["components"] if each["type"] == "library"}
        assert constraints().keys() <= parts.keys()
        for name, (requirement, hashes) in hashed().items():
            assert f"=={parts[name]['version']}" == str(requirement.specifier)
            (files,) = parts[name]["externalReferences"]
            assert {f"sha256:{each['content']}" for each in files["hashes"]} == hashes

    def test_all_that_is_bundled_is_in_it_with_its_licence(self, bill):
        files = {each["name"] for each in bill["components"] if each["type"] == "file"}
        assert files == {path for path in bundled() if path.startswith("zerosum/")}
        assert all("licenses" in each for each in bill["components"] if each["type"] == "file")
        assert "onnxruntime-web" in {each["name"] for each in bill["components"]}

    def test_what_comes_unasked_is_told_from_extras(self, bill):
        scopes = {each["name"]: each.get("scope") for each in bill["components"]}
        assert (scopes["torch"], scopes["numpy"], scopes["urllib3"]) == ("required",) * 3
        assert (scopes["wandb"], scopes["pytest"]) == ("optional",) * 2

    def test_it_says_what_needs_what(self, bill):
        needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
        (of_torch,) = [needs[ref] for ref in needs if ref.startswith("pkg:pypi/torch@")]
        assert any(each.startswith("pkg:pypi/sympy@") for each in of_torch)
