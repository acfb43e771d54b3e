"""Builds what a release is made of, checks it, and publishes nothing.

    python tools/release.py [--pythons 3.11,3.12,3.13]

Of the last commit: sdist and wheel are built twice, in folders of different names, and must have
the same bytes; so must a wheel that is built of the sdist. Each Python that is here gets an empty
environment, the wheel under constraints.txt, and a small training; those that are missing are said.
`dist/` then holds sdist, wheel, SBOM and SHA256SUMS. CONTRIBUTING.md says what comes after.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PYTHONS = "3.11,3.12,3.13"
COMMANDS = (
    ("--version",),
    ("train", "vanilla", "--images", "2560", "--hidden", "16", "--out", "run"),
    ("sample", "run", "-n", "4", "--out", "samples"),
    ("report", "run"),
    ("data", "inspect", "mnist"),
)
"""What must work in an environment that holds the wheel alone."""


def run(*command: str | Path, **how: object) -> str:
    """Run a command, whose failure is ours; what it printed."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, **how)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"Failed with {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}")
    return str(done.stdout)


def version_of(tree: Path) -> str:
    """The version that a tree is of; refused where its changelog does not fit."""
    found = re.search(r'__version__ = "(.+)"', (tree / "zerosum/_version.py").read_text("utf-8"))
    assert found is not None
    version = found[1]
    changelog = (tree / "CHANGELOG.md").read_text("utf-8")
    if ".dev" in version:
        print(f"{version} is no version to release: a rehearsal.")
    elif not re.search(
        rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE
    ):
        sys.exit(f"CHANGELOG.md: expected a heading '## {version} (YEAR-MONTH-DAY)'.")
    return version


def check_out(folder: Path) -> Path:
    """The last commit's files, in a folder that is made."""
    folder.mkdir(parents=True)
    archive = folder.parent / f"{folder.name}.tar"
    run("git", "archive", "--output", archive, "HEAD", cwd=ROOT)
    run("tar", "-xf", archive, "-C", folder)
    return folder


def build(tree: Path, out: Path, *targets: str) -> dict[str, bytes]:
    """Build in a tree; the files' names and content."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
    for target in targets:
        command += ["--target", target]
    run(*command, cwd=tree, stderr=subprocess.STDOUT)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def build_twice(folder: Path) -> dict[str, bytes]:
    """Sdist and wheel, after it is clear that they do not depend on where or of what they are made.

    A wheel of the sdist is what pip makes for who asks for no wheel.
    """
    first = build(check_out(folder / "one"), folder / "out-one", "sdist", "wheel")
    second = build(check_out(folder / "another place"), folder / "out-two", "sdist", "wheel")
    (sdist,) = [name for name in first if name.endswith(".tar.gz")]
    (wheel,) = [name for name in first if name.endswith(".whl")]
    run("tar", "-xf", folder / "out-one" / sdist, "-C", folder)
    third = build(folder / sdist.removesuffix(".tar.gz"), folder / "out-three", "wheel")
    for other in (second, {sdist: first[sdist], **third}):
        for name in first:
            if first[name] != other[name]:
                sys.exit(f"{name}: two builds of one commit differ.")
    print(f"Built twice, and the wheel of the sdist too, with equal bytes: {sdist}, {wheel}.")
    return first


def find(version: str) -> str | None:
    """A Python of a version, that runs."""
    path = shutil.which(f"python{version}")
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, check=False, text=True)
    return path if done.stdout.startswith(f"Python {version}.") else None


def try_out(python: str, wheel: Path, folder: Path) -> None:
    """Install a wheel where nothing is, and use it."""
    environment = folder / "environment"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def do(name: str, *arguments: str | Path) -> None:
        program = environment / ("Scripts" if os.name == "nt" else "bin") / name
        run(program, *arguments, cwd=folder, env=variables)

    run(python, "-m", "venv", environment, env=variables)
    pip = ("python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    do(*pip, "install", "--constraint", ROOT / "constraints.txt", wheel)
    do(*pip, "check")
    for command in COMMANDS:
        do("zerosum", *command)


def main() -> None:
    """Build, check, and write dist/."""
    parser = argparse.ArgumentParser(description="Build and check a release; publish nothing.")
    parser.add_argument("--pythons", default=PYTHONS, help="versions to try the wheel on")
    wanted = parser.parse_args().pythons.split(",")
    if changed := run("git", "status", "--porcelain", cwd=ROOT):
        sys.exit(f"A release is of a commit; these are not in one:\n{changed}")
    os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()
    missing = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = build_twice(folder / "build")
        version = version_of(folder / "build/one")
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        for file, content in files.items():
            (DIST / file).write_bytes(content)
        bill = DIST / f"zerosum-{version}.cdx.json"
        run(sys.executable, ROOT / "tools/sbom.py", bill)
        for number in wanted:
            python = find(number)
            if python is None:
                missing.append(number)
                continue
            (wheel,) = DIST.glob("*.whl")
            (folder / number).mkdir()
            try_out(python, wheel, folder / number)
            shutil.rmtree(folder / number)
            print(f"Python {number}: installed into nothing, trained, sampled, reported.")
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(DIST.iterdir())
    ]
    (DIST / "SHA256SUMS").write_text("".join(sums))
    print("".join(sums), end="")
    if missing:
        sys.exit(
            f"NOT TESTED HERE: Python {', '.join(missing)}, of which there is none that runs. What "
            "is in dist/ is no release until it was tried there too."
        )
    print("Nothing was published. Next: 'Releasing' in CONTRIBUTING.md.")


if __name__ == "__main__":
    main()
