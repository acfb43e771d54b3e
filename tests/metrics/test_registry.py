"""The names of metrics: what may be registered, asked for and printed, and when to doubt it."""

import pytest

from zerosum.errors import UserError
from zerosum.metrics.registry import METRICS, better, read_names, register, reported_name


@pytest.fixture(autouse=True)
def only_here(monkeypatch):
    """What a test registers is forgotten."""
    monkeypatch.setattr("zerosum.metrics.registry.METRICS", METRICS.copy())


class TestNames:
    def test_only_inceptions_frechet_distance_is_an_fid(self):
        assert reported_name("fid", "inception") == "fid"
        assert reported_name("fid", "fashion") == "frechet_fashion"
        assert reported_name("kid", "fashion") == "kid"

    @pytest.mark.parametrize("net", ["digits", "random", "inception", "my_net:f"])
    def test_what_is_printed_can_be_asked_for(self, net):
        assert read_names([f"frechet_{net}", "kid"]) == (("fid", "kid"), net)
        assert read_names(["kid", f" frechet_{net}"], net) == (("kid", "fid"), net)
        assert read_names([reported_name("fid", net)], net) == (("fid",), net)

    def test_fid_is_of_whatever_features(self):
        assert read_names(["fid", "", "recall "]) == (("fid", "recall"), None)
        assert read_names(["fid", "frechet_digits", "fid"], "digits") == (("fid",), "digits")

    @pytest.mark.parametrize(
        ("names", "features"), [(["frechet_digits"], "random"), (["frechet_a", "frechet_b"], None)]
    )
    def test_two_nets_for_one_distance_are_refused(self, names, features):
        with pytest.raises(UserError, match="is the Fréchet distance in the features '"):
            read_names(names, features)

    def test_an_unknown_one_gets_the_closest(self):
        with pytest.raises(UserError, match="Did you mean 'recall'"):
            read_names(["recal"])


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("frechet_random_A", "lower"),
        ("kid", "lower"),
        ("val_psnr", "higher"),
        ("lpips_vgg", "lower"),
        ("lpips_diversity", "like real"),
        ("of some other program", "lower"),
    ],
)
def test_which_way_is_better(name, way):
    assert better(name) == way


@pytest.mark.parametrize(
    ("name", "count", "num_features", "num_classes", "doubted"),
    [
        ("fid", 10_000, 2048, 0, False),
        ("fid", 9_999, 2048, 0, True),
        ("kid", 999, 2048, 0, True),
        ("recall", 1000, 2048, 0, False),
        ("recall", 999, 2048, 0, True),
        ("confidence", 10, 2048, 10, False),
        ("classifier_score", 999, 128, 10, True),
        ("modes", 25_999, 384, 1000, True),
        ("mode_kl", 26_000, 384, 1000, False),
        ("lpips_diversity", 199, 0, 0, True),
        ("psnr", 1, 0, 0, False),
    ],
)
def test_few_images_are_doubted(name, count, num_features, num_classes, doubted):
    doubt = METRICS[name].doubt(count=count, num_features=num_features, num_classes=num_classes)
    assert bool(doubt) == doubted


class TestRegister:
    def test_one_of_ones_own_may_be_replaced_by_another(self):
        register("mine", lambda pair: 1.0, better="higher")
        register("mine", lambda pair: 2.0, better="lower")
        assert better("mine") == "lower"
        assert read_names(["mine"]) == (("mine",), None)

    @pytest.mark.parametrize("name", ["fid", "psnr", "", "a,b", "a b", "frechet_mine", "val_mine"])
    def test_a_name_that_would_mean_something_else_is_refused(self, name):
        with pytest.raises(UserError, match=f"cannot be called '{name}'"):
            register(name, lambda pair: 1.0, better="higher")

    @pytest.mark.parametrize("wrong", [{"better": "more"}, {"better": "lower", "needs": "image"}])
    def test_a_word_that_means_nothing_is_refused(self, wrong):
        with pytest.raises(UserError, match="Valid names: "):
            register("mine", lambda pair: 1.0, **wrong)
