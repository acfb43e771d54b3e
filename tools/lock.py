"""Makes requirements-hashed.txt anew: every package of constraints.txt with its published sha256s.

    python tools/lock.py

It needs a network. uv resolves all extras under constraints.txt, for CPython on Linux, macOS and
Windows at once, so that each file that an index offers of a version is listed, with a marker where
a package is for one system only, and what asked for it. Left out are torch, whose builds for CPU
and CUDA come from indexes of their own and differ in bytes, with what its CUDA build brings; and
pip, which is in an environment from the start.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-hashed.txt"
OLDEST_PYTHON = "3.11.5"  # what the docs extra asks for; the rest needs 3.11
LEFT_OUT = ("torch", "pip")
OF_CUDA = ("nvidia-", "cuda-", "triton")
ELSEWHERE = ("== 'pypy'", "== 'emscripten'")
HEADER = """\
# Made by `python tools/lock.py` from pyproject.toml under constraints.txt; do not edit.
#
# The sha256 of each file of each package. `make verify-hashes` fetches those of this system and
# holds them to it. torch is not here: it comes from the index of its build.
"""


def resolve(folder: Path) -> str:
    """What uv says that all extras need."""
    out = folder / "out.txt"
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras"),
        *("--universal", "--generate-hashes", "--no-header", "--quiet", "--output-file", str(out)),
        *("--constraint", "constraints.txt", "--python-version", OLDEST_PYTHON),
    ]
    for name in LEFT_OUT:
        command += ["--no-emit-package", name]
    subprocess.run(command, cwd=ROOT, check=True)
    return out.read_text("utf-8").partition("\n# The following packages were excluded")[0]


def blocks(text: str) -> list[str]:
    """The parts of a requirements file, a package each."""
    return [block for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if block]


def belongs(block: str) -> bool:
    """Whether a package is one of ours: not of CUDA, nor for another Python."""
    first = block.splitlines()[0]
    elsewhere = any(word in first for word in ELSEWHERE)
    return block[0] != "#" and not first.startswith(OF_CUDA) and not elsewhere


def main() -> None:
    """Resolve, and write."""
    with tempfile.TemporaryDirectory() as folder:
        text = resolve(Path(folder))
    kept = [re.sub(r" *# +-c constraints.txt\n", "", each) for each in blocks(text)]
    kept = [each for each in kept if belongs(each)]
    LOCK.write_text(HEADER + "".join(kept).rstrip("\n") + "\n", encoding="utf-8")
    print(f"Wrote {len(kept)} packages into {LOCK.name}.")


if __name__ == "__main__":
    main()
