"""Verdicts from hand-made signals, and the detectors against closed forms and scipy."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zerosum.metrics.health import (
    HEALTHY,
    HealthSignals,
    diagnose,
    identical_share,
    missing_classes,
    ranking,
    wide_turns,
)

WELL = HealthSignals(
    seen=0,
    metric=10.0,
    separation=0.95,
    gap=3.0,
    train_separation=0.51,
    D_gradient=1.0,
    G_gradient=1.0,
    diversity=0.8,
    identical=0.05,
    missing=[],
    modes=1.0,
    near=0.02,
    ratio=0.9,
)


def course(*metrics, every=300_000, **signals):
    """A history of these metrics, so many images apart, whose looks have other signals as well."""
    return [
        replace(WELL, seen=every * number, metric=metric, **signals)
        for number, metric in enumerate(metrics, start=1)
    ]


class TestNoise:
    @pytest.mark.parametrize(("metric", "healthy"), [(30, False), (10, False), (9.9, True)])
    def test_healthy_is_only_what_is_clearly_nearer_to_reals_than_noise(self, metric, healthy):
        verdict = diagnose(course(metric), noise=40.0)
        assert (verdict == HEALTHY) is healthy
        if not healthy:
            assert (verdict.name, verdict.alarm) == ("too early to tell", False)
            assert f"the samples is {metric}, and noise has 40" in verdict.why

    def test_a_failure_is_named_before_it(self):
        assert diagnose(course(30, identical=0.9), noise=40.0).name == "forming"


class TestDiagnose:
    @pytest.mark.parametrize(
        "metrics",
        [
            (10,),
            (30, 20, 15, 14),
            (10, 10, 10, 10),
            (10, 25, 30),
            (10, 30, 30, 10, 10),
            (6.2, 6.9, 6.0, 6.8, 6.1, 7.0, 6.3, 7.1),
        ],
        ids=["first look", "gaining", "level", "worse", "once up and down", "small swings"],
    )
    def test_healthy(self, metrics):
        assert diagnose(course(*metrics)) == HEALTHY

    def test_D_has_won(self):
        verdict = diagnose(course(50, 50, 51, 50, separation=1.0))
        assert verdict.name == "D has won"
        assert "100.0% of the time" in verdict.why

    def test_D_may_see_through_a_G_that_gains(self):
        verdict = diagnose(course(250, 150, 120, separation=1.0, identical=1.0))
        assert (verdict.name, verdict.alarm) == ("forming", False)

    def test_one_look_at_a_perfect_D_proves_nothing(self):
        looks = [*course(10, 10, 10, 10), replace(WELL, separation=1.0)]
        assert diagnose(looks) == HEALTHY

    @pytest.mark.parametrize(
        ("signals", "words"),
        [
            ({"missing": ["0", "7"]}, "hardly any samples of 0, 7"),
            ({"identical": 0.9}, "90% of the samples are nearly identical"),
            ({"diversity": 0.1}, "vary 10% as much"),
        ],
    )
    def test_collapsing(self, signals, words):
        for metrics in [(20, 61), (20, 20, 20, 20)]:
            verdict = diagnose(course(*metrics, **signals))
            assert (verdict.name, verdict.alarm) == ("collapsing", True)
            assert words in verdict.why

    @pytest.mark.parametrize("metrics", [(20,), (20, 30), (20, 30, 30), (28, 35, 37, 26)])
    def test_a_class_may_be_lost_for_a_while(self, metrics):
        verdict = diagnose(course(*metrics, missing=["0", "7"]))
        assert (verdict.name, verdict.alarm) == ("forming", False)
        assert "hardly any samples of 0, 7" in verdict.why

    def test_copies_are_memorising(self):
        assert diagnose(course(5, 5, near=0.9, ratio=0.1)).name == "memorising"

    def test_easy_images_that_lie_near_all_others_are_no_copies(self):
        assert diagnose(course(5, 5, near=0.6, ratio=0.7)) == HEALTHY

    def test_a_D_that_knows_the_training_images_is_memorising(self):
        verdict = diagnose(course(5, 5, train_separation=0.9))
        assert verdict.name == "memorising"
        assert "held-out" in verdict.why

    @pytest.mark.parametrize("every", [60_000, 120_000, 300_000])
    def test_the_hump_of_a_run_that_turned_out_well_is_no_alarm(self, every):
        """The default recipe on MNIST, seed 0, looked at after each epoch.

        To epoch 16 as logged; from there drawn through those of epochs 20 and 25.
        """
        metrics = [257.8, 154.9, 130.5, 76.6, 28.7, 26.2, 27.7, 29.4, 36.0, 35.2, 51.8, 53.4]
        metrics += [47.3, 41.6, 37.8, 32.3, 30.1, 28.9, 28.0, 27.2, 24.6, 22.3, 20.2, 18.5, 17.0]
        looks = course(*metrics, every=60_000, missing=["0", "6"])[:: every // 60_000]
        for end in range(1, len(looks) + 1):
            assert not diagnose(looks[:end]).alarm

    def test_few_of_a_thousand_modes(self):
        verdict = diagnose(course(20, 20, 20, 20, modes=0.1))
        assert verdict.name == "collapsing"
        assert "10% of the classes that as many real images show" in verdict.why

    def test_worsening(self):
        verdict = diagnose(course(6, 6, 6, 60, 120, 300))
        assert verdict.name == "worsening"
        assert "--checkpoint best" in verdict.why
        assert diagnose(course(6, 6, 6, 60)) == HEALTHY  # one look proves nothing

    @pytest.mark.parametrize(
        "metrics",
        [(10, 30, 9, 28, 11, 31), (10, 30, 30, 10, 10, 30, 30, 10, 10, 30)],
        ids=["fast", "slow"],
    )
    def test_oscillating(self, metrics):
        assert diagnose(course(*metrics)).name == "oscillating"

    @pytest.mark.parametrize(
        ("metrics", "turns"),
        [
            ((1, 2, 4, 8), 0),
            ((8, 4, 2, 1), 0),
            ((1, 2, 1, 2), 2),
            ((1, 1.2, 1, 1.2), 0),
            ((4, 1, 4), 1),
        ],
    )
    def test_only_wide_turns_count(self, metrics, turns):
        assert wide_turns(metrics) == turns

    def test_the_cause_comes_before_its_consequences(self):
        signals = {"separation": 1.0, "identical": 1.0, "near": 1.0, "ratio": 0.0}
        assert diagnose(course(50, 50, 50, 50, **signals)).name == "D has won"


class TestRanking:
    def test_all_above_all(self):
        assert ranking(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])) == 1
        assert ranking(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])) == 0

    def test_ties_count_half(self):
        assert ranking(torch.zeros(5, 1), torch.zeros(3, 1)) == 0.5

    @given(
        st.lists(st.integers(-5, 5), min_size=1, max_size=20),
        st.lists(st.integers(-5, 5), min_size=1, max_size=20),
    )
    def test_is_mann_and_whitneys(self, above, below):
        expected = stats.mannwhitneyu(above, below).statistic / len(above) / len(below)
        assert ranking(torch.tensor(above), torch.tensor(below)) == pytest.approx(expected)


class TestIdenticalShare:
    def test_reals_against_reals(self):
        points = torch.randn(2, 2000, 8, generator=torch.Generator().manual_seed(0))
        assert identical_share(*points) < 0.03

    def test_one_point_many_times(self):
        reals = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
        assert identical_share(torch.ones(500, 8), reals) == 1

    def test_half_of_the_samples_alike(self):
        points = torch.randn(2, 1000, 8, generator=torch.Generator().manual_seed(0))
        points[0, :500] = points[0, 0]
        assert identical_share(*points) == pytest.approx(0.5, abs=0.03)


def test_missing_classes():
    names = ["a", "b", "c"]
    assert missing_classes([0.5, 0.004, 0.05], [0.1, 0.1, 0.1], names, count=1000) == ["b"]
    assert missing_classes([0.0], [0.0], ["absent from the data"], count=1000) == []


def test_a_class_that_chance_may_leave_out_is_not_missing():
    assert missing_classes([0.0, 0.0], [0.001, 0.02], ["rare", "common"], count=1000) == ["common"]
