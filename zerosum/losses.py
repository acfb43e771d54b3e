"""Adversarial objectives: what D and G minimise, as terms of a `Play`.

Logits throughout: D's last layer has no sigmoid, and the sigmoid's logarithm is taken as
softplus, log(sigmoid(x)) = -softplus(-x), which neither saturates nor overflows.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from zerosum.game import Play


def discriminator_cross_entropy(play: Play) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))): D's binary cross entropy on real and on fake images.

    The sum of the two means, not their average: 2 log 2 = 1.386 when D cannot tell.
    Source: Goodfellow et al. 2014, arXiv 1406.2661, equation 1 and algorithm 1.
    """
    return F.softplus(-play.real_logits).mean() + F.softplus(play.fake_logits).mean()


def generator_cross_entropy(play: Play) -> Tensor:
    """-E log D(G(z)): G's cross entropy with real labels on its fakes, the non-saturating form.

    log 2 = 0.693 when D cannot tell. Source: Goodfellow et al. 2014, arXiv 1406.2661, the end of
    section 3.
    """
    return F.softplus(-play.fake_logits).mean()
