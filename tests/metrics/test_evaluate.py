"""Metrics of fakes of our own making, whose order is known, and the cards beside them."""

import json
from dataclasses import replace

import pytest
import torch

from zerosum import data
from zerosum.metrics import evaluate as module
from zerosum.metrics import kernel
from zerosum.metrics.embedding import embed, embed_reference
from zerosum.metrics.evaluate import ImageCollection, choose, draw_rows, evaluate
from zerosum.metrics.features import feature_net
from zerosum.metrics.registry import METRICS

COUNT = 500
NAMES = tuple(
    name for name, metric in METRICS.items() if metric.of_features and metric.needs != "gaussians"
)


def subject(images, name="made up", split=None):
    return ImageCollection(name=name, split=split, images=images)


@pytest.fixture(scope="module")
def net():
    return feature_net("digits", device=torch.device("cpu"))


@pytest.fixture(scope="module")
def mnist():
    """Two sets of real images, apart."""
    images = data.load("mnist", split="test").images
    return images[:COUNT], images[-COUNT:]


@pytest.fixture
def values(net, mnist):
    """Evaluate images against real ones: plain numbers by name."""

    def evaluated(images, *, names=NAMES):
        results = evaluate(subject(images), subject(mnist[0]), net=net, names=names, seed=0)
        return {name: result.value for name, result in results.items()}

    return evaluated


def blurred(images, strength):
    """Mix each image with the mean of its 5×5 surroundings."""
    smooth = torch.nn.functional.avg_pool2d(images.float(), 5, stride=1, padding=2)
    return ((1 - strength) * images + strength * smooth).round().to(torch.uint8)


def noisy(images, strength):
    """Mix each image with noise; the strength is one number, or one for each image."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, images.shape, generator=generator)
    return ((1 - strength) * images + strength * noise).round().to(torch.uint8)


class TestDirections:
    def test_identical_sets(self, values, mnist):
        found = values(mnist[0])
        assert found["frechet_digits"] == pytest.approx(0, abs=1e-6)
        assert found["precision"] == found["recall"] == found["coverage"] == 1
        assert found["density"] == pytest.approx(1)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("worsen", "strengths"),
        # Beyond half, noise is so unlike a digit that the net's answer no longer grows with it.
        [(blurred, (0, 0.3, 0.6, 0.9)), (noisy, (0, 0.05, 0.1, 0.2))],
    )
    def test_distances_order_real_good_and_bad(self, values, mnist, worsen, strengths):
        found = [values(worsen(mnist[1], strength)) for strength in strengths]
        for name in ("frechet_digits", "kid"):
            distances = [metrics[name] for metrics in found]
            assert distances == sorted(distances)
            assert distances[0] < distances[-1] / 20
        assert found[0]["precision"] > found[2]["precision"] > found[3]["precision"]

    def test_a_collapsed_set_is_precise_without_variety(self, values, mnist):
        """One real image with faint noise, five hundred times."""
        collapsed = noisy(mnist[1][:1].repeat(COUNT, 1, 1, 1), 0.02)
        found = values(collapsed)
        assert found["precision"] > 0.9
        assert found["recall"] < 0.05
        assert found["coverage"] < 0.1
        assert max(found["classes"].values()) == 1
        assert found["classifier_score"] == pytest.approx(1, abs=0.05)

    def test_one_class_alone_is_precise_without_variety(self, values):
        test = data.load("mnist", split="test")
        found = values(test.images[test.labels == 3][-COUNT:])
        assert found["precision"] > 0.8
        assert found["recall"] < 0.1
        assert found["coverage"] < 0.15
        assert found["classes"]["3"] > 0.97

    def test_noise_of_all_strengths_is_not_precise_but_recalls(self, values, mnist):
        """The reverse of a collapse: each image worse by another amount, and none alike."""
        strengths = torch.linspace(0, 0.3, COUNT).view(-1, 1, 1, 1)
        real, worse = values(mnist[1]), values(noisy(mnist[1], strengths))
        assert worse["precision"] < real["precision"] / 2
        assert worse["density"] < real["density"] / 2
        assert worse["recall"] > worse["precision"] + 0.3
        assert worse["frechet_digits"] > 10 * real["frechet_digits"]

    def test_noise_is_not_precise_and_of_one_class(self, values, mnist):
        found = values(noisy(mnist[1], 1.0))
        assert found["precision"] == found["density"] == 0
        assert found["classifier_score"] == pytest.approx(1, abs=0.05)

    def test_real_digits_are_of_all_classes(self, values, mnist):
        found = values(mnist[1])
        assert found["confidence"] > 0.97
        assert found["classifier_score"] > 8.5  # 50 images in a part are not all alike
        assert sum(found["classes"].values()) == pytest.approx(1)
        assert min(found["classes"].values()) > 0.05


class TestCards:
    @pytest.fixture
    def results(self, net, mnist):
        fakes = subject(blurred(mnist[1], 0.5))
        real, others = (subject(images, "mnist", "test") for images in mnist)
        return evaluate(fakes, real, net=net, names=NAMES, seed=7, others=others)

    def test_say_all_that_decides_a_figure(self, results, net, mnist):
        card = results["classifier_score"].card
        assert card["features"] == "digits"
        assert card["features_sha256"] == net.sha256
        assert "28×28" in card["resize"]
        assert card["evaluated"]["n"] == card["reference"]["n"] == COUNT
        assert card["reference"]["split"] == "test"
        assert card["reference"]["sha256"] != card["floor_of"]["sha256"]
        assert card["seed"] == 7
        assert card["spread"] > 0
        assert card["versions"].keys() == {"zerosum", "torch", "numpy", "python"}
        assert json.loads(json.dumps(card)) == card

    def test_the_floor_is_the_figure_of_other_reals(self, results, values, mnist):
        assert results["frechet_digits"].card["floor"] == pytest.approx(
            values(mnist[1])["frechet_digits"]
        )
        assert results["frechet_digits"].card["floor"] < results["frechet_digits"].value

    def test_a_figure_of_few_images_says_so(self, results):
        assert "625 or more" in results["frechet_digits"].card["warning"]
        assert results["confidence"].card["warning"] is None

    def test_without_other_reals_there_is_no_floor(self, net, mnist):
        card = evaluate(subject(mnist[1]), subject(mnist[0]), net=net, names=["fid"], seed=0)[
            "frechet_digits"
        ].card
        assert card["floor"] is card["floor_of"] is None


def test_the_second_time_only_the_samples_are_looked_at(net, mnist, monkeypatch):
    real, others = map(subject, mnist)

    def metrics():
        return evaluate(others, real, net=net, names=["fid", "recall"], seed=0, others=others)

    first = metrics()
    monkeypatch.setattr(
        "zerosum.metrics.embedding.embed", lambda *_, **__: pytest.fail("a net was asked")
    )
    looked = []
    embed = module.embed
    monkeypatch.setattr(
        module, "embed", lambda *given, **how: looked.append(1) or embed(*given, **how)
    )
    assert metrics() == first
    assert len(looked) == 1


def test_of_an_own_net_no_pixels_are_hashed_for_a_floor_that_is_not_kept(net, mnist, monkeypatch):
    done = []
    for name in ("embed", "fingerprint"):
        before = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, _n=name, _f=before, **k: done.append(_n) or _f(*a, **k)
        )
    real, others = map(subject, mnist)
    own = replace(net, sha256=None)
    found = evaluate(others, real, net=own, names=["fid"], seed=0, others=others)
    assert found["frechet_digits"].card["floor"] is not None
    assert done == ["embed", "fingerprint", "fingerprint", "fingerprint"]  # a card has each set's


def test_a_net_is_told_how_many_images_it_will_be_shown(net, mnist):
    """Of real images only those that are not remembered: neither the reference nor its floor."""
    told = []
    shown = []

    def look(images):
        shown.append(len(images))
        return net.look(images)

    counting = replace(net, version="for this test", expect=told.append, look=look)
    images = [subject(each[:120]) for each in mnist]
    how = {"net": counting, "names": ["fid"], "seed": 0}
    evaluate(*images, **how)
    assert told == [240]
    evaluate(*images, others=images[0], **how)
    evaluate(*images, others=images[0], **how)
    assert told == [240, 240, 120]
    assert sum(shown) == sum(told)


def test_images_resized_in_another_way_are_looked_at_anew(net, mnist):
    """The same weights see other features."""
    looked = []
    other = replace(net, resize="another", look=lambda images: looked.append(1) or net.look(images))
    embed_reference(net, mnist[0], keep_features=True)
    embed_reference(net, mnist[0], keep_features=True)
    assert not looked
    embed_reference(other, mnist[0], keep_features=True)
    assert looked


def test_no_names_are_all_that_the_net_allows(net):
    assert choose((), net) == NAMES


class TestLargeSets:
    """Of more images than features are kept of."""

    @pytest.fixture
    def few(self, monkeypatch):
        """Features of so few images are kept."""
        monkeypatch.setattr(module, "MOST_KEPT", 60)

    def test_what_is_counted_and_the_kernel_distance_are_of_all(self, values, mnist, monkeypatch):
        monkeypatch.setattr(kernel, "SUBSET_SIZE", 40)
        monkeypatch.setattr(kernel, "NUM_SUBSETS", 5)
        names = ("fid", "kid", "classes", "modes", "mode_kl")
        images = torch.cat([mnist[1], noisy(mnist[1], 0.3)])
        before = values(images, names=names)
        monkeypatch.setattr(module, "MOST_KEPT", 60)
        assert values(images, names=names) == before

    def test_no_more_is_kept_than_that(self, net, mnist, few, monkeypatch):
        monkeypatch.setattr(kernel, "SUBSET_SIZE", 40)
        monkeypatch.setattr(kernel, "NUM_SUBSETS", 1)
        kept = []

        def looking(*given, **how):
            found = embed(*given, **how)
            kept.append((len(found.features), len(found.logits)))
            return found

        monkeypatch.setattr(module, "embed", looking)
        sides = subject(mnist[1]), subject(mnist[0])
        results = evaluate(*sides, net=net, names=NAMES, seed=0)
        assert kept[0][0] == kept[0][1]
        assert 60 < kept[0][0] <= 60 + 40  # those drawn, and those in a subset
        drawn = {name for name, each in results.items() if each.card["drawn"]}
        assert drawn == {
            *("precision", "recall", "density", "coverage", "classifier_score", "confidence")
        }
        assert results["precision"].card["drawn"] == {"evaluated": 60, "reference": 60}

    def test_those_drawn_stand_for_all(self, net, mnist, few):
        rows = draw_rows(COUNT, seed=3)
        assert len(rows) == 60
        some = [subject(images[rows]) for images in (mnist[1], mnist[0])]
        whole = subject(mnist[1]), subject(mnist[0])
        names = ("precision", "coverage", "confidence")
        expected = evaluate(*some, net=net, names=names, seed=3)
        found = evaluate(*whole, net=net, names=names, seed=3)
        for name in names:
            assert found[name].value == pytest.approx(expected[name].value, abs=1e-6), name

    def test_a_small_side_is_taken_whole(self, net, mnist, few):
        sides = subject(mnist[1][:30]), subject(mnist[0])
        found = evaluate(*sides, net=net, names=("precision",), seed=0)
        assert found["precision"].card["drawn"] == {"evaluated": None, "reference": 60}
