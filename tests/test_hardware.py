import numpy as np
import pytest
import torch

from zerosum import recipes
from zerosum.config.base import validate
from zerosum.data import load
from zerosum.errors import UserError
from zerosum.hardware import exhaustion_explained, insist_on_memory, memory_bytes
from zerosum.reporting.grids import to_picture
from zerosum.session import needs_less


def test_what_fits_is_let_through():
    assert memory_bytes() > 2**28
    insist_on_memory(2**28, memory=2**28, what="this")


def test_what_does_not_is_refused_with_what_to_do():
    with pytest.raises(UserError, match=r"^A cat would take about 9\.0 GiB, .* has 8\.0.*--size"):
        insist_on_memory(9 * 2**30, memory=8 * 2**30, what="A cat")


def test_where_nobody_knows_nothing_is_refused():
    insist_on_memory(2**80, memory=None, what="this")


def test_nets_too_large_are_refused_before_a_run_is_touched(train_tiny, run):
    before = sorted(path.name for path in run.path.rglob("*"))
    with pytest.raises(UserError, match=r"weights of G and D at this size would .*narrower nets"):
        train_tiny(run.path, hidden=(10**8,), fresh=True)
    assert sorted(path.name for path in run.path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_images_too_large_are_refused_before_they_are_made(tiny_images, tmp_path, kind):
    source = tiny_images
    if kind == "folder":
        to_picture(np.zeros((8, 8, 1), np.uint8)).save(tmp_path / "a.png")
        source = tmp_path
    with pytest.raises(UserError, match=r"images of 1000000×1000000 pixels would take"):
        load(source, size=(10**6, 10**6))


def test_a_device_that_runs_out_is_told_of_with_what_needs_less(train_tiny, tmp_path, monkeypatch):
    def play_round(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("zerosum.training.loop.play_round", play_round)
    with pytest.raises(UserError) as caught:
        train_tiny(tmp_path / "run", batch_size=16, parts=2)
    assert str(caught.value) == (
        "The device's memory is not enough for batches of 16 images. Try --parts 4, which plays "
        "each batch in 4 parts, or --precision bf16, or --batch-size 8, or smaller images with "
        "--size."
    )


def test_advice_leaves_out_what_cannot_be_had_or_is_done_already():
    config = validate(recipes.get("pix2pix").config, {"precision": "bf16", "batch_size": 1})
    assert needs_less(config) == "Try smaller images with --size."


def test_other_errors_of_torch_pass():
    with pytest.raises(RuntimeError, match="mat1"), exhaustion_explained("this", "None."):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
