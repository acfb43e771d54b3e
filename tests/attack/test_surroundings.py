"""A part of `make attack`: a command does its work anywhere, or says why it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
]


def test_commands_work_or_refuse_anywhere():
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("surroundings.py"), "--small"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " cases, 0 fell." in done.stdout
    for line in done.stdout.splitlines():
        if line.startswith("SKIPPED"):
            pytest.skip(line)
