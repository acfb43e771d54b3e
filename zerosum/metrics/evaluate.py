"""Compares samples with real images, and says of every metric how it was come by.

A metric without its circumstances is worth nothing: it moves with the feature net, the resizing,
the number of images and the split. So each comes with a card that names them, and with its floor:
the same metric between two sets of real images of the same size.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from zerosum._version import __version__
from zerosum.data.store import Images, in_memory
from zerosum.errors import UserError
from zerosum.metrics.cache import content_key, read_json, write_json
from zerosum.metrics.embedding import Embedding, embed, embed_reference, fingerprint, unseen
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.lpips import RESIZE, VERSION, Lpips
from zerosum.metrics.registry import METRICS, Value, reported_name
from zerosum.metrics.statistics import Statistics

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageCollection:
    """A set of images to compare, and what to call it."""

    name: str
    split: str | None  # of a data set that has splits
    images: Images  # at rest, (n, c, h, w), on the CPU or not in memory

    def card(self) -> dict[str, Any]:
        """What a metric card says of it."""
        return {
            "name": self.name,
            "split": self.split,
            "n": len(self.images),
            "shape": list(self.images.shape[1:]),
            "sha256": fingerprint(self.images),
        }


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """A metric's value and the card that belongs beside it."""

    value: Value | None  # None of what is infinite, for which JSON has no word
    card: dict[str, Any]


class Comparison:
    """Samples against the reference as a feature net sees them, which metrics are computed of.

    Attributes:
        fake: what the net sees in the samples.
        real: what it sees in the reference.
        net: the feature net.
        seed: decides the subsets and parts that some metrics draw.
    """

    def __init__(self, fake: Embedding, real: Embedding, *, net: FeatureNet, seed: int) -> None:
        self.fake, self.real, self.net, self.seed = fake, real, net, seed
        self._known: dict[object, Any] = {}

    @property
    def features(self) -> tuple[Tensor, Tensor]:
        """The features (n, d) of the samples and (m, d) of the reference, float32."""
        return self.fake.kept_features, self.real.kept_features

    @property
    def logits(self) -> Tensor:
        """What the net, a classifier, makes of the samples, float32 (n, k)."""
        assert self.fake.logits is not None
        return self.fake.logits

    def shared(self, compute: Callable[[Comparison], T]) -> T:
        """Compute what several metrics have in common, once."""
        if compute not in self._known:
            self._known[compute] = compute(self)
        found: T = self._known[compute]
        return found


def choose(names: Sequence[str], net: FeatureNet) -> tuple[str, ...]:
    """Make sure that metrics can be computed of what a net sees.

    Args:
        names: of `METRICS`; none means all of them that the net allows.
        net: the feature net.

    Raises:
        UserError: a metric was named that the net does not allow.
    """
    has = {"logits": bool(net.classes), "gaussians": net.gaussians}
    if not names:
        return tuple(
            name
            for name, metric in METRICS.items()
            if metric.of_features and metric.by_default and has.get(metric.needs, True)
        )
    for name in names:
        needs = METRICS[name].needs
        if needs == "gaussians" and not net.gaussians:
            raise UserError(
                f"The metric '{name}' is of points around known centres, as in the data sets ring "
                f"and grid; the features are '{net.name}'. Leave it out."
            )
        if needs == "logits" and not net.classes:
            raise UserError(
                f"The metric '{name}' needs a classifier; '{net.name}' gives features only. Choose "
                "--features digits, or leave the metric out."
            )
    return tuple(names)


def evaluate(
    fake: ImageCollection,
    real: ImageCollection | Statistics,
    *,
    net: FeatureNet,
    names: Sequence[str],
    seed: int,
    others: ImageCollection | None = None,
) -> dict[str, MetricResult]:
    """Compute metrics of what a feature net sees in samples against a reference.

    Args:
        fake: the samples, at least `registry.LEAST_IMAGES`.
        real: the reference, as many at least; or its statistics, for metrics that need no more
            than moments.
        net: in whose features they are compared.
        names: of `METRICS`, such as `choose` gives.
        seed: decides the subsets and parts that some metrics draw.
        others: as many real images as there are samples, none of them in the reference, for the
            floor; None when there are none.

    Returns:
        A result for each name, under the name by which it may be reported.

    Raises:
        UserError: statistics are of another net.
    """
    metrics = [METRICS[name] for name in names]
    needs = {metric.needs for metric in metrics}
    keep = {
        "keep_features": "features" in needs,
        "keep_logits": not needs.isdisjoint({"logits", "gaussians"}),
    }
    references = []
    if isinstance(real, ImageCollection):
        references = [real] if others is None else [real, others]
    floors: dict[str, Value] = {}
    floor_key = None
    if len(references) == 2:
        sets = [fingerprint(each.images) for each in reversed(references)]
        # Of a net or a metric of the user's own nobody knows when it changes.
        if net.sha256 is not None and all(metric.ours for metric in metrics):
            floor_key = content_key(
                "floor", net.version, __version__, net.sha256, net.resize, *sets, *names, seed
            )
            floors = read_json(floor_key) or {}
    to_see = references[:1] if floors else references
    net.expect(len(fake.images) + sum(unseen(net, each.images, **keep) for each in to_see))
    seen = embed(net, fake.images, **keep)
    counts = [len(seen)]
    if isinstance(real, Statistics):
        real.require_net(net, len(seen.moments.mean))
        reference = Embedding(moments=real.moments, features=None, logits=None)
        counts += [] if real.count is None else [real.count]
    else:
        reference = embed_reference(net, real.images, **keep)
        counts.append(len(reference))
    pair = Comparison(seen, reference, net=net, seed=seed)
    if len(references) == 2 and not floors:
        seen_others = embed_reference(net, references[1].images, **keep)
        between = Comparison(seen_others, reference, net=net, seed=seed)
        floors = {metric.name: metric.spread(between).mean for metric in metrics}
        if floor_key is not None:
            write_json(floor_key, floors)
    common = circumstances(fake, real, others, net=net, seed=seed)
    results = {}
    for metric in metrics:
        found = metric.spread(pair)
        card = {
            **common,
            "better": metric.better,
            "floor": floors.get(metric.name),
            "spread": found.deviation,
            "basis": metric.basis(pair) if metric.basis else None,
            "warning": metric.doubt(
                count=min(counts),
                num_features=len(reference.moments.mean),
                num_classes=len(net.classes),
            ),
        }
        results[reported_name(metric.name, net.name)] = MetricResult(value=found.mean, card=card)
    return results


def evaluate_images(
    name: str, fake: ImageCollection, real: ImageCollection, *, seed: int, net: Lpips | None = None
) -> MetricResult:
    """Compute a metric of the samples alone, and of the reference as what it should be like.

    Args:
        name: of `METRICS`, one that needs images.
        fake: the samples, at least 2.
        real: the reference, at least 2. Its own metric is the floor, which is kept between
            commands where it is known what decides it.
        seed: decides what the metric draws.
        net: the perceptual distance, where the metric takes one.
    """
    metric = METRICS[name]
    how: dict[str, Any] = {"seed": seed} if net is None else {"seed": seed, "net": net}
    floor = key = None
    if net is not None and metric.ours:
        key = content_key(name, VERSION, net.sha256, RESIZE, fingerprint(real.images), seed)
        floor = read_json(key)
    if floor is None:
        floor = metric.spread(in_memory(real.images), **how).mean
        if key is not None:
            write_json(key, floor)
    found = metric.spread(in_memory(fake.images), **how)
    card = {
        **circumstances(fake, real, real, net=None, seed=seed),
        **(net.card() if net else {}),
        "better": metric.better,
        "floor": floor,
        "spread": found.deviation,
        "warning": metric.doubt(count=len(fake.images), num_features=0, num_classes=0),
    }
    if found.pairs is not None:
        card["pairs"] = found.pairs
    return MetricResult(value=found.mean, card=card)


def circumstances(
    fake: ImageCollection,
    real: ImageCollection | Statistics,
    others: ImageCollection | None,
    *,
    net: FeatureNet | None,
    seed: int,
) -> dict[str, Any]:
    """What the cards of all metrics of a comparison have in common; without a net, of pixels."""
    return {
        "features": net.name if net else "pixels",
        "features_sha256": net.sha256 if net else None,
        "resize": net.resize if net else "none",
        "evaluated": fake.card(),
        "reference": real.card(),
        "floor_of": others.card() if others else None,
        "seed": seed,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what the metrics were computed with."""
    return {
        "zerosum": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
