"""Counts of classes and of Gaussians, batch by batch."""

import torch

from zerosum.metrics.tallies import GOOD_DEVIATIONS, Tallies, count_nearest

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))


def test_the_counts_of_parts_add_up_to_those_of_all():
    whole = Tallies.of(LOGITS)
    assert whole.likely.tolist() == LOGITS.argmax(1).bincount(minlength=4).tolist()
    parts = Tallies.of(LOGITS[:7]) + Tallies.of(LOGITS[7:])
    assert torch.equal(parts.likely, whole.likely)
    assert (parts.nearest, parts.good) == (None, None)


def test_a_class_that_nobody_is_of_has_its_place():
    assert Tallies.of(torch.tensor([[1.0, 0, 0, 0]])).likely.tolist() == [1, 0, 0, 0]


def test_points_are_counted_by_the_nearest_centre_and_the_good_ones_again():
    distances = torch.tensor([[1.0, 9], [9, 2.0], [GOOD_DEVIATIONS, 9], [8, 7]])
    nearest, good = count_nearest(distances)
    assert nearest.tolist() == [2, 2]
    assert good.tolist() == [1, 1]  # within means strictly nearer
    of_logits = Tallies.of(-distances.double().square() / 2, gaussians=True)
    assert torch.equal(of_logits.nearest, nearest)
    assert torch.equal(of_logits.good, good)
    twice = of_logits + of_logits
    assert twice.good.tolist() == [2, 2]


def test_they_come_back_from_what_is_kept():
    of_points = Tallies.of(-LOGITS.abs(), gaussians=True)
    back = Tallies.from_tensors({"mean": LOGITS, **of_points.tensors()})
    assert torch.equal(back.nearest, of_points.nearest)
    assert Tallies.from_tensors({"mean": LOGITS}) is None
