"""Signs of a training's health, and what they mean in plain words.

The signals are numbers that any game has: how well D tells reals from fakes, how varied the fakes
are, whether they are copies. Rankings and ratios are used, not D's probabilities or losses, so that
one rule serves every objective. `diagnose` turns a history of signals into a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.metrics.memorization import are_copies
from zerosum.metrics.precision_recall import squared_radii

IDENTICAL = 0.01
"""The quantile of the reals' distances to their nearest neighbour, below which fakes are alike."""


@dataclass(frozen=True, kw_only=True)
class HealthSignals:
    """What one look at the players has found.

    Attributes:
        seen: real images dealt so far.
        metric: distance of G's samples from real images, lower is better.
        separation: chance that D ranks a real image above a fake, in [0, 1]; 0.5 when it cannot
            tell, 1 when it is never wrong.
        gap: D's mean logit of real images less that of fakes.
        train_separation: chance that D ranks a training image above a held-out one; 0.5 when D
            has learnt what is general. None where nothing is held out.
        D_gradient, G_gradient: norm of the player's last gradient.
        diversity: variance of the samples' features over that of the reals'; 1 is ideal.
        identical: share of samples nearer to another one than 99 % of reals are to another real;
            0.01 is ideal.
        missing: classes that hardly occur among the samples, [] where classes are not known.
        modes: classes found among the samples over those among as many reals; None where classes
            are not known.
        near, ratio: as `memorization.Memorization`: share of samples nearer to a training image
            than 99 % of other reals are, and the ratio of the median distances; None where the
            data are too full of copies themselves to tell.
    """

    seen: int
    metric: float
    separation: float
    gap: float
    train_separation: float | None
    D_gradient: float
    G_gradient: float
    diversity: float
    identical: float
    missing: list[str]
    modes: float | None
    near: float | None
    ratio: float | None


@dataclass(frozen=True)
class Verdict:
    """A finding: its name, what was seen, whether somebody should know at once."""

    name: str
    why: str = ""
    alarm: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" if self.why else self.name


HEALTHY = Verdict("healthy", alarm=False)

# Thresholds were set between the signals of healthy runs and of runs that were made to fail; the
# tests force each failure (docs/results.md, "Health").
# The vanilla recipe on MNIST gets worse, by as much as twice, from 360,000 images to 720,000, and
# has made that good by 1,200,000.
PATIENCE_IMAGES, PATIENCE_LOOKS, GAIN, RELAPSE = 900_000, 3, 0.95, 3.0
WON_SEPARATION = 0.999
COLLAPSED_DIVERSITY = 0.25
COLLAPSED_IDENTICAL = 0.5
MISSING_SHARE, ENOUGH = 0.1, 20
COPIES_NEAR, COPIES_RATIO = 0.5, 0.4
MEMORISED_SEPARATION = 0.75
FEW_MODES = 0.7
OSCILLATIONS, SWING, WINDOW = 4, 1.5, 12
# Blurred noise has half of the distance of noise, and G's that make anything have a tenth.
NOISE_SHARE = 0.25


def diagnose(history: Sequence[HealthSignals], *, noise: float | None = None) -> Verdict:
    """Say what the signals of a run so far, the newest last, come to.

    The verdicts: "healthy", "forming", "D has won", "collapsing", "memorising", "oscillating",
    "worsening", "too early to tell". Of several the first that holds in the order of `RULES` is
    given, the cause before what follows from it. Forming is what would be collapsing, did G not
    gain from look to look.

    Args:
        history: the signals.
        noise: the metric of images of noise that have the reals' mean and variance; None where the
            data are no images.
    """
    for rule in RULES:
        if (verdict := rule(history)) is not None:
            return verdict
    if noise is not None and not beats_noise(history[-1].metric, noise):
        return Verdict(
            "too early to tell",
            f"the metric of the samples is {history[-1].metric:.3g}, and noise has {noise:.3g}.",
            alarm=False,
        )
    return HEALTHY


def is_ailing(history: Sequence[HealthSignals]) -> bool:
    """Whether G is far worse than it was, or has not become better for a long time.

    A G that begins makes one and the same blot of everything, and D sees through it; later it may
    lose a class and find it again. As long as it gains now and then, that is no illness. Time is
    counted in images, so that who looks more often does not lose patience sooner.
    """
    if has_relapsed(history[-1:], history):
        return True
    start = history[-1].seen - PATIENCE_IMAGES
    since = next(index for index, signals in enumerate(history) if signals.seen > start)
    since = min(since, max(len(history) - PATIENCE_LOOKS, 0))
    before, lately = history[:since], history[since:]
    return bool(before) and best(lately) > GAIN * best(before)


def best(looks: Sequence[HealthSignals]) -> float:
    """The lowest metric."""
    return min(signals.metric for signals in looks)


def has_relapsed(looks: Sequence[HealthSignals], history: Sequence[HealthSignals]) -> bool:
    """Whether all of these looks are far worse than the best of the run."""
    return best(looks) > RELAPSE * best(history)


def has_won(history: Sequence[HealthSignals]) -> Verdict | None:
    """D is never wrong, at two looks in a row, and G gets no better by what it is told."""
    if not is_ailing(history) or min(s.separation for s in history[-2:]) < WON_SEPARATION:
        return None
    return Verdict(
        "D has won",
        f"it ranks a real image above a fake {history[-1].separation:.1%} of the time, and G gets "
        "no better. Try another --seed or a lower learning rate for D.",
    )


def is_collapsing(history: Sequence[HealthSignals]) -> Verdict | None:
    """G's samples are alike, or leave classes out; an alarm if it does not mend."""
    signals = history[-1]
    findings = []
    if signals.missing:
        findings.append(f"hardly any samples of {', '.join(signals.missing)}")
    if signals.identical > COLLAPSED_IDENTICAL:
        findings.append(f"{signals.identical:.0%} of the samples are nearly identical to another")
    if signals.diversity < COLLAPSED_DIVERSITY:
        findings.append(f"the samples vary {signals.diversity:.0%} as much as real images")
    if signals.modes is not None and signals.modes < FEW_MODES and not signals.missing:
        findings.append(f"{signals.modes:.0%} of the classes that as many real images show")
    if not findings:
        return None
    ailing = is_ailing(history)
    return Verdict("collapsing" if ailing else "forming", "; ".join(findings) + ".", alarm=ailing)


def is_copying(history: Sequence[HealthSignals]) -> Verdict | None:
    """G makes copies of training images, and not of a few only: that would be a collapse."""
    signals = history[-1]
    if signals.near is None or signals.ratio is None:
        return None
    copies = signals.near > COPIES_NEAR and signals.ratio < COPIES_RATIO
    if not copies or signals.diversity < COLLAPSED_DIVERSITY:
        return None
    return Verdict(
        "memorising",
        f"{signals.near:.0%} of the samples are nearer to a training image than 99 % of other real "
        "images are. More data helps, or fewer epochs.",
    )


def knows_by_heart(history: Sequence[HealthSignals]) -> Verdict | None:
    """D tells training images from others, so what it teaches G is to copy them."""
    separation = history[-1].train_separation
    if separation is None or separation <= MEMORISED_SEPARATION:
        return None
    return Verdict(
        "memorising",
        f"D ranks a training image above a held-out one {separation:.0%} of the time: it knows "
        "them by heart. More data helps, or fewer epochs.",
    )


def is_oscillating(history: Sequence[HealthSignals]) -> Verdict | None:
    """The metric goes up and down widely, again and again."""
    metrics = [signals.metric for signals in history[-WINDOW:]]
    swings = wide_turns(metrics)
    if swings < OSCILLATIONS:
        return None
    return Verdict(
        "oscillating",
        f"the metric turned {swings} times, by a third or more, in the last {len(metrics)} looks: "
        f"{', '.join(f'{metric:.3g}' for metric in metrics)}. A lower learning rate helps.",
    )


def wide_turns(metrics: Sequence[float]) -> int:
    """How often a series turns round by a factor of `SWING` or more, in however many steps."""
    turns, direction = 0, 0
    low = high = max(metrics[0], 1e-12)
    for metric in metrics[1:]:
        low, high = min(low, metric), max(high, metric)
        if direction >= 0 and metric * SWING < high:
            turns, direction, low = turns + (direction > 0), -1, metric
        elif direction <= 0 and metric > low * SWING:
            turns, direction, high = turns + (direction < 0), 1, metric
    return turns


def is_worsening(history: Sequence[HealthSignals]) -> Verdict | None:
    """G was far better once, and twice in a row was not."""
    if not has_relapsed(history[-2:], history) or len(history) < PATIENCE_LOOKS:
        return None
    return Verdict(
        "worsening",
        f"the metric is {history[-1].metric:.3g}, and was {best(history):.3g} at its best. "
        "--checkpoint best has that state.",
    )


def beats_noise(metric: float, noise: float) -> bool:
    """Whether samples of such a metric are clearly nearer to real images than noise is."""
    return metric < NOISE_SHARE * noise


RULES = (has_won, is_copying, is_collapsing, knows_by_heart, is_oscillating, is_worsening)


def ranking(above: Tensor, below: Tensor) -> float:
    """The chance that a score of the first set (n,) is above one of the second (m,).

    Ties count half. This is the area under the ROC curve, Mann and Whitney's U over n m.
    """
    scores = below.flatten().sort().values
    queries = above.flatten().contiguous()  # a column of logits need not be
    lower = torch.searchsorted(scores, queries, right=False)
    not_higher = torch.searchsorted(scores, queries, right=True)
    return ((lower + not_higher).double() / 2 / len(scores)).mean().item()


def identical_share(fake: Tensor, real: Tensor) -> float:
    """The share of fakes (n, d) nearer to another one than 99 % of reals (m, d) are to another.

    Reals that are copies of another do not count, and fakes may be copies as often as they are.
    Where all reals are copies the share is 0: a data set of one image shows no collapse.
    """
    (fake_radius,) = squared_radii(fake.double(), 1)
    (real_radius,) = squared_radii(real.double(), 1)
    differ = ~are_copies(real, real_radius.sqrt())
    if not differ.any():
        return 0.0
    alike = fake_radius <= real_radius[differ].quantile(IDENTICAL)
    unique = differ.double().mean().item()
    return max(0.0, 1 - (1 - alike.double().mean().item()) / unique)


def missing_classes(
    shares: Sequence[float], expected: Sequence[float], names: Sequence[str], *, count: int
) -> list[str]:
    """Name the classes with less than a tenth of the share that they have among real images.

    Args:
        shares: of each class among the samples.
        expected: of each class among real images.
        names: of the classes.
        count: samples. Classes of which so many would hold less than `ENOUGH` are not judged: of
            a thousand classes some are missing by chance.
    """
    return [
        name
        for share, should, name in zip(shares, expected, names, strict=True)
        if should * count >= ENOUGH and share < MISSING_SHARE * should
    ]
