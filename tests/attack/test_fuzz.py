"""A part of `make fuzz`: whatever is read is read, or refused in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork"),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux"),
]


def test_no_wrong_input_of_any_kind_makes_its_reader_fall(tmp_path):
    script = Path(__file__).with_name("fuzz.py")
    done = subprocess.run(
        [sys.executable, script, "--examples", "12", "--crashes", tmp_path / "crashes"],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [path.read_text() for path in (tmp_path / "crashes").glob("*.txt")]
    assert done.returncode == 0, "\n".join([*told, done.stderr])
    assert " inputs, 0 fell." in done.stdout
    assert done.stdout.count("\n| ") > 30


def test_what_falls_is_found_and_kept(tmp_path):
    """With a reader that raises, waits, takes memory or ends the process, each as it may."""
    script = """
import os, sys, time
sys.argv = ["fuzz.py", "--examples"]
import fuzz
from pathlib import Path
fuzz.SECONDS = 0.5
acts = {
    "raises": lambda: {}["x"],
    "waits": lambda: time.sleep(60),
    "takes memory": lambda: bytearray(2**31),
    "dies": lambda: os.abort(),
}
for name, act in acts.items():
    def attempt(folder, content, act=act):
        if content != b"valid":
            act()
    target = fuzz.Target(name, lambda: [b"valid"], lambda content, chance: b"wrong", attempt)
    work = lambda attack: attack(attack.wrong(b"valid", None))
    counts = fuzz.in_process(target, Path("crashes"), work).counts
    print(name, counts["fell"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[:4] == ["raises 1", "waits 1", "takes memory 1", "dies 1"]
    kept = sorted(path.stem for path in (tmp_path / "crashes").glob("*.crash"))
    kinds = [name.split("-")[0] for name in kept]
    assert kinds == ["dies", "raises", "takes", "waits"], done.stderr
    assert {path.read_bytes() for path in (tmp_path / "crashes").glob("*.crash")} == {b"wrong"}
