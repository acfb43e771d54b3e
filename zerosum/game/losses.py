"""Adversarial objectives: what D and G minimise, as terms of a `Play`.

On logits throughout: D's last layer has no sigmoid, and the cross entropy takes it in, which
neither saturates nor overflows where log(sigmoid(x)) would. Every term is one scalar, the mean over
the rows of logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import cross_entropy as class_cross_entropy
from torch.nn.functional import logsigmoid, relu, softplus

from zerosum.game.core import Play, Term


@dataclass(frozen=True)
class Objective:
    """What each player minimises: the sum of its terms, which the log shows by these names."""

    D: Mapping[str, Term]
    G: Mapping[str, Term]

    def __or__(self, other: Objective) -> Objective:
        """Both objectives' terms together; of two with one name the other's, as in dicts."""
        return Objective(D={**self.D, **other.D}, G={**self.G, **other.G})


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


def generator_minimax(play: Play) -> Tensor:
    """E log(1 - D(G(z))): G wants its fakes not called fake. The saturating form.

    -log 2 = -0.693 when D cannot tell, near 0 with hardly a gradient when D is sure of the fakes,
    which is why the other form is the usual one. Source: Goodfellow et al. 2014, arXiv 1406.2661,
    equation 1.
    """
    return logsigmoid(-play.fake_logits).mean()


def least_squares(*, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Objective:
    """E (D(x) - b)^2 / 2 + E (D(G(z)) - a)^2 / 2 for D, and E (D(G(z)) - c)^2 / 2 for G.

    Source: Mao et al. 2017, arXiv 1611.04076, equation 2; these defaults are its equation 9, and
    -1, 1, 0 its equation 8. At the defaults D pays 1/4 and G 1/8 when D says 1/2 of everything,
    which is the best it can say when it cannot tell.

    Args:
        a: what D should say of fakes.
        b: what D should say of real images.
        c: what G wants D to say of its fakes.
    """

    def discriminator(play: Play) -> Tensor:
        return half_square(play.real_logits - b) + half_square(play.fake_logits - a)

    def generator(play: Play) -> Tensor:
        return half_square(play.fake_logits - c)

    return Objective(D={"least_squares": discriminator}, G={"least_squares": generator})


def half_square(error: Tensor) -> Tensor:
    """Half the mean square."""
    return error.square().mean() / 2


def discriminator_wasserstein(play: Play) -> Tensor:
    """E D(G(z)) - E D(x): the critic scores real images above fake ones, as far as it may.

    The negative of the estimated distance, 0 when D cannot tell. It has no floor: something else
    must bound D's slope, such as clipped weights, a gradient penalty or spectral norm.
    Source: Arjovsky et al. 2017, arXiv 1701.07875, equation 2 and algorithm 1.
    """
    return play.fake_logits.mean() - play.real_logits.mean()


def generator_score(play: Play) -> Tensor:
    """-E D(G(z)): G wants its fakes scored high. Its part in the Wasserstein and hinge games.

    Source: Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1; Miyato et al. 2018,
    arXiv 1802.05957, equation 17.
    """
    return -play.fake_logits.mean()


def discriminator_hinge(play: Play) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): D scores reals above 1 and fakes below -1.

    What is beyond these margins costs and teaches nothing. 2 when D says 0 of everything.
    Source: Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957, equation 16,
    whose D maximises the negative.
    """
    return relu(1 - play.real_logits).mean() + relu(1 + play.fake_logits).mean()


def discriminator_relativistic(play: Play) -> Tensor:
    """E softplus(-(D(x) - D(G(z)))): of each pair D scores the real image above the fake one.

    A pair is a row of real logits and the row of fake logits beside it. log 2 when D cannot tell.
    Source: Jolicoeur-Martineau 2018, arXiv 1807.00734 (RSGAN); Huang et al. 2025,
    arXiv 2501.05441, equation 2.
    """
    return softplus(play.fake_logits - play.real_logits).mean()


def generator_relativistic(play: Play) -> Tensor:
    """E softplus(-(D(G(z)) - D(x))): of each pair G wants the fake image scored above the real one.

    D's term with the two exchanged. Source: as D's.
    """
    return softplus(play.real_logits - play.fake_logits).mean()


def l1(weight: float) -> Term:
    """E |target - G(source)|: what G makes of a source should be the target, pixel by pixel.

    The mean over pixels and channels, times the weight. Source: Pix2Pix, Isola et al. 2017,
    arXiv 1611.07004, equation 3; its weight is 100.
    """
    return lambda play: weight * (play.real - play.fake).abs().mean()


def classification(weight: float = 1.0) -> Objective:
    """Terms for an auxiliary classifier, to be joined to an adversarial objective with `|`.

    Both players want the classes told: D of real and of fake images, -E log P(C = c | x) -
    E log P(C = c | G(z)), and G of its own. 2 log k and log k when nothing is known of k classes.
    Source: AC-GAN, Odena et al. 2017, arXiv 1610.09585, equation 3.
    """

    def discriminator(play: Play) -> Tensor:
        return weight * (not_named(play, play.real_classes) + not_named(play, play.fake_classes))

    def generator(play: Play) -> Tensor:
        return weight * not_named(play, play.fake_classes)

    return Objective(D={"classification": discriminator}, G={"classification": generator})


def not_named(play: Play, classes: Tensor) -> Tensor:
    """The cross entropy of logits of classes (b, k) where D has to name the labels of a Play."""
    assert play.labels is not None
    return class_cross_entropy(classes, play.labels)


OBJECTIVES: dict[str, Objective] = {
    "non-saturating": Objective(
        D={"cross_entropy": discriminator_cross_entropy},
        G={"cross_entropy": generator_cross_entropy},
    ),
    "minimax": Objective(
        D={"cross_entropy": discriminator_cross_entropy},
        G={"minimax": generator_minimax},
    ),
    "least-squares": least_squares(),
    "wasserstein": Objective(
        D={"wasserstein": discriminator_wasserstein},
        G={"wasserstein": generator_score},
    ),
    "hinge": Objective(D={"hinge": discriminator_hinge}, G={"hinge": generator_score}),
    "relativistic": Objective(
        D={"relativistic": discriminator_relativistic},
        G={"relativistic": generator_relativistic},
    ),
}
"""Every adversarial objective by its name, the names of `zerosum.config.specs.LOSSES`."""
