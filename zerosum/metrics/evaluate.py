"""Compares samples with real images, and says of every metric how it was come by.

A metric without its circumstances is worth nothing: it moves with the feature net, the resizing,
the number of images and the split. So each comes with a card that names them, and with its floor:
the same metric between two sets of real images of the same size.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zerosum._version import __version__
from zerosum.metrics.cache import content_key, read_json, write_json
from zerosum.metrics.embedding import VERSION, embed, embed_reference, fingerprint
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.registry import METRICS, Comparison, Value, doubt, reported_name


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageCollection:
    """A set of images to compare, and what to call it."""

    name: str
    split: str | None  # of a data set that has splits
    images: Tensor  # uint8 (n, c, h, w), or points, float32 (n, 2, 1, 1); on the CPU

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


def evaluate(
    fake: ImageCollection,
    real: ImageCollection,
    *,
    net: FeatureNet,
    names: Sequence[str],
    seed: int,
    others: ImageCollection | None = None,
) -> dict[str, MetricResult]:
    """Compute metrics of samples against a reference.

    Args:
        fake: the samples, at least `metrics.LEAST_IMAGES`.
        real: the reference, as many at least.
        net: in whose features they are compared.
        names: of `metrics.METRICS`, such as `metrics.choose` gives.
        seed: decides the subsets and parts that some metrics draw.
        others: as many real images as there are samples, none of them in the reference, for the
            floor; None when there are none.

    Returns:
        A result for each name, under the name by which it may be reported.
    """
    features, logits = needed(names)
    reference = embed_reference(net, real.images, keep_features=features, keep_logits=logits)
    samples = embed(net, fake.images, keep_features=features, keep_logits=logits)
    pair = Comparison(samples, reference, net=net, seed=seed)
    floors = {} if others is None else floor(others, real, net=net, names=names, seed=seed)
    common = circumstances(fake, real, others, net=net, seed=seed)
    count = min(len(samples), len(reference))
    results = {}
    for name in names:
        metric = METRICS[name]
        card = {
            **common,
            "better": metric.better,
            "floor": floors.get(name),
            "spread": metric.spread(pair) if metric.spread else None,
            "basis": metric.basis(pair) if metric.basis else None,
            "warning": doubt(
                name,
                count=count,
                num_features=len(reference.moments.mean),
                num_classes=len(net.classes),
            ),
        }
        results[reported_name(name, net.name)] = MetricResult(value=metric.value(pair), card=card)
    return results


def needed(names: Sequence[str]) -> tuple[bool, bool]:
    """Whether metrics need each image's features, and each image's logits."""
    needs = {METRICS[name].needs for name in names}
    return "features" in needs, not needs.isdisjoint({"logits", "gaussians"})


def circumstances(
    fake: ImageCollection,
    real: ImageCollection,
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


def floor(
    others: ImageCollection,
    real: ImageCollection,
    *,
    net: FeatureNet,
    names: Sequence[str],
    seed: int,
) -> dict[str, Value]:
    """Compute the metrics of real images against the reference, or remember them."""
    sets = fingerprint(others.images), fingerprint(real.images)
    key = content_key("floor", VERSION, __version__, net.sha256, net.resize, *sets, *names, seed)
    if net.sha256 is not None and (known := read_json(key)) is not None:
        return dict(known)
    features, logits = needed(names)
    first, second = (
        embed_reference(net, subject.images, keep_features=features, keep_logits=logits)
        for subject in (others, real)
    )
    pair = Comparison(first, second, net=net, seed=seed)
    floors = {name: METRICS[name].value(pair) for name in names}
    if net.sha256 is not None:
        write_json(key, floors)
    return floors


def versions() -> dict[str, str]:
    """Versions of what the metrics were computed with."""
    return {
        "zerosum": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
