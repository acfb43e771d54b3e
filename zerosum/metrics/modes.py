"""How many of the modes of a data set a generator finds, and how evenly it visits them.

For data whose modes are known: the classes of a classifier, such as the 1,000 of Stacked MNIST, or
Gaussians in the plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zerosum.metrics.classes import shares_of
from zerosum.metrics.registry import register
from zerosum.metrics.tallies import Tallies, count_nearest

if TYPE_CHECKING:
    from zerosum.metrics.evaluate import Comparison

IMAGES_PER_MODE = 26
"""VEEGAN and PacGAN take 26,000 for the 1,000 modes of Stacked MNIST."""


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Modes found among samples, against the data's."""

    covered: int  # modes with at least one sample
    divergence: float  # KL(samples || data) in nats; 0 when each mode has the data's share


@dataclass(frozen=True, kw_only=True)
class GaussianModes:
    """Gaussians found among points, all of which should occur as often."""

    covered: int  # Gaussians with at least one good point
    good: float  # share of points within 3 standard deviations of the nearest centre, in [0, 1]
    divergence: float  # KL(points || uniform) in nats, each point at the nearest centre


def count_modes(labels: Tensor, *, shares: Tensor) -> Modes:
    """Count the modes that samples cover, and compare their shares with the data's.

    Args:
        labels: int64 (n,), the mode of each sample, in [0, k).
        shares: (k,), each mode's share of the data, all positive.

    Source: the protocol of VEEGAN (Srivastava et al. 2017, arXiv 1705.07761) and PacGAN (Lin et
    al. 2018, arXiv 1712.04086), section 4: 1,000 modes, 26,000 samples, uniform shares.
    """
    return modes_of(torch.bincount(labels, minlength=len(shares)), shares=shares)


def modes_of(counts: Tensor, *, shares: Tensor) -> Modes:
    """The same of how many samples each mode has, int64 (k,)."""
    found = counts.double() / counts.sum()
    # xlogy: a mode without samples adds 0.
    divergence = torch.special.xlogy(found, found) - torch.special.xlogy(found, shares.double())
    # Rounding may leave 0 a hair below.
    return Modes(covered=int((counts > 0).sum()), divergence=max(0.0, divergence.sum().item()))


def even_shares(num: int) -> Tensor:
    """The same share (num,) for each mode."""
    return torch.full((num,), 1 / num, dtype=torch.float64)


def count_gaussian_modes(points: Tensor, centres: Tensor, *, deviation: float) -> GaussianModes:
    """Count the Gaussians that points in the plane cover.

    Args:
        points: (n, d), n at least 1.
        centres: (k, d), the means of k Gaussians of equal shares.
        deviation: standard deviation of each of them in every direction.
    """
    # Not torch.cdist, which for many points multiplies matrices and loses digits.
    distances = (points.double()[:, None] - centres.double()).square().sum(dim=2).sqrt()
    return count_near(distances / deviation)


def count_near(distances: Tensor) -> GaussianModes:
    """Count the Gaussians that points cover, of distances (n, k) in standard deviations.

    Source: PacGAN (Lin et al. 2018, arXiv 1712.04086), section 4.1, which follows VEEGAN. Within
    means strictly nearer, as in their code. The divergence is the paper's, of all points; their
    code has that of the good ones only, and Jensen and Shannon's.
    """
    return gaussian_modes(*count_nearest(distances))


def gaussian_modes(nearest: Tensor, good: Tensor) -> GaussianModes:
    """The same of how many points each Gaussian has, all and the good ones, int64 (k,)."""
    return GaussianModes(
        covered=int(good.count_nonzero()),
        good=int(good.sum()) / int(nearest.sum()),
        divergence=modes_of(nearest, shares=even_shares(len(nearest))).divergence,
    )


def tallies_of(tallies: Tallies | None) -> Tallies:
    """Those of a classifier, which has them."""
    assert tallies is not None
    return tallies


def found_gaussians(pair: Comparison) -> GaussianModes:
    """The Gaussians that the samples, points in the plane, cover."""
    tallies = tallies_of(pair.fake.tallies)
    assert tallies.nearest is not None
    assert tallies.good is not None
    return gaussian_modes(tallies.nearest, tallies.good)


def found_modes(pair: Comparison) -> Modes:
    """The classes as modes. A Gaussian is found by samples within 3 deviations only.

    A class that no reference image belongs to counts as half an image of them, lest one sample
    of it make the divergence infinite.
    """
    if pair.net.gaussians:
        found = pair.shared(found_gaussians)
        return Modes(covered=found.covered, divergence=found.divergence)
    if pair.net.even_classes:
        expected = even_shares(len(pair.net.classes))
    else:
        real = tallies_of(pair.real.tallies).likely
        expected = shares_of(real).clamp(min=0.5 / len(pair.real))
    return modes_of(tallies_of(pair.fake.tallies).likely, shares=expected)


def expected_modes(pair: Comparison) -> str:
    """What the samples' modes are held against."""
    count = len(pair.net.classes)
    if pair.net.even_classes:
        return f"{count:,} modes of equal shares, as the data is made"
    return f"{count:,} classes, with the shares that the net finds in the reference"


def few_for_modes(*, count: int, num_classes: int, **_: int) -> str | None:
    """Doubt a count of modes among few images."""
    if count >= IMAGES_PER_MODE * num_classes:
        return None
    return (
        f"{count:,} images are few for {num_classes:,} modes: even of real images some may be "
        "missed by chance, and shares come out uneven. Published metrics are of "
        f"{IMAGES_PER_MODE} a mode: take {IMAGES_PER_MODE * num_classes:,} with -n."
    )


register(
    "modes",
    lambda pair: pair.shared(found_modes).covered,
    better="higher",
    needs="counts",
    basis=expected_modes,
    doubt=few_for_modes,
)
register(
    "mode_kl",
    lambda pair: pair.shared(found_modes).divergence,
    better="lower",
    needs="counts",
    basis=expected_modes,
    doubt=few_for_modes,
)
register(
    "high_quality",
    lambda pair: pair.shared(found_gaussians).good,
    better="like real",
    needs="gaussians",
    rows=lambda *counts, seed: (torch.empty(0, dtype=torch.int64),) * 2,  # it is counted
    basis=lambda pair: "the share of samples within 3 standard deviations of a mode",
)
