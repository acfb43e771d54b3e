"""Whether a group of runs differs from another, and no more certainty than two intervals allow."""

from __future__ import annotations

from dataclasses import dataclass

from zerosum.comparison.significance import LEAST_SEEDS, Estimate, paired_difference


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One group against the first, paired by seed.

    Attributes:
        name: the group.
        estimate: of how much its metrics lie above the first group's; None without common seeds.
        wins: in how many pairs the group is the better one; None where better has no direction.
        shown: whether there is a difference beyond chance, at 95 %.
        verdict: the same in words.
    """

    name: str
    estimate: Estimate | None
    wins: int | None
    shown: bool
    verdict: str


def judge(
    name: str, first: dict[int, float], second: dict[int, float], *, better: str, same_data: bool
) -> Difference:
    """Say whether a group differs from the first, and claim no more than two intervals bear out."""
    found = paired_difference(first, second)
    sign = {"lower": -1, "higher": 1}.get(better)
    wins = None
    if sign is not None:
        wins = sum(sign * (second[seed] - first[seed]) > 0 for seed in first.keys() & second.keys())
    shown = found is not None and found.is_off_zero and same_data
    return Difference(
        name=name,
        estimate=found,
        wins=wins,
        shown=shown,
        verdict=in_words(found, sign=sign, shown=shown, same_data=same_data),
    )


def in_words(found: Estimate | None, *, sign: int | None, shown: bool, same_data: bool) -> str:
    """The verdict on a difference."""
    if not same_data:
        return "not comparable: trained on other data"
    if found is None:
        return "no difference shown: no seed in common"
    if found.count < LEAST_SEEDS:
        few = "1 pair is" if found.count == 1 else f"{found.count} pairs are"
        return f"no difference shown: {few} too few to tell"
    if not shown:
        return "no difference shown"
    word = (
        ("higher" if found.mean > 0 else "lower")
        if sign is None
        else ("better" if sign * found.mean > 0 else "worse")
    )
    return f"{word} by {abs(found.mean):.4g}"
