"""The mean over training seeds, how far it may be from the mean over all seeds, and differences.

Student's t interval at 95 % is exact for normal values. It cannot know of a rare collapse that no
seed has shown: where one seed in five collapses, five seeds hold the mean in two cases of three.
The percentile bootstrap, which assumes no distribution, would be no better there and is far too
narrow over a handful of seeds (Hesterberg 2015, "What Teachers Should Know about the Bootstrap";
Colas et al. 2018, arXiv 1806.08295); asked beside Student's, it never decided. The tests simulate
all of these. A difference counts as shown only if its interval leaves out 0.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
LEAST_SEEDS = 3
"""Two values tell next to nothing of how they spread."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """From low to high, both included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What values, one a seed, say of their mean.

    Attributes:
        count: how many there are.
        mean: their mean, which one collapsed seed can move at will.
        median: their median, which it cannot.
        interval: Student's, of the mean; None for fewer than three values.
    """

    count: int
    mean: float
    median: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One group against the first, paired by seed.

    Attributes:
        name: the group.
        estimate: of how much its values lie above the first group's; None without common seeds.
        wins: in how many pairs the group is the better one; None where better has no direction.
        shown: whether there is a difference beyond chance, at 95 %.
        verdict: the same in words.
    """

    name: str
    estimate: Estimate | None
    wins: int | None
    shown: bool
    verdict: str


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean behind values of independent seeds.

    Args:
        values: finite, one a seed, at least one; none may have been left out for what it is.
    """
    count, mean = len(values), statistics.fmean(values)
    interval = None
    if count >= LEAST_SEEDS:
        from scipy.special import stdtrit  # a third of scipy.stats to import

        quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
        reach = quantile * statistics.stdev(values) / math.sqrt(count)
        interval = Interval(low=mean - reach, high=mean + reach)
    return Estimate(count=count, mean=mean, median=statistics.median(values), interval=interval)


def difference(
    name: str,
    first: Mapping[int, float],
    second: Mapping[int, float],
    *,
    better: str,
    same_data: bool,
) -> Difference:
    """Say whether a group differs from the first, seed by seed, and claim no more than that.

    Runs of one seed share the order of the data and, where the nets agree, the first weights, so
    their difference may spread less than the values do.

    Args:
        name: the group.
        first: the first group's values by training seed.
        second: the group's.
        better: "lower", "higher", or what the values should be like.
        same_data: whether both were trained on the same data.
    """
    gains = [second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())]
    found = estimate(gains) if gains else None
    sign = {"lower": -1, "higher": 1}.get(better)
    shown = False
    if not same_data:
        verdict = "not comparable: trained on other data"
    elif found is None:
        verdict = "no difference shown: no seed in common"
    elif found.interval is None:
        few = "1 pair is" if found.count == 1 else f"{found.count} pairs are"
        verdict = f"no difference shown: {few} too few to tell"
    elif found.interval.holds(0):
        verdict = "no difference shown"
    else:
        shown = True
        words = ("higher", "lower") if sign is None else ("better", "worse")
        verdict = f"{words[found.mean * (sign or 1) < 0]} by {abs(found.mean):.4g}"
    return Difference(
        name=name,
        estimate=found,
        wins=None if sign is None else sum(sign * gain > 0 for gain in gains),
        shown=shown,
        verdict=verdict,
    )
