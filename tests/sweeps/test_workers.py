"""Workers and their parent; tests/sweeps/test_sweep.py interrupts and kills real ones."""

import subprocess
import sys

import pytest

from zerosum.errors import UserError
from zerosum.sweeps import workers


@pytest.fixture
def program(monkeypatch):
    """Let a worker be another program."""
    begun = []
    real = subprocess.Popen

    def use(code):
        def popen(words, **how):
            begun.append(how["env"])
            return real([sys.executable, "-c", code], **how)

        monkeypatch.setattr(workers.subprocess, "Popen", popen)
        return begun

    return use


def test_the_processors_are_shared_out(program, monkeypatch):
    monkeypatch.setattr(workers, "processor_share", lambda: 7)
    begun = program("")
    workers.run_workers({"folder": "s"}, count=3)
    assert [environment["OMP_NUM_THREADS"] for environment in begun] == ["2"] * 3


def test_more_workers_than_processors_have_one_each(program, monkeypatch):
    monkeypatch.setattr(workers, "processor_share", lambda: 2)
    begun = program("")
    workers.run_workers({"folder": "s"}, count=3)
    assert [environment["OMP_NUM_THREADS"] for environment in begun] == ["1"] * 3


def test_when_one_finds_a_mistake_the_others_are_let_go(program):
    # The first to be told ends with an error; the other waits for the end of its standard input.
    program("import sys, json; sys.exit(2 * (json.loads(input())['index'] == 0)) or input()")
    with pytest.raises(UserError, match="stands above"):
        workers.run_workers({"folder": "s"}, count=2)


def test_one_that_was_killed_is_told(program):
    program("import os, signal; os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match="2 of 2 workers were killed"):
        workers.run_workers({"folder": "s"}, count=2)
