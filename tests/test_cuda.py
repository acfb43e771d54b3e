"""The same promises on a GPU; skipped, with a reason, where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum.recipes import RECIPES

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def newest(run):
    return next(run.directory.checkpoints.newest())[1]


def test_training_on_the_gpu_is_repeatable_bit_by_bit(train_tiny, tmp_path):
    first, second = (train_tiny(tmp_path / name, device="cuda") for name in ("a", "b"))
    for name, tensor in newest(first).tensors.items():
        assert torch.equal(tensor, newest(second).tensors[name]), name


@pytest.mark.parametrize("recipe", [*RECIPES])
def test_every_recipe_is_repeatable_bit_by_bit(recipe, tmp_path):
    """Convolutions, attention, penalties: all that a GPU might add in another order."""
    if RECIPES[recipe].task != "generation":
        for name in ("A", "B"):
            paint(tmp_path / "data" / name, count=4, size=64)
        settings = {"data": str(tmp_path / "data"), "size": "64", "epochs": 4}
    else:
        settings = {"data": "mnist", "images": 320, "batch_size": 16}
    settings |= {"device": "cuda", "evaluate_every": 0, "width": 8}
    first, second = (zerosum.train(recipe, out=tmp_path / name, **settings) for name in "ab")
    for name, tensor in newest(first).tensors.items():
        assert torch.equal(tensor, newest(second).tensors[name]), name


def paint(folder: Path, *, count: int, size: int) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for number in range(count):
        pixels = noise.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


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
    for name, tensor in newest(cpu).group("G").items():
        assert torch.allclose(tensor, newest(gpu).group("G")[name], atol=1e-3), name


@pytest.mark.parametrize("ema", [False, True])
def test_a_run_of_the_gpu_is_sampled_there(train_tiny, tmp_path, ema):
    run = train_tiny(tmp_path / "run", device="cuda")
    assert run.sample(5, ema=ema).shape == (5, 8, 8, 1)
