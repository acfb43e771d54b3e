"""The metrics by name: what each computes, what it needs, and when not to trust it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from zerosum.errors import UserError, unknown_name
from zerosum.metrics.classes import class_shares, classifier_score, mean_confidence
from zerosum.metrics.embedding import Embedding
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.frechet import distance_of_moments
from zerosum.metrics.kernel import SUBSET_SIZE, Spread, kernel_distance
from zerosum.metrics.modes import GaussianModes, Modes, count_modes, count_near, even_shares
from zerosum.metrics.plane import deviations
from zerosum.metrics.precision_recall import DENSITY_NEIGHBOURS, Manifolds, compare_manifolds

Value = float | dict[str, float]
LEAST_IMAGES = 2 * DENSITY_NEIGHBOURS
FEW_IMAGES = 1000
# Heusel et al. 2017 ask for 10,000 images at least, for 2,048 features.
IMAGES_PER_FEATURE = 10_000 / 2048
# VEEGAN and PacGAN take 26,000 for the 1,000 modes of Stacked MNIST.
IMAGES_PER_MODE = 26


class Comparison:
    """Fakes against reals; what several metrics share is computed on first use."""

    def __init__(self, fake: Embedding, real: Embedding, *, net: FeatureNet, seed: int) -> None:
        self.fake, self.real, self.seed = fake, real, seed
        self._net = net

    @cached_property
    def manifolds(self) -> Manifolds:
        """Precision and its relatives."""
        assert self.fake.features is not None
        assert self.real.features is not None
        return compare_manifolds(self.fake.features, self.real.features)

    @cached_property
    def kernel(self) -> Spread:
        """The kernel distance over subsets."""
        assert self.fake.features is not None
        assert self.real.features is not None
        return kernel_distance(self.fake.features, self.real.features, seed=self.seed)

    @property
    def logits(self) -> Tensor:
        """What the net, a classifier, makes of the fakes."""
        assert self.fake.logits is not None
        return self.fake.logits

    @cached_property
    def score(self) -> Spread:
        """The classifier score over parts."""
        return classifier_score(self.logits, seed=self.seed)

    def shares(self) -> dict[str, float]:
        """The share of each class among the fakes."""
        shares = class_shares(self.logits).tolist()
        return dict(zip(self._net.classes, shares, strict=True))

    @cached_property
    def gaussians(self) -> GaussianModes:
        """The Gaussians that the samples, points in the plane, cover."""
        return count_near(deviations(self.logits))

    @cached_property
    def modes(self) -> Modes:
        """The classes as modes. A Gaussian is found by samples within 3 deviations only.

        A class that no reference image belongs to counts as half an image of them, lest one sample
        of it make the divergence infinite.
        """
        if self._net.gaussians:
            found = self.gaussians
            return Modes(covered=found.covered, divergence=found.divergence)
        if self._net.even_classes:
            expected = even_shares(len(self._net.classes))
        else:
            assert self.real.logits is not None
            expected = class_shares(self.real.logits).clamp(min=0.5 / len(self.real))
        return count_modes(self.logits.argmax(dim=1), shares=expected)

    def expected_modes(self) -> str:
        """What `modes` holds the samples against."""
        count = len(self._net.classes)
        if self._net.even_classes:
            return f"{count:,} modes of equal shares, as the data is made"
        return f"{count:,} classes, with the shares that the net finds in the reference"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: how it is computed from a comparison, and how it is read."""

    better: str  # "lower", "higher", or what it should be like
    value: Callable[[Comparison], Value]
    spread: Callable[[Comparison], float | None] | None = None  # over subsets or parts
    needs: str = "features"  # "moments", "features", "logits" or "gaussians"
    basis: Callable[[Comparison], str] | None = None  # what else decides it, for its card


METRICS = {
    "fid": Metric(
        better="lower",
        value=lambda pair: distance_of_moments(pair.fake.moments, pair.real.moments),
        needs="moments",
    ),
    "kid": Metric(
        better="lower",
        value=lambda pair: pair.kernel.mean,
        spread=lambda pair: pair.kernel.deviation,
    ),
    "precision": Metric(better="higher", value=lambda pair: pair.manifolds.precision),
    "recall": Metric(better="higher", value=lambda pair: pair.manifolds.recall),
    "density": Metric(better="higher", value=lambda pair: pair.manifolds.density),
    "coverage": Metric(better="higher", value=lambda pair: pair.manifolds.coverage),
    "classifier_score": Metric(
        better="higher",
        value=lambda pair: pair.score.mean,
        spread=lambda pair: pair.score.deviation,
        needs="logits",
    ),
    "confidence": Metric(
        better="like real", value=lambda pair: mean_confidence(pair.logits), needs="logits"
    ),
    "classes": Metric(better="like real", value=Comparison.shares, needs="logits"),
    "modes": Metric(
        better="higher",
        value=lambda pair: pair.modes.covered,
        needs="logits",
        basis=Comparison.expected_modes,
    ),
    "mode_kl": Metric(
        better="lower",
        value=lambda pair: pair.modes.divergence,
        needs="logits",
        basis=Comparison.expected_modes,
    ),
    "high_quality": Metric(
        better="like real",
        value=lambda pair: pair.gaussians.good,
        needs="gaussians",
        basis=lambda pair: "the share of samples within 3 standard deviations of a mode",
    ),
}
BESIDE = ("lpips_diversity",)
"""Metrics that are computed beside the comparison, with a net of their own."""


def choose(names: Sequence[str], net: FeatureNet) -> tuple[str, ...]:
    """Check the names of metrics that a user wants; none means all that the net allows.

    Returns:
        Those in `METRICS`, without any in `BESIDE`.

    Raises:
        UserError: a name is unknown, or the net does not allow the metric.
    """
    for name in names:
        if name in BESIDE:
            continue
        if name not in METRICS:
            raise unknown_name("metric", name, (*METRICS, *BESIDE))
        if METRICS[name].needs == "gaussians" and not net.gaussians:
            raise UserError(
                f"The metric '{name}' is of points around known centres, as in the data sets ring "
                f"and grid; the features are '{net.name}'. Leave it out."
            )
        if not allows(net, name):
            raise UserError(
                f"The metric '{name}' needs a classifier; '{net.name}' gives features only. Choose "
                "--features digits, or leave the metric out."
            )
    if names:
        return tuple(name for name in dict.fromkeys(names) if name in METRICS)
    return tuple(name for name in METRICS if allows(net, name))


def allows(net: FeatureNet, name: str) -> bool:
    """Whether a metric can be computed of what a net sees."""
    needs = METRICS[name].needs
    return {"logits": bool(net.classes), "gaussians": net.gaussians}.get(needs, True)


def reported_name(name: str, net: str) -> str:
    """What a metric may be called: a Fréchet distance is an FID only in Inception's features."""
    if name != "fid" or net == "inception":
        return name
    return f"frechet_{net}"


def doubt(name: str, *, count: int, num_features: int, num_classes: int = 0) -> str | None:
    """Say why a metric of so many images on the smaller side is unreliable, if it is."""
    if name == "fid" and count < IMAGES_PER_FEATURE * num_features:
        return (
            f"{count:,} images are few for {num_features:,} features: the Fréchet distance comes "
            f"out too large. Take {IMAGES_PER_FEATURE * num_features:,.0f} or more."
        )
    if name == "kid" and count < SUBSET_SIZE:
        return (
            f"it is meant as the mean over subsets of {SUBSET_SIZE:,} images, and {count:,} make "
            "only one, a smaller one."
        )
    if name in ("modes", "mode_kl") and count < IMAGES_PER_MODE * num_classes:
        return (
            f"{count:,} images are few for {num_classes:,} modes: even of real images some may be "
            "missed by chance, and shares come out uneven. Published metrics are of "
            f"{IMAGES_PER_MODE} a mode: take {IMAGES_PER_MODE * num_classes:,} with -n."
        )
    if name == "classifier_score" and count < FEW_IMAGES:
        return (
            f"it is the mean over ten parts, and {count:,} images leave few for each: the score "
            f"comes out too small. Take {FEW_IMAGES:,} or more."
        )
    if METRICS[name].needs == "features" and count < FEW_IMAGES:
        return f"it moves with the number of images, and {count:,} are few."
    return None
