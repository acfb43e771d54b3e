"""What a classifier makes of samples: which classes, how sure, and the score of both at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zerosum.metrics.registry import FEW_IMAGES, Spread, register

if TYPE_CHECKING:
    from zerosum.metrics.evaluate import Comparison

NUM_PARTS = 10


def class_shares(logits: Tensor) -> Tensor:
    """The share of each class among the most likely ones: (n, k) -> (k,), which sums to 1."""
    return shares_of(torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]))


def shares_of(counts: Tensor) -> Tensor:
    """The share of each class, of how many images it has: int64 (k,) -> float64 (k,)."""
    return counts.double() / counts.sum()


def mean_confidence(logits: Tensor) -> float:
    """The mean probability of the most likely class of logits (n, k), in [1/k, 1]."""
    return logits.double().softmax(dim=1).amax(dim=1).mean().item()


def classifier_score(logits: Tensor, *, seed: int) -> Spread:
    """Compute exp E[KL(p(y|x) || p(y))], the Inception score's formula, over ten parts of a set.

    Args:
        logits: (n, k), n at least 10.
        seed: decides the parts, as torch-fidelity's `rng_seed` does.

    Returns:
        From 1, when all images look alike to the net, to k, when it is sure of every image and
        every class occurs as often. Comparable only with the same net: this is not the Inception
        score unless the net is Inception.

    Source: Salimans et al. 2016, arXiv 1606.03498, section 4; parts as in torch-fidelity 0.4.0.
    """
    count = len(logits)
    order = torch.from_numpy(np.random.RandomState(seed).permutation(count))
    log_likely = logits[order].double().log_softmax(dim=1)
    scores = []
    for part in range(NUM_PARTS):
        log_p = log_likely[part * count // NUM_PARTS : (part + 1) * count // NUM_PARTS]
        p = log_p.exp()
        # A class that no image of the part has any chance of adds 0, as 0 log 0 should.
        log_mean = p.mean(dim=0, keepdim=True).log().clamp(min=torch.finfo(p.dtype).min)
        scores.append((p * (log_p - log_mean)).sum(dim=1).mean().exp().item())
    return Spread(float(np.mean(scores)), float(np.std(scores)))


def shares_by_class(pair: Comparison) -> dict[str, float]:
    """The share of each class among the samples."""
    assert pair.fake.tallies is not None
    shares = shares_of(pair.fake.tallies.likely)
    return dict(zip(pair.net.classes, shares.tolist(), strict=True))


def few_for_parts(*, count: int, **_: int) -> str | None:
    """Doubt a score of few images."""
    if count >= FEW_IMAGES:
        return None
    return (
        f"it is the mean over ten parts, and {count:,} images leave few for each: the score "
        f"comes out too small. Take {FEW_IMAGES:,} or more."
    )


register(
    "classifier_score",
    lambda pair: classifier_score(pair.logits, seed=pair.seed),
    better="higher",
    needs="logits",
    doubt=few_for_parts,
)
register(
    "confidence", lambda pair: mean_confidence(pair.logits), better="like real", needs="logits"
)
register("classes", shares_by_class, better="like real", needs="counts")
