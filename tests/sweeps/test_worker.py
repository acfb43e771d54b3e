"""A worker; tests/sweeps/test_sweep.py interrupts and kills real ones."""

import os
import subprocess
import sys

from zerosum.sweeps import worker


def test_a_worker_whose_parent_has_gone_does_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "zerosum.sweeps.worker"], stdin=subprocess.DEVNULL, timeout=120
    )
    assert done.returncode == 0


def test_a_line_is_read_whole(monkeypatch):
    ours, theirs = os.pipe()
    os.write(theirs, b'{"a": 1}\n')
    real = os.read
    monkeypatch.setattr(worker.os, "read", lambda _, count: real(ours, 3))
    assert worker.read_line() == b'{"a": 1}\n'
    os.close(ours)
    os.close(theirs)
