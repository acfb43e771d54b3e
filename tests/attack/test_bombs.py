"""A part of `make attack`: files that unpack to much are refused before they do, or bounded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork"),
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux"),
]


def test_small_files_take_little_memory_and_time():
    names = ["zip, bzip2", "npz, bzip2", "tar.xz, global header", "a pipe for a zip"]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("bombs.py"), *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 inputs, 0 fell." in done.stdout
