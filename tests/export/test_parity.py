"""The check that every export has to pass: it is passed by what is right, and by nothing else."""

import numpy as np
import pytest
import torch

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.export.onnx_model import describe, to_onnx
from zerosum.export.parity import BATCHES, LIMIT, measure_parity, tried_sizes
from zerosum.game.sampling import Generator, image_inputs
from zerosum.inference.description import Description
from zerosum.nets import unet

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")


@pytest.fixture
def written(tiny_G, tmp_path):
    G, spec = tiny_G
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(G, spec))
    return path, G, spec


def test_what_is_right_passes(written):
    path, G, spec = written
    found = measure_parity(path, G, G, spec, describe(G, spec))
    assert 0 <= found.worst <= LIMIT
    assert found.rounding is None
    assert found.batches == BATCHES
    assert found.sizes == ()


@pytest.mark.parametrize("by", [0.01, float("nan")])
def test_other_weights_do_not(written, by):
    path, G, spec = written
    with torch.no_grad():
        next(G.parameters()).add_(by)
    with pytest.raises(UserError, match="does not make what torch makes"):
        measure_parity(path, G, G, spec, describe(G, spec))


@pytest.mark.slow
def test_noise_of_another_strength_does_not(tmp_path):
    """Here the net drops more than the file says that it does."""
    spec = DataSpec(shape=(2, 16, 16), source_channels=1)
    net = unet.Generator((16, 16), source_channels=1, target_channels=1, width=4)
    G = Generator(net, image_inputs(1)).eval()
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(G, spec))
    about = describe(G, spec)
    assert len(about.noise) == 3
    found = measure_parity(path, G, G, spec, about)
    assert found.sizes == ((16, 16), (16, 32))
    for each in net.modules():
        if isinstance(each, unet.Dropout):
            each.probability = 0.9
    with pytest.raises(UserError, match="does not make what torch makes"):
        measure_parity(path, G, G, spec, about)


def test_sizes_are_multiples_and_differ():
    about = Description(
        channels=1, image_size=(30, 50), source_channels=1, multiple=4, least_side=8
    )
    assert tried_sizes(about) == ((32, 52), (8, 12))
    assert np.prod(tried_sizes(about)) > 0
