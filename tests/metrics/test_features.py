"""The nets that come with the package, and a user's own."""

import pytest
import safetensors
import torch

from zerosum import data
from zerosum.data.catalog import locate
from zerosum.errors import UserError
from zerosum.metrics import features
from zerosum.metrics.classifier import NUM_CLASSES, NUM_FEATURES, Classifier
from zerosum.metrics.features import SHIPPED, WEIGHTS, feature_net, net_for_data

CPU = torch.device("cpu")
LEAST_ACCURACY = {"digits": 0.995, "fashion": 0.92}


@pytest.mark.parametrize("name", SHIPPED)
class TestShipped:
    def test_its_file_is_small_and_complete(self, name):
        path = WEIGHTS / f"{name}.safetensors"
        assert path.stat().st_size < 2_000_000
        with safetensors.safe_open(path, "pt") as file:
            expected = {key for key, value in Classifier().state_dict().items() if value.ndim}
            assert set(file.keys()) == expected

    def test_it_gives_features_and_logits_of_images_of_any_shape(self, name):
        net = feature_net(name, device=CPU)
        for shape in [(3, 1, 28, 28), (3, 3, 64, 48), (3, 4, 8, 8)]:
            found, logits = net.look(torch.randint(0, 256, shape, dtype=torch.uint8))
            assert found.shape == (3, NUM_FEATURES)
            assert logits.shape == (3, NUM_CLASSES)

    def test_an_image_is_judged_alone(self, name):
        net = feature_net(name, device=CPU)
        images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
        together, alone = net.look(images)[0], net.look(images[2:3])[0]
        torch.testing.assert_close(together[2:3], alone)

    def test_other_weights_are_refused(self, name, monkeypatch, tmp_path):
        content = bytearray((WEIGHTS / f"{name}.safetensors").read_bytes())
        content[-1] ^= 1
        (tmp_path / f"{name}.safetensors").write_bytes(content)
        monkeypatch.setattr(features, "WEIGHTS", tmp_path)
        with pytest.raises(UserError, match=f"expected {SHIPPED[name].sha256}"):
            feature_net(name, device=CPU)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_accuracy_that_the_model_card_claims(name):
    source = SHIPPED[name].data
    if locate(source) is None:
        pytest.skip(f"the data set {source} is not on this machine")
    test = data.load(source, split="test")
    net = feature_net(name, device=CPU)
    with torch.inference_mode():
        right = sum(
            int((net.look(images)[1].argmax(1) == labels).sum())
            for images, labels in zip(test.images.split(500), test.labels.split(500), strict=True)
        )
    assert right / len(test) >= LEAST_ACCURACY[name]


def test_data_sets_have_nets_that_know_them():
    for name, net in SHIPPED.items():
        assert net_for_data(net.data) == name


def test_an_unknown_name_gets_the_closest():
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        feature_net("digit", device=CPU)


class TestUsersOwn:
    @pytest.fixture(autouse=True)
    def module(self, tmp_path, monkeypatch):
        (tmp_path / "my_nets.py").write_text(
            "def means(images): return images.float().mean((2, 3))\n"
            "def wrong(images): return images.float()\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    def test_is_imported_and_called_with_pixels(self):
        net = feature_net("my_nets:means", device=CPU)
        images = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)
        assert net.look(images)[0].tolist() == [[1.5, 5.5, 9.5]]
        assert net.sha256 is None

    @pytest.mark.parametrize("name", ["no_such_module:f", "my_nets:no_such", ":f"])
    def test_that_is_not_there_says_what_was_expected(self, name):
        with pytest.raises(UserError, match="module:callable"):
            feature_net(name, device=CPU)

    def test_that_returns_something_else_is_refused(self):
        net = feature_net("my_nets:wrong", device=CPU)
        with pytest.raises(UserError, match=r"returned the shape \(2, 1, 4, 4\) for 2 images"):
            net.look(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
