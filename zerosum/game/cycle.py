"""The game of translation without pairs: two domains, A and B, and a way between them each way.

CycleGAN (Zhu et al. 2017, arXiv 1703.10593). It is still a game of two players: G holds both
generators and steps them together, D both discriminators. Each direction is an ordinary `Play`;
what they have in common, that an image which goes there and back should be itself, is read off a
Play of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.game.core import Batch, Game, Play, Term
from zerosum.game.losses import Objective
from zerosum.game.pool import Pool
from zerosum.game.translation import Translation, Views
from zerosum.nets.layers import depth_blocks


class GeneratorPair(nn.Module):
    """A generator for each direction. Called, it translates A (b, c, h, w) to B.

    Attributes:
        AB: from A to B.
        BA: from B to A.
    """

    def __init__(self, *, AB: nn.Module, BA: nn.Module) -> None:
        super().__init__()
        self.AB, self.BA = AB, BA

    def forward(self, images: Tensor) -> Tensor:
        """Translate from A to B."""
        translated: Tensor = self.AB(images)
        return translated


class DiscriminatorPair(nn.Module):
    """A discriminator for each domain, `A` and `B`."""

    def __init__(self, *, A: nn.Module, B: nn.Module) -> None:
        super().__init__()
        self.A, self.B = A, B

    @property
    def depth_blocks(self) -> list[list[nn.Module]]:
        """As `zerosum.nets.layers.depth_blocks`, of both."""
        pairs = zip(depth_blocks(self.A), depth_blocks(self.B), strict=True)
        return [[*of_A, *of_B] for of_A, of_B in pairs]


@dataclass(frozen=True, kw_only=True)
class CyclePlay:
    """One mini-batch of both domains as the player on turn sees it.

    Attributes:
        ways: the generators.
        a: the Play of the images of A and what became of those of B, as D's `A` judges them.
        b: likewise the other way.
        fresh: the fakes of A and of B as they were made; on D's turn the Plays may hold older ones.
        places: on D's turn, where the pools remember them.
    """

    ways: GeneratorPair
    a: Play
    b: Play
    fresh: tuple[Tensor, Tensor]
    places: tuple[Tensor, ...] = ()

    @property
    def seen(self) -> int:
        """As `Play.seen`."""
        return self.a.seen

    # Computed on first use, so that a turn pays only for what its terms ask.

    @cached_property
    def cycled(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """The images of A and of B, each with what is left of it once it went there and back."""
        fake_A, fake_B = self.fresh
        return (self.a.real, self.ways.BA(fake_B)), (self.b.real, self.ways.AB(fake_A))

    @cached_property
    def identity_mapped(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """The images of A and of B, each with what the way into its own domain makes of it."""
        A, B = self.a.real, self.b.real
        return (A, self.ways.BA(A)), (B, self.ways.AB(B))


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleTranslation:
    """Images of A become images of B and the other way round; each D sees its own domain alone.

    Attributes:
        source_channels: the first channels of an image of the data, which are an image of A; the
            others are one of B.
        views: what of them is shown in training, of each on its own.
        pools: fakes of the past, of A and of B, which D is shown among the new ones.
        score_fn: turns D's logits into what the log calls D(x).
    """

    source_channels: int
    views: Views
    pools: tuple[Pool, Pool]
    score_fn: Callable[[Tensor], Tensor] = torch.sigmoid

    @cached_property
    def memory(self) -> nn.Module:
        """The pools."""
        return nn.ModuleList(self.pools)

    def __call__(self, game: Game, turn: str, batch: Batch, seen: int) -> CyclePlay:
        """Translate both ways; on D's turn without a graph, since only D will learn."""
        A, B = map(self.views, self.halves(batch.real))
        ways = game.G.net
        assert isinstance(ways, GeneratorPair)
        with torch.set_grad_enabled(turn == "G"):
            fresh = ways.BA(B), ways.AB(A)
        shown, places = fresh, ()
        if turn == "D":
            mixed = [pool.mix(fakes) for pool, fakes in zip(self.pools, fresh, strict=True)]
            shown, places = zip(*mixed, strict=True)
        plays = [
            Play(
                critic=Judge(net),
                real=real,
                fake=fake,
                condition=real[:, :0],
                seen=seen,
                in_one_pass=turn == "D" and not game.has_batch_norm,
            )
            for net, real, fake in zip(judges(game.D.net), (A, B), shown, strict=True)
        ]
        return CyclePlay(ways=ways, a=plays[0], b=plays[1], fresh=fresh, places=places)

    def halves(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Part images (n, c, h, w) into those of A and those of B."""
        return images[:, : self.source_channels], images[:, self.source_channels :]

    inputs = Translation.inputs

    def strip(self, G: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
        """What a person wants to see side by side.

        Args:
            G: the generators.
            images: (n, c, h, w), of A and of B.

        Returns:
            Six times images (n, _, h, w): of A, as B, come round; of B, as A, come round.
        """
        A, B = self.halves(images)
        assert isinstance(G, GeneratorPair)
        A_as_B, B_as_A = G.AB(A), G.BA(B)
        return A, A_as_B, G.BA(A_as_B), B, B_as_A, G.AB(B_as_A)

    def scalars(self, play: CyclePlay) -> Mapping[str, Tensor]:
        """D's mean opinions of real and fake images, of both domains."""
        sides = play.a, play.b
        real = torch.stack([self.score_fn(side.real_logits.detach()).mean() for side in sides])
        fake = torch.stack([self.score_fn(side.fake_logits.detach()).mean() for side in sides])
        return {"D(x)": real.mean(), "D(G(z))": fake.mean()}

    def observe(self, play: CyclePlay) -> None:
        """Let the pools take in the new fakes."""
        for pool, fakes, places in zip(self.pools, play.fresh, play.places, strict=True):
            pool.take(fakes, places)


@dataclass(frozen=True)
class Judge:
    """A discriminator (images, condition) -> logits that is told no condition."""

    net: nn.Module

    def __call__(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) -> logits (n, patches)."""
        logits: Tensor = self.net(images, images[:, :0])
        return logits


def judges(net: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The discriminators of A and of B."""
    assert isinstance(net, DiscriminatorPair)
    return net.A, net.B


def both_ways(objective: Objective) -> Objective:
    """Let an adversarial objective be played in either domain; the log shows `_A` and `_B`."""

    def sides(terms: Mapping[str, Term]) -> dict[str, Term]:
        return {
            f"{name}_{side}": on_side(term, side) for side in "AB" for name, term in terms.items()
        }

    return Objective(D=sides(objective.D), G=sides(objective.G))


def on_side(term: Term, side: str) -> Term:
    """A term of the Play of one domain, "A" or "B", as a term of the Play of both."""
    return lambda play: term(play.a if side == "A" else play.b)


def cycle(weight: float) -> Term:
    """E |BA(AB(a)) - a| + E |AB(BA(b)) - b|: who goes there and back should be as before.

    Both means over pixels, times the weight, 10 in the paper. 0 where the two ways are inverse.
    Source: Zhu et al. 2017, arXiv 1703.10593, equation 2.
    """
    return lambda play: weight * distance(play.cycled)


def identity(weight: float) -> Term:
    """E |BA(a) - a| + E |AB(b) - b|: what is in the domain already should stay, colours above all.

    Both means over pixels, times the weight; the paper's is half of the cycle's. It needs domains
    of equal channels. Source: Zhu et al. 2017, arXiv 1703.10593, section 5.2.
    """
    return lambda play: weight * distance(play.identity_mapped)


def distance(pairs: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
    """The sum of the mean absolute differences of some pairs of images."""
    return torch.stack([(one - other).abs().mean() for one, other in pairs]).sum()


def require_equal_channels(channels_A: int, channels_B: int) -> None:
    """Refuse an identity term between domains that differ in their channels.

    Raises:
        UserError: they do.
    """
    if channels_A != channels_B:
        raise UserError(
            "The identity term holds images of one domain against what comes out for them, but "
            f"they differ in channels: {channels_A} of A, {channels_B} of B. Choose --channels 3 "
            "for both, or leave the term out with --identity 0."
        )
