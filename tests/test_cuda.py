"""The same promises on a GPU; skipped, with a reason, where there is none."""

import pytest
import torch

from zerosum.training.state import group

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def newest(run):
    return next(run.directory.checkpoints.newest())[1]


def test_training_on_the_gpu_is_repeatable_bit_by_bit(train_tiny, tmp_path):
    first, second = (train_tiny(tmp_path / name, device="cuda") for name in ("a", "b"))
    for name, tensor in newest(first).tensors.items():
        assert torch.equal(tensor, newest(second).tensors[name]), name


def test_a_resumed_training_on_the_gpu_is_exact(train_tiny, tmp_path):
    whole = train_tiny(tmp_path / "whole", device="cuda")
    train_tiny(tmp_path / "parts", device="cuda", epochs=1)
    parts = train_tiny(tmp_path / "parts", device="cuda", epochs=3)
    for name, tensor in newest(whole).tensors.items():
        assert torch.equal(tensor, newest(parts).tensors[name]), name


def test_both_devices_begin_with_the_same_weights_and_order(train_tiny, tmp_path):
    cpu, gpu = (
        train_tiny(tmp_path / device, device=device, epochs=1, images=16)
        for device in ("cpu", "cuda")
    )
    # One round apart: the draws of z differ between devices, the initial weights do not.
    for name, tensor in group(newest(cpu), "G").items():
        assert torch.allclose(tensor, group(newest(gpu), "G")[name], atol=1e-3), name


@pytest.mark.parametrize("raw", [False, True])
def test_a_run_of_the_gpu_is_sampled_there(train_tiny, tmp_path, raw):
    run = train_tiny(tmp_path / "run", device="cuda")
    assert run.sample(5, raw=raw).shape == (5, 8, 8, 1)
