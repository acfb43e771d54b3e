import os

import pytest
import torch

from zerosum.errors import UserError
from zerosum.training import loop, machine
from zerosum.training.machine import (
    available_devices,
    cgroup_quota,
    choose_device,
    flushes_denormals,
    processor_share,
    repeatable_convolutions,
    tuned_processor,
)

DENORMAL = 1e-39


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


class TestDevices:
    def test_there_is_always_a_processor(self):
        assert available_devices()[-1] == "cpu"
        assert choose_device("cpu") == torch.device("cpu")

    def test_the_fastest_is_chosen(self, two_gpus):
        assert available_devices() == ["cuda:0", "cuda:1", "mps", "cpu"]
        assert choose_device("auto") == torch.device("cuda:0")

    @pytest.mark.parametrize(
        ("name", "device"), [("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps")]
    )
    def test_one_may_be_named(self, two_gpus, name, device):
        assert choose_device(name) == torch.device(device)

    @pytest.mark.parametrize("name", ["cuda:2", "cpu:7", "cuda:"])
    def test_one_that_is_not_there_is_answered_with_those_that_are(self, two_gpus, name):
        expected = f"'{name}' is not there. This machine has: cuda:0, cuda:1, mps, cpu. Leave"
        with pytest.raises(UserError, match=expected):
            choose_device(name)


class TestProcessorShare:
    @pytest.mark.parametrize(
        ("text", "processors"),
        [("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000\n", 1), ("1 100000\n", 1)],
    )
    def test_a_containers_quota_is_rounded_up(self, tmp_path, text, processors):
        (tmp_path / "cpu.max").write_text(text)
        assert cgroup_quota(tmp_path / "cpu.max") == processors

    @pytest.mark.parametrize("text", ["max 100000\n", "", "x y", "1 0", "1"])
    def test_no_quota_is_no_limit(self, tmp_path, text):
        (tmp_path / "cpu.max").write_text(text)
        assert cgroup_quota(tmp_path / "cpu.max") > 10_000
        assert cgroup_quota(tmp_path / "none") > 10_000

    @pytest.mark.parametrize(("processors", "quota", "share"), [(8, 3, 3), (2, 99, 2), (4, 0, 1)])
    def test_the_share_is_the_smaller_of_affinity_and_quota(
        self, monkeypatch, processors, quota, share
    ):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
        monkeypatch.setattr(machine, "cgroup_quota", lambda: quota)
        assert processor_share() == share


class TestTunedProcessor:
    @pytest.mark.parametrize("flushed", [False, True])
    def test_denormals_are_taken_as_zero_inside_and_as_before_outside(self, flushed):
        torch.set_flush_denormal(flushed)
        try:
            with tuned_processor():
                assert flushes_denormals()
                assert (torch.tensor([1e-30]) * 1e-9).item() == 0
            assert flushes_denormals() is flushed
        finally:
            torch.set_flush_denormal(False)
        assert (torch.tensor([1e-30]) * 1e-9).item() == pytest.approx(DENORMAL)

    def test_threads_are_capped_to_the_share_and_never_raised(self, monkeypatch):
        before = torch.get_num_threads()
        try:
            for own, share, inside in ((2, 1, 1), (1, 64, 1)):
                torch.set_num_threads(own)
                monkeypatch.setattr(machine, "processor_share", lambda share=share: share)
                with tuned_processor():
                    assert torch.get_num_threads() == inside
                assert torch.get_num_threads() == own
        finally:
            torch.set_num_threads(before)


def test_convolutions_are_repeatable_while_it_trains_and_as_before_afterwards(monkeypatch):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    with repeatable_convolutions():
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)


def test_a_training_makes_them_so(train_tiny, tmp_path, monkeypatch):
    seen = []
    play_round = loop.play_round
    monkeypatch.setattr(
        loop,
        "play_round",
        lambda *args, **rules: (
            seen.append(torch.backends.cudnn.deterministic) or play_round(*args, **rules)
        ),
    )
    train_tiny(tmp_path / "run", epochs=1)
    assert seen
    assert all(seen)
