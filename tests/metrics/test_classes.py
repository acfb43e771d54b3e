"""What a classifier says of samples, in cases whose answer is known."""

import math

import pytest
import torch

from zerosum.metrics.classes import class_shares, classifier_score, mean_confidence

SURE = 1000.0 * torch.eye(10)


def test_shares_count_the_likeliest_class():
    logits = torch.tensor([[3.0, 0, 0], [0, 2, 1], [5, 4, 4], [1, 0, 0]])
    assert class_shares(logits).tolist() == [0.75, 0.25, 0]


def test_confidence_of_two_answers_known_in_advance():
    # e^log 3 / (e^log 3 + 1) = 3/4, and 1/2.
    logits = torch.tensor([[math.log(3), 0], [0, 0]])
    assert mean_confidence(logits) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_sure_answers_of_every_class_score_the_number_of_classes():
    # 1,000 of each class in turn, so that the random parts are nearly balanced.
    score = classifier_score(SURE.repeat(1000, 1), seed=0)
    assert score.mean == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("logits", [torch.zeros(100, 10), SURE[:1].repeat(100, 1)])
def test_answers_that_are_all_alike_score_one(logits):
    """Unsure of everything, or sure of one class: infinite logarithms do no harm."""
    score = classifier_score(logits, seed=0)
    assert (score.mean, score.deviation) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_it_agrees_with_torch_fidelity(two_sets):
    score = classifier_score(2 * two_sets[0], seed=2020)
    assert score.mean == pytest.approx(3.434611883338703)
    assert score.deviation == pytest.approx(0.14022414907203395)
