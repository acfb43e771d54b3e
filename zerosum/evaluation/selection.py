"""Through what images are looked at: the nets and pair_metrics of the metrics that are wanted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from zerosum.data.catalog import mixture_of
from zerosum.evaluation.images import Notice, RealImages
from zerosum.hardware import choose_device
from zerosum.metrics import diversity, lpips, paired
from zerosum.metrics.evaluate import ImageCollection, MetricResult, evaluate
from zerosum.metrics.features import Answer, FeatureNet, feature_net, net_for_data
from zerosum.metrics.protocols import Protocol
from zerosum.metrics.registry import choose
from zerosum.metrics.weight_files import INCEPTION, LPIPS

PACE_SECONDS = 30


@dataclass(frozen=True)
class Wanted:
    """Which metrics are wanted, of either kind: some by name, () for all, None for none.

    Attributes:
        sets: of samples as a whole against real images as a whole.
        pairs: of each sample against the very image that it should be.
    """

    sets: tuple[str, ...] | None
    pairs: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """What the metrics of a comparison are computed with.

    Attributes:
        net: in whose features sets are compared; None where no metric of sets is wanted.
        names: the metrics that are computed in its features.
        perceptual: the distance whose mean over samples is their diversity, if that is wanted.
        pair_metrics: the metrics of pairs.
        missing: metrics that would have come along if the LPIPS weights were on this machine.
    """

    net: FeatureNet | None
    names: tuple[str, ...]
    perceptual: lpips.Lpips | None
    pair_metrics: Mapping[str, paired.PairMetric]
    missing: tuple[str, ...]

    def judge(
        self,
        fake: ImageCollection,
        real: ImageCollection,
        others: ImageCollection | None,
        *,
        seed: int,
    ) -> dict[str, MetricResult]:
        """Compute the metrics, those of sets first; see `evaluate` for what it takes."""
        results = {}
        if self.net is not None and self.names:
            results = evaluate(fake, real, net=self.net, names=self.names, seed=seed, others=others)
        if self.perceptual is not None:
            results |= diversity.judge_diversity(fake, real, net=self.perceptual, seed=seed)
        if self.pair_metrics:
            results |= paired.judge_pairs(fake, real, pair_metrics=self.pair_metrics, seed=seed)
        return results


def choose_instruments(
    wanted: Wanted, terms: Protocol, reference: RealImages, notice: Notice
) -> Instruments:
    """Take what the wanted metrics are computed with, of what is on this machine.

    Args:
        wanted: the metrics.
        terms: what else the comparison is made by.
        reference: the real images.
        notice: told what cannot be had, and now and then how far a slow net is.

    Raises:
        UserError: a metric is unknown, the net does not allow it, or its weights are absent.
    """
    sets, pairs = wanted.sets, wanted.pairs
    net: FeatureNet | None = None
    names: tuple[str, ...] = ()
    if sets is not None:
        net = telling_pace(choose_net(terms, reference, notice), notice)
        names = choose(sets, net)
    # What comes along unasked where the LPIPS weights are on this machine.
    welcome = (diversity.NAME,) * (sets == () and mixture_of(reference.name) is None)
    welcome += ("lpips",) * (pairs == ())
    found = welcome if LPIPS.locate() else ()
    device = choose_device("auto")
    perceptual = None
    if diversity.NAME in (*(sets or ()), *found):
        perceptual = lpips.lpips_net(device=device)
    pair_metrics = {}
    if pairs is not None:
        named = pairs or ("l1", "psnr", "ssim", *(name for name in found if name in paired.NAMES))
        pair_metrics = paired.choose_pair_metrics(named, device=device, notice=notice)
    return Instruments(
        net=net,
        names=names,
        perceptual=perceptual,
        pair_metrics=pair_metrics,
        missing=() if found else welcome,
    )


def choose_net(terms: Protocol, reference: RealImages, notice: Notice) -> FeatureNet:
    """Take the feature net that was named, or one for the data, of those on this machine."""
    name = terms.features or net_for_data(reference.name)
    if terms.features is None and name == "random":
        notice(f"{INCEPTION.how_to_get} Going on with random features, which are no FID.")
    return feature_net(name, device=choose_device("auto"), resize=terms.resize)


def telling_pace(net: FeatureNet, notice: Notice) -> FeatureNet:
    """A net that says now and then how far it is: Inception on a CPU takes its time."""
    began = said = time.monotonic()
    seen = 0

    def look(images: Tensor) -> Answer:
        nonlocal said, seen
        answer = net.look(images)
        seen += len(images)
        now = time.monotonic()
        if now - said >= PACE_SECONDS:
            said = now
            notice(f"{net.name} has seen {seen:,} images, {seen / (now - began):,.1f} a second.")
        return answer

    return replace(net, look=look)
