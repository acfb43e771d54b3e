from pathlib import Path

import pytest

from zerosum.comparison.compare import compare
from zerosum.errors import UserError

NOISE = (0.0, 0.3, -0.2, 0.1, -0.1)


@pytest.fixture
def make_groups(make_run):
    """Five seeds of `base` and of `other`, which is lower by `gain` on the whole."""

    def make(gain, *, collapsed=None, seeds=range(5), noise=NOISE):
        for seed in seeds:
            metric = 80.0 if seed == collapsed else 8 + seed + noise[seed]
            bad = "collapsing" if seed == collapsed else "healthy"
            make_run(f"base-seed-{seed}", seed=seed, metrics=(metric + 1, metric), health=bad)
            other = 8 + seed - gain
            make_run(f"other-seed-{seed}", seed=seed, metrics=(other, other + 2), precision="bf16")
        return sorted(Path().glob("base-*")), sorted(Path().glob("other-*"))

    return make


def caveats_of(*paths):
    return "\n".join(compare([Path(path) for path in paths]).caveats)


def test_best_and_last_of_every_run(make_groups):
    bases, others = make_groups(1)
    best, last = compare([*bases, *others]).metrics
    assert (best.name, best.kind, best.better) == ("frechet_digits", "best logged", "lower")
    assert last.kind == "last logged"
    assert best.values[1] == pytest.approx({seed: 7 + seed for seed in range(5)})
    assert last.values[1] == pytest.approx({seed: 9 + seed for seed in range(5)})
    assert best.estimates[1].mean == pytest.approx(9)


def test_a_difference_that_every_pair_bears_out_is_shown(make_groups):
    """The metrics of the seeds overlap widely: only in pairs does it show."""
    bases, others = make_groups(1)
    (difference,) = compare([*bases, *others]).metrics[0].differences
    assert difference.name == "precision=bf16"
    assert difference.estimate.mean == pytest.approx(-1.02)
    assert difference.shown
    assert difference.wins == 5
    assert difference.verdict == "better by 1.02"
    (reverse,) = compare([*others, *bases]).metrics[0].differences
    assert reverse.verdict == "worse by 1.02"
    assert reverse.wins == 0


def test_none_is_claimed_where_there_is_none(make_groups):
    bases, others = make_groups(0)
    (difference,) = compare([*bases, *others]).metrics[0].differences
    assert not difference.shown
    assert difference.verdict == "no difference shown"


def test_a_collapsed_seed_is_kept_and_said(make_groups):
    bases, others = make_groups(1, collapsed=2)
    comparison = compare([*bases, *others])
    metric = comparison.metrics[0]
    assert metric.values[0][2] == 80
    assert metric.estimates[0].mean > 20 > metric.estimates[0].median
    # Better in every pair, and yet the mean difference might be anything.
    assert metric.differences[0].wins == 5
    assert metric.differences[0].verdict == "no difference shown"
    assert any("base-seed-2' was last judged 'collapsing'" in text for text in comparison.caveats)


@pytest.mark.parametrize(
    ("seeds", "verdict"),
    [(range(1), "1 pair is too few to tell"), (range(2), "2 pairs are too few to tell")],
)
def test_too_few_seeds_show_nothing_however_large_the_difference(make_groups, seeds, verdict):
    bases, others = make_groups(5, seeds=seeds)
    comparison = compare([*bases, *others])
    (difference,) = comparison.metrics[0].differences
    assert difference.verdict == f"no difference shown: {verdict}"
    assert comparison.metrics[0].estimates[0].interval is None
    assert any("Fewer than 3 seeds" in text for text in comparison.caveats)


def test_seeds_without_a_partner_are_in_no_pair(make_groups):
    bases, others = make_groups(1)
    comparison = compare([*bases, *others[1:]])
    assert comparison.metrics[0].differences[0].estimate.count == 4
    assert comparison.metrics[0].estimates[0].count == 5
    assert "has seed 0: in the means" in "\n".join(comparison.caveats)
    (difference,) = compare([bases[0], others[1]]).metrics[0].differences
    assert difference.verdict == "no difference shown: no seed in common"


def test_every_group_is_held_against_the_first(make_run):
    names = []
    for epochs in (4, 5, 6):
        for seed in range(3):
            names.append(f"{epochs}-seed-{seed}")
            metric = 10.0 - epochs + seed + 0.01 * epochs * seed
            make_run(names[-1], seed=seed, epochs=epochs, metrics=(20.0, metric))
    comparison = compare([Path(name) for name in names])
    found = comparison.metrics[1].differences
    assert [each.name for each in found] == ["epochs=5", "epochs=6"]
    assert [each.estimate.mean for each in found] == pytest.approx([-0.99, -1.98])
    assert all(each.shown for each in found)
    text = "\n".join(comparison.caveats)
    assert "different budgets. epochs=4: 4 epochs; epochs=5: 5 epochs" in text
    assert "'6-seed-0' stands at epoch 4 (40 images) of 6 epochs" in text
    assert "4 differences are judged here" in text


def test_one_group_has_metrics_and_no_differences(make_groups):
    bases, _ = make_groups(0)
    comparison = compare(bases)
    assert [group.name for group in comparison.groups] == ["base"]
    assert comparison.metrics[0].estimates[0].count == 5
    assert comparison.metrics[0].differences == ()


def test_other_data_are_warned_of_and_never_judged(make_groups, make_run):
    bases, _ = make_groups(0)
    for seed in range(5):
        make_run(f"foreign-{seed}", seed=seed, data="cd" * 32, metrics=(1.0, 1.0))
    comparison = compare([*bases, *Path().glob("foreign-*")])
    (difference,) = comparison.metrics[0].differences
    assert difference.verdict == "not comparable: trained on other data"
    assert not difference.shown
    assert comparison.caveats[0].startswith("WARNING: these groups were trained on different data")


class TestMistakes:
    @pytest.mark.parametrize("paths", [["a"], ["a", "a"]])
    def test_one_run_is_no_comparison(self, make_run, paths):
        make_run("a")
        with pytest.raises(UserError, match="Received 1 run: comparing needs two"):
            compare([Path(path) for path in paths])

    def test_a_path_that_is_no_run(self, make_run):
        make_run("a")
        with pytest.raises(UserError, match=r"There is no run in 'b'.*Runs beside it: a"):
            compare([Path("a"), Path("b")])

    def test_no_metrics_at_all(self, make_run):
        make_run("a", metrics=())
        make_run("b", metrics=(), seed=1)
        with pytest.raises(UserError, match=r"--evaluate-every 5.*--metrics fid"):
            compare([Path("a"), Path("b")])
