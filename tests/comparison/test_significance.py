import itertools

import numpy as np
import pytest
from scipy import stats

from zerosum.comparison import significance as bootstrap
from zerosum.comparison.significance import (
    all_resamples,
    bootstrap_interval,
    estimate,
    paired_difference,
    student_interval,
    student_quantile,
)

METRICS = [5.1, 6.7, 79.9, 5.8, 6.2]


class TestBootstrap:
    def test_all_resamples_are_weighed_as_often_as_they_are_drawn(self):
        values = np.array(METRICS[:4])
        drawn = [np.mean(pick) for pick in itertools.product(values, repeat=4)]  # all 4**4
        chosen, weights = all_resamples(4)
        assert weights.sum() == pytest.approx(1)
        means = values[chosen].mean(axis=1)
        assert (means * weights).sum() == pytest.approx(np.mean(drawn))
        assert (means**2 * weights).sum() == pytest.approx(np.mean(np.square(drawn)))

    def test_it_is_the_percentile_interval_of_all_resamples(self):
        drawn = sorted(np.mean(pick) for pick in itertools.product(METRICS, repeat=5))
        found = bootstrap_interval(METRICS)
        # The smallest mean that 2.5 % of the 3,125 do not exceed, and its mirror image.
        assert found.low == pytest.approx(drawn[int(np.ceil(0.025 * 3125)) - 1])
        assert found.high == pytest.approx(drawn[-int(np.ceil(0.025 * 3125))])

    def test_drawn_resamples_agree_with_scipy(self):
        values = np.random.default_rng(0).normal(size=12)
        found = bootstrap_interval(values)
        other = stats.bootstrap(
            [values], np.mean, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        assert (found.low, found.high) == pytest.approx(other, abs=0.03)
        assert bootstrap_interval(values) == found
        assert bootstrap_interval(values, seed=1) != found

    @pytest.mark.parametrize("count", [3, 5, 8])
    def test_it_mirrors(self, count):
        values = np.random.default_rng(count).normal(size=count)
        found, mirrored = bootstrap_interval(values), bootstrap_interval(-values)
        assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low))


class TestStudent:
    def test_quantiles(self):
        for freedom in [*range(1, 60), 100, 1000]:
            expected = stats.t.ppf(0.975, freedom)
            assert student_quantile(freedom) == pytest.approx(expected, abs=1.1e-4)

    def test_interval(self):
        expected = stats.t.interval(
            0.95, 4, loc=np.mean(METRICS), scale=np.std(METRICS, ddof=1) / np.sqrt(5)
        )
        found = student_interval(METRICS)
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-4)


class TestEstimate:
    def test_one_collapsed_seed_moves_the_mean_and_not_the_median(self):
        found = estimate(METRICS)
        assert (found.count, found.mean, found.median) == (5, pytest.approx(20.74), 6.2)

    @pytest.mark.parametrize("count", [1, 2])
    def test_fewer_than_three_give_no_interval_and_show_nothing(self, count):
        found = estimate([3.0] * count)
        assert found.bootstrap is None
        assert found.student is None
        assert not found.is_off_zero

    def test_a_difference_needs_both_intervals(self):
        # All of one sign: no resample's mean reaches 0. But Student's interval does.
        found = estimate([0.1, 0.2, 9.0])
        assert found.bootstrap.low > 0
        assert found.student.low < 0
        assert not found.is_off_zero
        assert estimate([1.0, 1.1, 1.2]).is_off_zero
        assert estimate([-1.0, -1.1, -1.2]).is_off_zero
        assert not estimate([0.0, 0.0, 0.0]).is_off_zero

    def test_pairs_are_of_one_seed(self):
        first = {0: 1.0, 1: 50.0, 2: 3.0, 7: 9.0}
        second = {2: 5.0, 1: 51.0, 0: 4.0, 8: 2.0}
        found = paired_difference(first, second)
        assert (found.count, found.mean, found.median) == (3, 2.0, 2.0)
        assert paired_difference(first, {5: 1.0}) is None


# How often an interval holds the true mean, as the module says it and the remarks repeat it.
@pytest.mark.parametrize(
    ("count", "by_bootstrap", "by_student"), [(3, 0.75, 0.95), (5, 0.84, 0.95), (10, 0.90, 0.95)]
)
def test_coverage_of_normal_figures(count, by_bootstrap, by_student, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    draws = np.random.default_rng(0).normal(size=(2000, count))
    # 2,000 draws settle a share to about 0.02.
    assert coverage(bootstrap_interval, draws, 0) == pytest.approx(by_bootstrap, abs=0.02)
    assert coverage(student_interval, draws, 0) == pytest.approx(by_student, abs=0.02)


def test_coverage_where_one_seed_in_five_collapses():
    numbers = np.random.default_rng(1)
    collapsed = numbers.random((4000, 5)) < 0.2
    draws = numbers.normal(6, 0.7, (4000, 5)) + 74 * collapsed
    for interval in (bootstrap_interval, student_interval):
        assert coverage(interval, draws, 6 + 0.2 * 74) == pytest.approx(2 / 3, abs=0.03)


def test_a_difference_that_is_none_is_shown_in_at_most_five_percent():
    for count in (3, 5):
        draws = np.random.default_rng(1).normal(size=(1000, count))
        assert np.mean([estimate(draw).is_off_zero for draw in draws]) <= 0.06


def coverage(interval, draws, mean):
    return np.mean([interval(draw).holds(mean) for draw in draws])
