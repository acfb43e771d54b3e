"""ONNX of a generator: what is not in the file, and what cannot be one. Recipes: test_folder.py."""

import json
import sys

import pytest
import torch
from torch import nn

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.export.onnx_model import describe, rounded, to_onnx
from zerosum.game.sampling import Generator, noise_inputs
from zerosum.inference.description import Description
from zerosum.nets.layers import plain, with_spectral_norm

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")


def test_it_says_what_it_takes(tiny_G):
    G, spec = tiny_G
    model = onnx.load_from_string(to_onnx(G, spec, data="cats"))
    (entry,) = model.metadata_props
    found = Description.from_json(json.loads(entry.value))
    assert found == describe(G, spec, data="cats")
    assert found.data == "cats"
    assert [each.name for each in model.graph.input] == ["z"]
    assert [each.name for each in model.graph.output] == ["output"]


def test_it_is_the_same_each_time(tiny_G):
    assert to_onnx(*tiny_G) == to_onnx(*tiny_G)


def test_half_is_nearly_half(tiny_G):
    G = Generator(nn.Sequential(nn.Linear(64, 256), nn.Unflatten(1, (1, 16, 16))), tiny_G[0].inputs)
    G.net = FromZ(64, (1, 16, 16))
    G.inputs = noise_inputs(64)
    spec = DataSpec(shape=(1, 16, 16))
    whole, half = len(to_onnx(G.eval(), spec)), len(to_onnx(G.eval(), spec, half=True))
    assert half < 0.6 * whole


class FromZ(nn.Module):
    """The least that a G can be."""

    def __init__(self, latent_size, shape):
        super().__init__()
        self.linear = nn.Linear(latent_size, shape[0] * shape[1] * shape[2])
        self.shape = shape

    def forward(self, z, condition):
        return self.linear(z).view(-1, *self.shape)


class ByValue(FromZ):
    """What cannot be exported: its way depends on the values."""

    def forward(self, z, condition):
        images = super().forward(z, condition)
        return images if z.sum() > 0 else -images


def test_a_net_that_cannot_be_exported(capfd):
    G = Generator(ByValue(4, (1, 4, 4)), noise_inputs(4)).eval()
    with pytest.raises(UserError, match="cannot be exported to ONNX"):
        to_onnx(G, DataSpec(shape=(1, 4, 4)))


def test_a_missing_package_is_named(tiny_G, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"zerosum\[export\]"):
        to_onnx(*tiny_G)


def test_rounding_leaves_vectors_and_the_original(tiny_G):
    G, _ = tiny_G
    before = {name: each.clone() for name, each in G.net.state_dict().items()}
    after = rounded(G).net.state_dict()
    for name, each in before.items():
        assert torch.equal(G.net.state_dict()[name], each)
        assert torch.equal(after[name], each) == (each.ndim < 2)


def test_folding_spectral_norm_leaves_the_original():
    net = with_spectral_norm(nn.Sequential(nn.Linear(4, 5))).eval()
    folded = plain(net)
    x = torch.randn(3, 4)
    assert torch.equal(folded(x), net(x))
    assert set(folded.state_dict()) == {"0.weight", "0.bias"}
    assert "0.parametrizations.weight.original" in net.state_dict()
    assert torch.equal(plain(net)(x), net(x))  # and again
