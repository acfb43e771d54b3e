"""The two sides of a comparison: which images are drawn, and how many."""

import pytest
import torch

from zerosum.config.specs import read_size
from zerosum.errors import UserError
from zerosum.evaluation.images import Source, agreed_counts, draw, draw_others
from zerosum.metrics.evaluate import ImageCollection
from zerosum.metrics.protocols import PROTOCOLS, agree

NOTHING = {"features": None, "resize": None, "split": None, "metrics": ()}


@pytest.fixture
def whole():
    """100 images, each of its own number."""
    return ImageCollection(
        name="numbers", split=None, images=torch.arange(100.0).view(100, 1, 1, 1)
    )


def numbers(subject):
    return subject.images.flatten().tolist()


class TestDraw:
    def test_the_seed_and_the_purpose_decide(self, whole):
        drawn = numbers(draw(whole, 30, "reference", 0))
        assert drawn == numbers(draw(whole, 30, "reference", 0))
        assert drawn != numbers(draw(whole, 30, "reference", 1))
        assert drawn != numbers(draw(whole, 30, "floor", 0))
        assert drawn == sorted(set(drawn))

    def test_those_after_others_are_others(self, whole):
        first = numbers(draw(whole, 30, "reference", 0))
        second = numbers(draw(whole, 70, "reference", 0, skip=30))
        assert sorted(first + second) == numbers(whole)

    def test_all_are_all(self, whole):
        assert numbers(draw(whole, 100, "samples", 5)) == numbers(whole)


class TestOthers:
    def others(self, whole, taken, count):
        source = Source("numbers.npz", {}, print)
        terms = agree(None, count=taken, **NOTHING)
        return draw_others(source, whole, terms, seed=0, taken=taken, count=count)

    def test_a_source_without_splits_gives_those_that_are_no_reference(self, whole):
        reference = numbers(draw(whole, 40, "reference", 0))
        others = numbers(self.others(whole, taken=40, count=60))
        assert sorted(reference + others) == numbers(whole)

    def test_there_are_none_where_there_are_too_few(self, whole):
        assert self.others(whole, taken=40, count=61) is None


class TestCounts:
    def counts(self, terms, fakes, reals):
        notices = []
        return agreed_counts(terms, fakes, reals, notices.append), notices

    @pytest.mark.parametrize(("fakes", "reals"), [(300, 70), (70, 300)])
    def test_without_a_protocol_both_sides_have_as_many(self, fakes, reals):
        found, notices = self.counts(agree(None, count=None, **NOTHING), fakes, reals)
        assert found == (70, 70)
        assert notices == ["Comparing 70 images on either side: there are no more."]

    def test_as_many_as_asked_for_need_no_notice(self):
        assert self.counts(agree(None, count=50, **NOTHING), 70, 80) == ((50, 50), [])

    def test_a_protocol_may_have_different_ones(self):
        found, notices = self.counts(PROTOCOLS["clean-fid"], 50_123, 60_000)
        assert (found, notices) == ((50_000, 60_000), [])

    def test_a_protocol_is_not_made_do_with_fewer(self):
        with pytest.raises(UserError, match="takes 50,000 samples, and there are 300"):
            self.counts(PROTOCOLS["clean-fid"], 300, 60_000)

    def test_nine_are_too_few(self):
        with pytest.raises(UserError, match="There are 9 images to compare"):
            self.counts(agree(None, count=None, **NOTHING), 9, 100)


@pytest.mark.parametrize(
    ("text", "size"), [(None, None), ("", None), ("64", (64, 64)), ("48x64", (48, 64))]
)
def test_sizes(text, size):
    assert read_size(text) == size
