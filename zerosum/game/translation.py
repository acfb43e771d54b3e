"""How image-to-image translation makes a Play: of sources and the targets they should become.

As in Pix2Pix (Isola et al. 2017, arXiv 1611.07004): G makes a target of a source, D sees both. The
noise is the dropout inside G.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zerosum.game.core import Batch, Game, GeneratorInput, Play
from zerosum.game.jitter import jitter
from zerosum.game.sampling import image_inputs


@dataclass(frozen=True, kw_only=True)
class Views:
    """What of an image is shown in training: crops of it, enlarged and mirrored or not.

    Attributes:
        enlarge: the factor by which images are enlarged before they are cropped back, at least 1.
        flips: whether half of them are mirrored.
    """

    enlarge: float = 1.0
    flips: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) -> images of the same shape; each as one, whatever its channels."""
        return jitter(images, enlarge=self.enlarge, flips=self.flips)


@dataclass(frozen=True, kw_only=True, eq=False)
class Translation:
    """A source becomes a target, and D judges the two together.

    Attributes:
        source_channels: the first channels of an image of the data, which are its source; the
            others are its target.
        views: what of them is shown in training, the same of both.
        score_fn: turns D's logits into what the log calls D(x).
    """

    source_channels: int
    views: Views
    score_fn: Callable[[Tensor], Tensor] = torch.sigmoid

    @property
    def memory(self) -> nn.Module:
        """Nothing."""
        return nn.Identity()

    def __call__(self, game: Game, turn: str, batch: Batch, seen: int) -> Play:
        """Let G translate; on D's turn without a graph, since only D will learn."""
        source, target = self.halves(self.views(batch.real))
        with torch.set_grad_enabled(turn == "G"):
            fake = game.G.net(source)

        def critic(images: Tensor) -> Tensor:
            sources = torch.cat([source] * (len(images) // len(source)))
            logits: Tensor = game.D.net(images, sources)
            return logits

        return Play(
            critic=critic,
            real=target,
            fake=fake,
            condition=source,
            seen=seen,
            in_one_pass=turn == "D" and not game.has_batch_norm,
        )

    def halves(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Part images (n, c, h, w) into sources and targets."""
        return images[:, : self.source_channels], images[:, self.source_channels :]

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """The source, of any size."""
        return image_inputs(self.source_channels)

    def strip(self, G: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
        """What a person wants to see side by side: source, what G makes of it, target.

        Args:
            G: the generator.
            images: (n, c, h, w), sources and targets.

        Returns:
            Three times images (n, _, h, w).
        """
        source, target = self.halves(images)
        return source, G(source), target

    def scalars(self, play: Play) -> Mapping[str, Tensor]:
        """D's mean opinions of real and fake images, over all patches."""
        return {
            "D(x)": self.score_fn(play.real_logits.detach()).mean(),
            "D(G(z))": self.score_fn(play.fake_logits.detach()).mean(),
        }

    def observe(self, play: Play) -> None:
        """Remember nothing."""
