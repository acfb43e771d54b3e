"""Points in the plane as the metrics see them."""

import math
from dataclasses import replace

import pytest
import torch

from zerosum import data
from zerosum.data.catalog import mixture_of
from zerosum.errors import UserError
from zerosum.metrics.channels import with_channels
from zerosum.metrics.evaluate import ImageCollection, choose, evaluate
from zerosum.metrics.features import cheap_net, feature_net, net_for_data
from zerosum.metrics.modes import count_gaussian_modes
from zerosum.metrics.plane import deviations

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))


@pytest.fixture
def net():
    return feature_net("ring", device=CPU)


@pytest.fixture(scope="module")
def real():
    return ImageCollection(name="ring", split="test", images=data.load("ring", split="test").images)


def centres():
    return torch.tensor(mixture_of("ring").centres)


def found(net, real, images, *names):
    fake = ImageCollection(name="made", split=None, images=images.float().view(-1, 2, 1, 1))
    results = evaluate(fake, real, net=net, names=names, seed=0)
    return {name: result.value for name, result in results.items()}


@pytest.mark.parametrize(("name", "sha256"), [("ring", "21222b81dfac"), ("grid", "8aab6f81616c")])
def test_the_net_of_points_is_their_data_sets(name, sha256):
    assert net_for_data(name) == cheap_net(name) == name
    net = feature_net(name, device=CPU)
    assert net.classes == data.DATASETS[name].classes
    assert net.sha256.startswith(sha256)  # what is kept between commands is found by it


class TestLook:
    def test_features_are_coordinates(self, net, real):
        features, _ = net.look(real.images[:7])
        assert torch.equal(features.float(), real.images[:7].flatten(1))

    def test_logits_tell_how_far_the_centres_are(self, net):
        steps = torch.tensor([[0.0, 0.0], [0.008, 0.0], [0.0, -0.016]])
        _, logits = net.look((centres()[3] + steps).view(-1, 2, 1, 1))
        assert logits.argmax(dim=1).tolist() == [3, 3, 3]
        assert deviations(logits)[:, 3].tolist() == pytest.approx([0, 1, 2], abs=1e-4)

    def test_up_to_a_constant_they_are_log_likelihoods(self, net, real):
        _, logits = net.look(real.images[:20])
        exactly = torch.tensor(mixture_of("ring").centres, dtype=torch.float64)
        law = torch.distributions.Normal(exactly, torch.tensor(0.008, dtype=torch.float64))
        exact = law.log_prob(real.images[:20].double().view(20, 1, 2)).sum(dim=2)
        apart = exact - logits
        assert (apart - apart[0, 0]).abs().max() < 1e-6

    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 1, 1), (1, 1, 2)])
    def test_images_are_refused(self, net, shape):
        with pytest.raises(UserError, match="were to be compared as points in the plane"):
            net.look(torch.zeros(2, *shape, dtype=torch.uint8))

    @pytest.mark.parametrize("name", ["digits", "fashion", "random", "stacked-digits"])
    def test_nets_for_images_refuse_points(self, name, real):
        with pytest.raises(UserError, match="by a feature net for images"):
            feature_net(name, device=CPU).look(real.images[:2])
        with pytest.raises(UserError, match="Points in the plane"):
            with_channels(real.images[:2], 3)


class TestFigures:
    def test_real_points_have_all_modes_and_the_known_quality(self, net, real):
        values = found(net, real, data.load("ring").images[:2500], *choose((), net))
        assert values["modes"] == 8
        assert values["mode_kl"] < 0.01
        assert values["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.007)
        assert values["frechet_ring"] < 0.001
        assert list(values["classes"].values()) == pytest.approx([1 / 8] * 8, abs=0.03)

    def test_they_are_those_of_count_gaussian_modes(self, net, real):
        torch.manual_seed(0)
        noise = torch.randn(300, 2) * torch.linspace(0, 0.05, 300)[:, None]
        points = centres()[torch.arange(300) % 5] + noise
        values = found(net, real, points, "modes", "mode_kl", "high_quality")
        expected = count_gaussian_modes(points, centres(), deviation=0.008)
        assert values["modes"] == expected.covered
        assert values["high_quality"] == pytest.approx(expected.good)
        assert values["mode_kl"] == pytest.approx(expected.divergence)

    def test_a_point_between_modes_covers_none(self, net, real):
        values = found(net, real, centres().repeat(5, 1) * 0.9, "modes", "mode_kl", "high_quality")
        assert values == {"modes": 0, "mode_kl": pytest.approx(0, abs=1e-9), "high_quality": 0}

    def test_one_mode_of_eight(self, net, real):
        values = found(net, real, centres()[:1].repeat(40, 1), "modes", "mode_kl", "high_quality")
        assert values == {"modes": 1, "mode_kl": pytest.approx(math.log(8)), "high_quality": 1}

    def test_the_cards_say_what_they_mean(self, net, real):
        results = evaluate(real, real, net=net, names=("modes", "high_quality"), seed=0)
        assert results["modes"].card["basis"] == "8 modes of equal shares, as the data is made"
        assert "3 standard deviations" in results["high_quality"].card["basis"]
        assert results["modes"].card["resize"] == "coordinates as they are"

    def test_quality_is_asked_of_points_only(self, net):
        assert "high_quality" in choose((), net)
        digits = feature_net("digits", device=CPU)
        assert "high_quality" not in choose((), digits)
        with pytest.raises(UserError, match="'high_quality' is of points around known centres"):
            choose(("high_quality",), digits)
        with pytest.raises(UserError, match="needs a classifier"):
            choose(("modes",), replace(digits, classes=()))
