"""What torchrun says to a process; how processes meet is tested in test_distributed.py."""

import pytest
import torch

from zerosum.errors import UserError
from zerosum.training import torchrun


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
        environment(RANK="0", WORLD_SIZE="two")
        with pytest.raises(UserError, match="WORLD_SIZE is 'two'"):
            torchrun.asked_for()


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
