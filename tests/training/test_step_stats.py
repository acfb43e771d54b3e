import math

import pytest
import torch

from zerosum.training.step_stats import StepStats


def tally_of(**columns):
    stats = StepStats()
    for name, values in columns.items():
        for value in values:
            stats.add({name.replace("_", "/"): torch.tensor(float(value))})
    return stats


def test_an_interval_is_read_as_means():
    assert tally_of(D_a=[1, 2, 6], G_b=[5]).means() == {"D/a": 3.0, "G/b": 5.0}


def test_the_last_values_alone_can_be_read():
    assert tally_of(D_a=[1, 2, 6], G_b=[5]).means() == {"D/a": 3.0, "G/b": 5.0}


def test_nothing_was_tallied_nothing_is_read():
    stats = StepStats()
    assert stats.means() == {}
    assert stats.first_not_finite() is None


def test_clearing_begins_a_new_interval():
    stats = tally_of(D_a=[math.nan])
    stats.clear()
    stats.add({"D/a": torch.tensor(7.0)})
    assert stats.means() == {"D/a": 7.0}


def test_what_was_saved_goes_on_as_if_nothing_had_happened():
    whole, restored = tally_of(D_a=[0.1, 0.2], G_b=[0.3]), StepStats()
    restored.restore(whole.state())
    for stats in (whole, restored):
        stats.add({"D/a": torch.tensor(0.7)})
    assert restored.means() == whole.means()
    assert restored.state().keys() == whole.state().keys()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"D_a": [1, 2], "G_b": [3, 4]}, None),
        ({"D_a": [1, math.inf], "G_b": [3, 4]}, ("D/a", 1, math.inf)),
        ({"D_a": [1, -math.inf], "G_b": [math.inf, 4]}, ("G/b", 0, math.inf)),
        # In one round D's turn comes first.
        ({"D_a": [1, math.inf], "G_b": [1, -math.inf]}, ("D/a", 1, math.inf)),
        # "DDG": D's fourth turn is in round 2, before G's in round 3, though 3 is more than 2.
        ({"D_a": [1, 1, 1, math.inf, 1, 1], "G_b": [1, 1, -math.inf]}, ("D/a", 3, math.inf)),
        ({"D_a": [1, 1, 1, 1, math.inf, 1], "G_b": [1, -math.inf, 1]}, ("G/b", 1, -math.inf)),
    ],
)
def test_the_first_value_that_is_not_finite_is_found(columns, expected):
    assert tally_of(**columns).first_not_finite() == expected


def test_nan_is_found_too():
    name, index, value = tally_of(D_a=[1, math.nan, math.inf]).first_not_finite()
    assert (name, index) == ("D/a", 1)
    assert math.isnan(value)
