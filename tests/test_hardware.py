import os

import numpy as np
import pytest
import torch

from zerosum import hardware, recipes
from zerosum.data import load
from zerosum.errors import UserError
from zerosum.hardware import (
    address_space_left,
    available_devices,
    cgroup_memory,
    cgroup_quota,
    choose_device,
    device_identity,
    device_name,
    exhaustion_explained,
    flushes_denormals,
    memory_bytes,
    processor_facts,
    processor_share,
    repeatable_convolutions,
    require_memory,
    tuned_processor,
)
from zerosum.plots.grids import to_picture
from zerosum.preparation import needs_less
from zerosum.training import loop


def test_what_fits_is_let_through():
    assert memory_bytes() > 2**28
    require_memory(2**28, memory=2**28, what="this")


def test_what_does_not_is_refused_with_what_to_do():
    with pytest.raises(UserError, match=r"^A cat would take about 9\.0 GiB, .* has 8\.0.*--size"):
        require_memory(9 * 2**30, memory=8 * 2**30, what="A cat")


def test_where_nobody_knows_nothing_is_refused():
    require_memory(2**80, memory=None, what="this")


def test_nets_too_large_are_refused_before_a_run_is_touched(train_tiny, run):
    before = sorted(path.name for path in run.path.rglob("*"))
    with pytest.raises(UserError, match=r"weights of G and D at this size would .*narrower nets"):
        train_tiny(run.path, hidden=(2**20, 2**20), fresh=True)
    assert sorted(path.name for path in run.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("npz", r"^40 images of 1000000×1000000 pixels"),
        # Which may lie on disk, and so only those that are decoded at a time are too many.
        ("folder", r"^Decoding \d+ images of 1000000×1000000 pixels at a time"),
    ],
)
def test_images_too_large_are_refused_before_they_are_made(tiny_images, tmp_path, kind, what):
    source = tiny_images
    if kind == "folder":
        to_picture(np.zeros((8, 8, 1), np.uint8)).save(tmp_path / "a.png")
        source = tmp_path
    told = what + r" would take about [\d,]+\.\d GiB, and this machine has .* --size 64\.$"
    with pytest.raises(UserError, match=told):
        load(source, size=(10**6, 10**6))


def test_a_device_that_runs_out_is_told_of_with_what_needs_less(train_tiny, tmp_path, monkeypatch):
    def play_round(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("zerosum.training.loop.play_round", play_round)
    with pytest.raises(UserError) as caught:
        train_tiny(tmp_path / "run", batch_size=16, grad_accumulation=2)
    assert str(caught.value) == (
        "The device's memory is not enough for batches of 16 images. Try --grad-accumulation 4, "
        "which plays each batch in 4 parts, or --precision bf16, or --batch-size 8, or smaller "
        "images with --size."
    )


def test_advice_leaves_out_what_cannot_be_had_or_is_done_already():
    config = recipes.get("pix2pix").configure({"precision": "bf16", "batch_size": 1})
    assert needs_less(config) == "Try smaller images with --size."


def test_other_errors_of_torch_pass():
    with pytest.raises(RuntimeError, match="mat1"), exhaustion_explained("this", "None."):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


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
        monkeypatch.setattr(hardware, "cgroup_quota", lambda: quota)
        assert processor_share() == share


CPUINFO = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
cpu MHz\t\t: 2596.148
flags\t\t: fpu avx2 avx512_bf16

processor\t: 1
model name\t: another
"""


class TestNames:
    @pytest.fixture
    def linux(self, monkeypatch, tmp_path):
        """Makes this machine one of whose processors Linux tells this."""

        def tell(text):
            (tmp_path / "cpuinfo").write_text(text)
            found = processor_facts(tmp_path / "cpuinfo")
            monkeypatch.setattr(hardware, "processor_facts", lambda: found)

        return tell

    def test_a_processor_is_named_with_what_tells_it_from_others(self, linux):
        linux(CPUINFO)
        assert device_name(torch.device("cpu")) == "AMD EPYC (family 25, model 17)"

    @pytest.mark.parametrize("other", ["fpu avx2", "fpu avx2 avx512_bf16 amx_bf16"])
    def test_of_one_name_those_with_other_features_are_others(self, linux, other):
        linux(CPUINFO)
        identity = device_identity(torch.device("cpu"))
        linux(CPUINFO.replace("2596", "3100"))
        assert device_identity(torch.device("cpu")) == identity
        linux(CPUINFO.replace("fpu avx2 avx512_bf16", other))
        assert device_identity(torch.device("cpu")) != identity

    def test_so_are_those_of_arm_which_have_no_name(self, linux):
        text = "processor : 0\nFeatures : fp asimd bf16\nCPU part : 0xd40\n"
        linux(text)
        assert device_name(torch.device("cpu"))
        identity = device_identity(torch.device("cpu"))
        linux(text.replace("0xd40", "0xd4f"))
        assert device_identity(torch.device("cpu")) != identity

    def test_where_linux_does_not_tell_there_is_a_name_too(self, monkeypatch, tmp_path):
        assert processor_facts(tmp_path / "none") == {}
        monkeypatch.setattr(hardware, "processor_facts", dict)
        assert device_name(torch.device("cpu"))

    def test_a_gpu_is_asked(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H100 {device.index}")
        assert device_name(torch.device("cuda:1")) == "H100 1"
        assert device_identity(torch.device("cuda:1"))[:2] == ("cuda", "H100 1")


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
                monkeypatch.setattr(hardware, "processor_share", lambda share=share: share)
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


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max\n", 1 << 60), ("536870912\n", 2**29), ("", 1 << 60), (None, 1 << 60)],
)
def test_a_container_may_have_less_memory_than_its_machine(tmp_path, content, expected):
    path = tmp_path / "memory.max"
    if content is not None:
        path.write_text(content)
    assert cgroup_memory(path) == expected
    assert memory_bytes() <= cgroup_memory()


def test_a_limit_on_the_address_space_counts_as_the_memory(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    assert address_space_left() is None
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2**45, 2**45))
    assert 0 < address_space_left() < 2**45
    assert 0 < memory_bytes() < 2**45
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2**20, 2**20))
    assert address_space_left() == memory_bytes() == 1  # it is taken already
