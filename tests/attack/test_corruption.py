"""A part of `make attack`: what is damaged is noticed, and ends in a sentence at most."""

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


def test_no_damage_to_a_run_makes_a_command_fall_or_wait():
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("corruption.py"), "--small"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "16 cases, 0 fell. Of 200 bits that were flipped" in done.stdout
