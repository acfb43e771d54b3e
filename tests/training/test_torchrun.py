"""What torchrun says to a process; how processes meet is tested in test_distributed.py."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from zerosum.errors import UserError
from zerosum.training import torchrun
from zerosum.training.signals import stop_flag


@pytest.fixture
def environment(monkeypatch):
    def set_to(**values):
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_to


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("values", "count"),
        [({}, 1), ({"RANK": "0", "WORLD_SIZE": "3"}, 3), ({"WORLD_SIZE": "8"}, 1)],
    )
    def test_how_many_processes(self, environment, values, count):
        environment(**values)
        assert torchrun.asked_for() == count

    def test_a_number_that_is_none_is_told(self, environment):
        environment(RANK="0", WORLD_SIZE="0")
        with pytest.raises(UserError, match="WORLD_SIZE is '0'"):
            torchrun.asked_for()
        environment(RANK="0", WORLD_SIZE="two")
        with pytest.raises(UserError, match="WORLD_SIZE is 'two'"):
            torchrun.asked_for()


@pytest.mark.parametrize(
    ("rank", "leads"), [({}, True), ({"RANK": "0"}, True), ({"RANK": "1"}, False)]
)
def test_one_process_speaks_for_all(environment, rank, leads):
    environment(WORLD_SIZE="2", **rank)
    assert torchrun.leads() is leads


def test_processes_that_met_where_processors_cannot_add_are_told_what_is_missing(monkeypatch):
    """As those of Ray do on GPUs by themselves."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_backend_config", lambda: "cuda:nccl")
    with pytest.raises(UserError, match="the backend 'cpu:gloo,cuda:nccl'"):
        torchrun.meet(torch.device("cpu"))
    monkeypatch.setattr(torch.distributed, "get_backend_config", lambda: "cpu:gloo,cuda:nccl")
    torchrun.meet(torch.device("cpu"))


class TestOwnDevice:
    def test_alone_it_is_what_was_asked_for(self, environment):
        environment()
        assert torchrun.own_device("auto") == "auto"

    @pytest.mark.parametrize(
        ("name", "gpus", "found"),
        [
            ("auto", True, "cuda:2"),
            ("cuda", True, "cuda:2"),
            ("auto", False, "cpu"),
            ("cpu", True, "cpu"),
            ("cuda", False, "cuda:2"),  # which choose_device then misses
        ],
    )
    def test_of_several_each_has_its_own(self, environment, monkeypatch, name, gpus, found):
        environment(RANK="5", WORLD_SIZE="8", LOCAL_RANK="2")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
        assert torchrun.own_device(name) == found


class TestMeeting:
    def test_one_process_meets_nobody(self, environment):
        environment()
        torchrun.meet(torch.device("cpu"))
        assert not torch.distributed.is_initialized()

    def test_mps_adds_up_nothing(self, environment):
        environment(RANK="0", WORLD_SIZE="2")
        with pytest.raises(UserError, match="Several processes on mps"):
            torchrun.meet(torch.device("mps"))

    def test_without_an_address_it_says_how_to_start(self, environment):
        environment(RANK="0", WORLD_SIZE="2")
        with pytest.raises(UserError, match="torchrun --nproc-per-node"):
            torchrun.meet(torch.device("cpu"))

    def test_before_they_have_met_each_speaks_for_itself(self, environment):
        environment(RANK="1", WORLD_SIZE="2")
        assert torchrun.first_to_speak()


class TestLeaving:
    PROGRAM = """
import atexit, os, sys
from datetime import timedelta
import torch.distributed as dist
from zerosum.training.torchrun import leave

class Lasting:
    def __del__(self):
        os.write(1, b"taken down\\n")

kept = Lasting()
if sys.argv[1] == "met":
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
atexit.register(print, "exit handler", end="")  # into a buffer that is not written out yet
leave(3)
print("went on")
"""

    def end_of(self, how):
        return subprocess.run(
            [sys.executable, "-c", self.PROGRAM, how],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def test_exit_handlers_run_and_are_heard_and_nothing_is_taken_down(self):
        ended = self.end_of("met")
        assert (ended.returncode, ended.stdout) == (3, "exit handler"), ended.stderr

    def test_who_has_met_nobody_goes_on(self):
        ended = self.end_of("alone")
        assert ended.returncode == 0
        assert ended.stdout.startswith("went on\n")


class TestALoss:
    """A process that has lost another speaks before torchrun's SIGTERM ends it."""

    @pytest.fixture(autouse=True)
    def handlers(self):
        before = signal.getsignal(signal.SIGTERM)
        yield
        signal.signal(signal.SIGTERM, before)

    def test_under_torchrun_its_stop_is_ignored_also_behind_the_loop(self, monkeypatch):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
        with stop_flag():
            torchrun.ignore_its_stop()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN

    def test_of_other_programs_nothing_is_assumed(self, monkeypatch):
        monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
        before = signal.getsignal(signal.SIGTERM)
        with stop_flag():
            torchrun.ignore_its_stop()
        assert signal.getsignal(signal.SIGTERM) is before
