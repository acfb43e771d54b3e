"""Adversarial objectives: what D and G minimise, as terms of a `Play`.

On logits throughout: D's last layer has no sigmoid, and the cross entropy takes it in, which
neither saturates nor overflows where log(sigmoid(x)) would.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from zerosum.game import Play


def discriminator_cross_entropy(play: Play) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))): D calls real images real and fake ones fake.

    The sum of the two means, not their average: 2 log 2 = 1.386 when D cannot tell.
    Source: Goodfellow et al. 2014, arXiv 1406.2661, equation 1 and algorithm 1.
    """
    real, fake = play.real_logits, play.fake_logits
    return cross_entropy(real, torch.ones_like(real)) + cross_entropy(fake, torch.zeros_like(fake))


def generator_cross_entropy(play: Play) -> Tensor:
    """-E log D(G(z)): G wants its fakes called real. The non-saturating form.

    log 2 = 0.693 when D cannot tell. Source: Goodfellow et al. 2014, arXiv 1406.2661, the end of
    section 3.
    """
    return cross_entropy(play.fake_logits, torch.ones_like(play.fake_logits))
