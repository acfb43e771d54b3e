"""Makes players of settings: what they minimise, what steps them, what changes as they train.

What every recipe has in common, whatever its nets and its forward. Torch is imported inside the
functions, so that the command line can list the settings without waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from zerosum.config.gan import AdversarialSettings
from zerosum.config.specs import PenaltySpec, parse_penalties
from zerosum.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from zerosum.game.core import Player, Term
    from zerosum.game.losses import Objective


def build_objective(config: AdversarialSettings, D: nn.Module) -> Objective:
    """Choose the adversarial terms of both players, and D's penalties.

    Raises:
        UserError: a penalty meets a D with BatchNorm.
    """
    from zerosum.game import penalties
    from zerosum.game.losses import OBJECTIVES, Objective, least_squares

    if config.loss == "least-squares":
        a, b, c = config.targets
        objective = least_squares(a=a, b=b, c=c)
    else:
        objective = OBJECTIVES[config.loss]
    specs = parse_penalties(config.penalty)
    for spec in specs:
        penalties.require_lone_images(D, spec.name)
    return objective | Objective(D=penalty_terms(config, specs), G={})


def penalty_terms(config: AdversarialSettings, specs: tuple[PenaltySpec, ...]) -> dict[str, Term]:
    """The penalties' terms, with weights that shrink where they are annealed."""
    from zerosum.game import penalties
    from zerosum.game.schedules import cosine

    images, share = config.anneal_images, config.anneal_penalty
    if images is None:
        return penalties.terms(specs)
    return penalties.terms(
        specs, weigh=lambda weight: cosine(weight, share * weight, images=images)
    )


def weighted(terms: Mapping[str, Term], weight: float) -> dict[str, Term]:
    """The same terms, each times the weight; none at all where that is 0."""

    def times(term: Term) -> Term:
        return lambda play: weight * term(play)

    return {name: times(term) for name, term in terms.items()} if weight else {}


def build_player(
    config: AdversarialSettings,
    net: nn.Module,
    terms: Mapping[str, Term],
    learning_rate: float,
    *,
    clip: float | None = None,
) -> Player:
    """Give a net its objective and what steps it."""
    from torch.optim import Adam, RMSprop

    from zerosum.game import penalties
    from zerosum.game.core import Player

    optimizer: torch.optim.Optimizer
    if config.optimizer == "adam":
        optimizer = Adam(net.parameters(), lr=learning_rate, betas=config.betas, fused=True)
    else:
        optimizer = RMSprop(net.parameters(), lr=learning_rate)
    return Player(
        net=net,
        optimizer=optimizer,
        objective=terms,
        constraint=None if clip is None else penalties.clip(clip),
        schedules=build_schedules(config, learning_rate),
    )


def freeze_first(D: nn.Module, count: int) -> None:
    """Let D's first blocks, those next to the images, stay as they are.

    FreezeD (Mo et al. 2020, arXiv 2002.10964), for a D that was trained before. A block is a layer
    with weights and the norm and attention behind it, or a residual block or stage where the net is
    made of such; both discriminators of CycleGAN's count as one.

    Raises:
        UserError: there are not more blocks than that.
    """
    from zerosum.nets.layers import depth_blocks

    if not count:  # and a user's own D need not have blocks
        return
    blocks = depth_blocks(D)
    if count >= len(blocks):
        raise UserError(
            f"--freeze-d {count} would leave nothing of D to train: it has {len(blocks)} blocks. "
            f"Expected 0 to {len(blocks) - 1}."
        )
    for layer in (layer for block in blocks[:count] for layer in block):
        layer.requires_grad_(False)


def build_schedules(config: AdversarialSettings, learning_rate: float) -> dict[str, Any]:
    """What changes in an optimizer as training goes on."""
    from zerosum.game.schedules import cosine, linear

    images, end = config.anneal_images, config.lr_end * learning_rate
    if images is None:
        return {}
    found: dict[str, Any] = {"lr": cosine(learning_rate, end, images=images)}
    if config.lr_schedule == "linear":
        found["lr"] = linear(learning_rate, end, images=images, begin=images // 2)
    if config.anneal_beta is not None and config.optimizer == "adam":
        first, second = config.betas
        beta = cosine(second, config.anneal_beta, images=images)
        found["betas"] = lambda seen: (first, beta(seen))
    return found


def score_fn(config: AdversarialSettings) -> Callable[[Tensor], Tensor]:
    """What makes of D's logits the D(x) of the log: only cross entropy makes a probability."""
    import torch

    if config.loss in ("non-saturating", "minimax"):
        return torch.sigmoid
    return lambda logits: logits
