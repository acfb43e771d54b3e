"""How close an image comes to the very one that it should be: L1, PSNR, SSIM and LPIPS of a pair.

All but LPIPS are computed in float64 from pixels of 8 bits, on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zerosum.errors import UserError
from zerosum.metrics import lpips
from zerosum.metrics.evaluate import ImageCollection, MetricResult, circumstances
from zerosum.metrics.registry import METRICS, register

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
PIXELS: Mapping[str, str | None] = {
    "features": "pixels",
    "features_sha256": None,
    "resize": "none",
}


@dataclass(frozen=True, kw_only=True)
class PairMetric:
    """A metric of one pair, and what its card says of how it looks at images."""

    better: str  # "lower" or "higher"
    of: Callable[[Tensor, Tensor], Any]  # uint8 (c, h, w) and the image that it should be
    card: Mapping[str, str | None]


def load_pair_metrics(names: Sequence[str], device: torch.device) -> dict[str, PairMetric]:
    """Make metrics of pairs ready.

    Args:
        names: of `METRICS`, such that need pairs.
        device: where LPIPS is computed.

    Raises:
        UserError: the weights of one are not on this machine.
    """
    found = {}
    for name in names:
        metric, card, compute = METRICS[name], PIXELS, METRICS[name].compute
        if metric.lpips:
            net = lpips.lpips_net(metric.lpips, device=device)
            card, compute = net.card(), partial(metric.compute, net=net)
        if metric.basis:
            card = {**card, "basis": metric.basis(None)}
        found[name] = PairMetric(better=metric.better, of=compute, card=card)
    return found


def judge_pairs(
    fake: ImageCollection,
    real: ImageCollection,
    *,
    pair_metrics: Mapping[str, PairMetric],
    seed: int,
) -> dict[str, MetricResult]:
    """Compare each image with the one at its place in the other set, and give the means.

    Args:
        fake: at least one image.
        real: as many images of the same shape.
        pair_metrics: the metrics by name, as `load_pair_metrics` gives them.
        seed: decided which images these are; it is said in the cards.

    Raises:
        UserError: the images are too small for one.
    """
    common = {**circumstances(fake, real, None, net=None, seed=seed), "paired": True}
    pairs = list(zip(fake.images, real.images, strict=True))
    return {
        name: mean_result(metric, [metric.of(*pair) for pair in pairs], common)
        for name, metric in pair_metrics.items()
    }


def mean_result(
    metric: PairMetric, values: Sequence[float], common: Mapping[str, Any]
) -> MetricResult:
    """The mean over pairs, of those that differ where identical ones have infinity.

    Args:
        metric: the metric.
        values: of each pair, at least one.
        common: what the card says besides of how they were come by.
    """
    finite = [value for value in values if math.isfinite(value)]
    identical = len(values) - len(finite)
    infinite = (
        f"{identical} of {len(values)} pairs are identical, which is infinitely good. The mean is "
        "over the others."
    )
    return MetricResult(
        value=float(np.mean(finite)) if finite else None,
        card={
            **common,
            **metric.card,
            "better": metric.better,
            "floor": None,
            "spread": float(np.std(finite)) if len(finite) > 1 else None,
            "warning": infinite if identical else None,
        },
    )


def l1(first: Tensor, second: Tensor) -> float:
    """Mean absolute error of pixels in [-1, 1], the scale of G's outputs and of its loss.

    Args:
        first: uint8 (c, h, w).
        second: uint8 of the same shape.

    Returns:
        0 for identical images, 2 for black ones beside white ones.
    """
    return (first.double() - second.double()).abs().mean().item() / (PEAK / 2)


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels, over all channels at once.

    Args:
        first: uint8 (c, h, w).
        second: uint8 of the same shape.

    Returns:
        10 log10(255² / mean squared error); infinity for identical images.
    """
    error = (first.double() - second.double()).square().mean().item()
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ssim(first: Tensor, second: Tensor) -> float:
    """Structural similarity through a Gaussian window, the mean over channels and places.

    Only places where the whole window lies inside the image count, as in the authors' own code and
    in scikit-image, unlike in torchmetrics, which makes up a border. Images are not shrunk first.

    Args:
        first: uint8 (c, h, w).
        second: uint8 of the same shape.

    Returns:
        At most 1, which identical images have.

    Raises:
        UserError: the images are smaller than the window.

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity", equation 13, with the window, K1 and K2 of its section III.
    """
    height, width = first.shape[1:]
    if min(height, width) < WINDOW:
        raise UserError(
            f"SSIM looks through a window of {WINDOW}×{WINDOW} pixels, and images of "
            f"{height}×{width} are smaller. Leave ssim out of --metrics."
        )
    from scipy.ndimage import gaussian_filter

    one, other = first.double().numpy(), second.double().numpy()
    planes = np.stack([one, other, one * one, other * other, one * other])
    reach = WINDOW // 2
    means = gaussian_filter(planes, SIGMA, radius=reach, axes=(2, 3))
    mean1, mean2, square1, square2, product = means[..., reach:-reach, reach:-reach]
    variance1, variance2 = square1 - mean1**2, square2 - mean2**2
    covariance = product - mean1 * mean2
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    luminance = (2 * mean1 * mean2 + c1) / (mean1**2 + mean2**2 + c1)
    structure = (2 * covariance + c2) / (variance1 + variance2 + c2)
    return float((luminance * structure).mean())


def perceptual(first: Tensor, second: Tensor, *, net: lpips.Lpips) -> float:
    """LPIPS of two images, uint8 (c, h, w)."""
    return net.distance(first[None], second[None]).item()


register(
    "l1",
    l1,
    better="lower",
    needs="pairs",
    unit="of pixels in [-1, 1]",
    basis=lambda _: "pixels in [-1, 1], so it is 0 to 2",
)
register("psnr", psnr, better="higher", needs="pairs", unit="dB")
register("ssim", ssim, better="higher", needs="pairs")
register("lpips", perceptual, better="lower", needs="pairs", lpips="alex")
register("lpips_vgg", perceptual, better="lower", needs="pairs", lpips="vgg", by_default=False)
