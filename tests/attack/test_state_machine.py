"""A part of `make attack`: short games of runs that are stopped, killed, damaged and copied."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork"),
]


def test_whatever_is_done_to_runs_their_weights_follow_from_their_images():
    script = Path(__file__).with_name("state_machine.py")
    done = subprocess.run(
        [sys.executable, script, "--small"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    games, moves = re.findall(r"(\d+) games, (\d+) moves, none fell", done.stdout)[0]
    assert int(games) == 10
    assert int(moves) > 20
