"""Protocols: what they demand, what contradicts them, and how many images they take."""

import pytest

from zerosum.data import SPLITS
from zerosum.errors import UserError
from zerosum.metrics.features import FEATURE_NETS
from zerosum.metrics.inception import RESIZES
from zerosum.metrics.protocols import PROTOCOLS, agree
from zerosum.metrics.registry import METRICS

NOTHING = {"features": None, "resize": None, "split": None, "count": None, "metrics": ()}


def agreed(protocol=None, **wishes):
    return agree(protocol, **(NOTHING | wishes))


@pytest.mark.parametrize("name", PROTOCOLS)
class TestEach:
    def test_names_what_there_is(self, name):
        terms = PROTOCOLS[name]
        assert terms.protocol == name
        assert terms.features in FEATURE_NETS
        assert terms.resize in RESIZES
        assert terms.split in SPLITS
        assert set(terms.metrics) <= set(METRICS)

    def test_holds_where_nothing_contradicts_it(self, name):
        terms = PROTOCOLS[name]
        assert agreed(name) == terms
        same = {field: getattr(terms, field) for field in ("features", "resize", "split")}
        assert agreed(name, **same, count=terms.samples, metrics=terms.metrics) == terms

    @pytest.mark.parametrize(
        ("flag", "wish"),
        [
            ("features", "digits"),
            ("resize", "pytorch-fid"),
            ("count", 1234),
            ("metrics", ("fid", "recall")),
            ("metrics", ("lpips_diversity",)),
        ],
    )
    def test_is_contradicted_by_any_other_wish(self, name, flag, wish):
        with pytest.raises(UserError, match=rf"'{name}' is contradicted by --{flag} "):
            agreed(name, **{flag: wish})

    def test_some_of_its_figures_may_be_chosen(self, name):
        assert agreed(name, metrics=("fid",)).metrics == ("fid",)


def test_all_contradictions_are_named():
    with pytest.raises(UserError) as caught:
        agreed("lucic2018", split="train", count=5000)
    assert "--split train, where it says test; --count 5000, where it says 10000" in str(
        caught.value
    )


def test_an_unknown_protocol_gets_the_closest():
    with pytest.raises(UserError, match="Did you mean 'lucic2018'"):
        agreed("lucic")


def test_without_a_protocol_the_users_terms_hold():
    terms = agreed()
    assert (terms.protocol, terms.features, terms.split) == (None, None, "test")
    assert terms.counts(60_000) == (10_000, 10_000)
    assert terms.counts(700) == (700, 700)
    wishes = {"features": "digits", "split": "train", "count": 50, "metrics": ("kid",)}
    terms = agreed(**wishes)
    assert (terms.features, terms.split, terms.metrics) == ("digits", "train", ("kid",))
    assert terms.counts(60_000) == (50, 50)


@pytest.mark.parametrize("protocol", [None, "lucic2018"])
def test_too_few_images_are_no_figure(protocol):
    with pytest.raises(UserError, match="The number of images was 9: expected at least 10"):
        agreed(protocol, count=9)


class TestCounts:
    def test_lucic_takes_ten_thousand_of_each(self):
        terms = PROTOCOLS["lucic2018"]
        assert terms.counts(10_000) == terms.counts(70_000) == (10_000, 10_000)
        with pytest.raises(UserError, match="takes 10,000 reference images, and there are 9,999"):
            terms.counts(9_999)

    def test_studiogan_takes_as_many_samples_as_there_are_images(self):
        assert PROTOCOLS["studiogan"].counts(50_000) == (50_000, 50_000)

    def test_clean_fid_takes_fifty_thousand_samples(self):
        assert PROTOCOLS["clean-fid"].counts(70_000) == (50_000, 70_000)

    def test_fewer_samples_are_another_protocol(self):
        terms = PROTOCOLS["clean-fid"]
        terms.require_samples(50_000, 50_000)
        with pytest.raises(UserError, match="takes 50,000 samples, and there are 49,999"):
            terms.require_samples(50_000, 49_999)

    def test_a_protocol_without_a_number_needs_some_images_too(self):
        with pytest.raises(UserError, match="takes 10,000 reference images, and there are 9"):
            PROTOCOLS["studiogan"].counts(9)
