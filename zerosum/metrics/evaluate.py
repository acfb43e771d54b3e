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
from zerosum.data.store import Images, in_memory, subset
from zerosum.errors import UserError
from zerosum.metrics.cache import content_key, read_json, write_json
from zerosum.metrics.embedding import Embedding, embed, embed_reference, fingerprint, unseen
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.lpips import RESIZE, VERSION, Lpips
from zerosum.metrics.registry import LEAST_IMAGES, METRICS, Metric, Value, reported_name
from zerosum.metrics.statistics import Statistics
from zerosum.seeds import stream_seed

T = TypeVar("T")
MOST_KEPT = 100_000
"""Images of a set of which features and logits are kept one by one; of a larger one, of so many."""
MOST_BYTES = 2**30
"""Of pixels that a metric of images is given at once."""
EACH_IMAGE = ("features", "logits", "gaussians")
"""What metrics need that is kept image by image."""


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
        drawn: of sets of more than `MOST_KEPT` images, those that stand for all in `features` and
            `logits`, a pair of int64 (k,); None where these are of all.
    """

    def __init__(
        self,
        fake: Embedding,
        real: Embedding,
        *,
        net: FeatureNet,
        seed: int,
        drawn: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> None:
        self.fake, self.real, self.net, self.seed = fake, real, net, seed
        self.drawn = drawn
        self._known: dict[object, Any] = {}

    @property
    def features(self) -> tuple[Tensor, Tensor]:
        """The features (n, d) of the samples and (m, d) of the reference, float32."""
        return self.shared(drawn_features)

    @property
    def logits(self) -> Tensor:
        """What the net, a classifier, makes of the samples, float32 (n, k)."""
        return self.shared(drawn_logits)

    def shared(self, compute: Callable[[Comparison], T]) -> T:
        """Compute what several metrics have in common, once."""
        if compute not in self._known:
            self._known[compute] = compute(self)
        found: T = self._known[compute]
        return found


def drawn_features(pair: Comparison) -> tuple[Tensor, Tensor]:
    """The features of either side, of those images that stand for all."""
    fake, real = (
        side.kept_features[side.places(rows)]
        for side, rows in zip((pair.fake, pair.real), pair.drawn, strict=True)
    )
    return fake, real


def drawn_logits(pair: Comparison) -> Tensor:
    """The logits of those samples that stand for all."""
    assert pair.fake.logits is not None
    return pair.fake.logits[pair.fake.places(pair.drawn[0])]


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What is kept of each image of either side.

    Attributes:
        how: as `embed` takes it.
        drawn: which images stand for all, see `Comparison`.
        rows: of which images anything is kept, of samples and of the reference; None for all.
    """

    how: dict[str, bool]
    drawn: tuple[Tensor | None, Tensor | None]
    rows: tuple[Tensor | None, Tensor | None]

    @classmethod
    def plan(cls, metrics: Sequence[Metric], counts: tuple[int, int], *, seed: int) -> Keeping:
        """Choose no more than metrics need.

        Args:
            metrics: which.
            counts: how many samples and reference images there are.
            seed: decides what is drawn.
        """
        needs = {metric.needs for metric in metrics}
        how = {
            "keep_features": "features" in needs,
            "keep_logits": not needs.isdisjoint({"logits", "gaussians"}),
        }
        large = [count > MOST_KEPT for count in counts]
        kept = [metric for metric in metrics if metric.needs in EACH_IMAGE]
        drawn = tuple(
            draw_rows(count, seed=seed)
            if is_large and any(metric.rows is None for metric in kept)
            else None
            for count, is_large in zip(counts, large, strict=True)
        )
        own = [metric.rows(*counts, seed=seed) for metric in kept if metric.rows and any(large)]
        rows = tuple(
            union([each[side] for each in (drawn, *own)]) if large[side] and kept else None
            for side in (0, 1)
        )
        return cls(how=how, drawn=(drawn[0], drawn[1]), rows=(rows[0], rows[1]))

    def of_card(self, metric: Metric) -> dict[str, int | None] | None:
        """Of how many images a metric is, where it is not of all; None of a side is all."""
        if metric.needs not in EACH_IMAGE or metric.rows is not None or self.drawn == (None, None):
            return None
        fake, real = (None if rows is None else len(rows) for rows in self.drawn)
        return {"evaluated": fake, "reference": real}


def draw_rows(count: int, *, seed: int, most: int | None = None) -> Tensor:
    """Choose images that stand for all of so many, by default `MOST_KEPT`: int64, ascending."""
    generator = torch.Generator().manual_seed(stream_seed("evaluate", "kept", seed))
    return torch.randperm(count, generator=generator)[: most or MOST_KEPT].sort().values


def union(rows: Sequence[Tensor | None]) -> Tensor:
    """All rows that are in any of some, ascending."""
    together = torch.cat([each for each in rows if each is not None])
    ordered: Tensor = torch.unique(together)
    return ordered


def choose(names: Sequence[str], net: FeatureNet) -> tuple[str, ...]:
    """Make sure that metrics can be computed of what a net sees.

    Args:
        names: of `METRICS`; none means all of them that the net allows.
        net: the feature net.

    Raises:
        UserError: a metric was named that the net does not allow.
    """
    knows = bool(net.classes)
    has = {"logits": knows, "counts": knows, "gaussians": net.gaussians}
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
        if needs in ("logits", "counts") and not net.classes:
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
    num_reals = len(real.images) if isinstance(real, ImageCollection) else 0
    keeping = Keeping.plan(metrics, (len(fake.images), num_reals), seed=seed)
    keep: dict[str, Any] = dict(keeping.how)
    of_fakes, of_reals = ({**keep, "rows": rows} for rows in keeping.rows)
    references = []
    if isinstance(real, ImageCollection):
        references = [real] if others is None else [real, others]
    floors: dict[str, Value] = {}
    floor_key = None
    # Of a net or a metric of the user's own nobody knows when it changes.
    if len(references) == 2 and net.sha256 is not None and all(each.ours for each in metrics):
        sets = [fingerprint(each.images) for each in reversed(references)]
        floor_key = content_key(
            "floor", net.version, __version__, net.sha256, net.resize, *sets, *names, seed
        )
        floors = read_json(floor_key) or {}
    to_see = references[:1] if floors else references
    # The others stand in the samples' place, and are as many.
    keep_of = dict(zip(map(id, references), (of_reals, of_fakes), strict=False))
    net.expect(
        len(fake.images) + sum(unseen(net, each.images, **keep_of[id(each)]) for each in to_see)
    )
    seen = embed(net, fake.images, **of_fakes)
    counts = [len(seen)]
    if isinstance(real, Statistics):
        real.require_net(net, len(seen.moments.mean))
        reference = Embedding(moments=real.moments, features=None, logits=None)
        counts += [] if real.count is None else [real.count]
    else:
        reference = embed_reference(net, real.images, **of_reals)
        counts.append(len(reference))
    how: dict[str, Any] = {"net": net, "seed": seed, "drawn": keeping.drawn}
    pair = Comparison(seen, reference, **how)
    if len(references) == 2 and not floors:
        seen_others = embed_reference(net, references[1].images, **of_fakes)
        between = Comparison(seen_others, reference, **how)
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
            "drawn": keeping.of_card(metric),
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
        floor = metric.spread(looked_at(metric, real.images, seed=seed), **how).mean
        if key is not None:
            write_json(key, floor)
    found = metric.spread(looked_at(metric, fake.images, seed=seed), **how)
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


def looked_at(metric: Metric, images: Images, *, seed: int) -> Images:
    """The images that a metric of images is given, of which memory may hold only some.

    LPIPS asks for some pairs of them, wherever they lie. Another metric is given a tensor.
    """
    if metric.lpips or isinstance(images, Tensor):
        return images
    most = max(LEAST_IMAGES, MOST_BYTES // images.shape[1:].numel())
    few = (
        images
        if len(images) <= most
        else subset(images, draw_rows(len(images), seed=seed, most=most))
    )
    return in_memory(few)


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
