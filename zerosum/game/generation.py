"""How a batch becomes a Play where images are made from noise, with classes or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from zerosum.game.augment import Augmentation, flip
from zerosum.game.core import Batch, Game, GeneratorInput, Play
from zerosum.game.packing import pack
from zerosum.game.sampling import noise_inputs
from zerosum.game.share import for_each


@dataclass(frozen=True, kw_only=True, eq=False)
class Generation:
    """Images from z ~ N(0, I), which is fresh on each turn.

    Attributes:
        latent_size: entries of z.
        num_classes: of the condition that G is given, one-hot; 0 for none.
        classifier: whether D is not told the class and has to name it (AC-GAN).
        packed: images that D judges together (PacGAN).
        flips: whether half of the real images are mirrored.
        augmentation: what D sees real and fake images through.
        score_fn: turns D's logits into what the log calls D(x).
    """

    latent_size: int
    num_classes: int = 0
    classifier: bool = False
    packed: int = 1
    flips: bool = False
    augmentation: Augmentation = field(default_factory=lambda: Augmentation((), channels=0))
    score_fn: Callable[[Tensor], Tensor] = torch.sigmoid

    @property
    def memory(self) -> nn.Module:
        """The augmentation, whose probability may follow D's verdicts."""
        return self.augmentation

    def __call__(self, game: Game, turn: str, batch: Batch, seen: int) -> Play:
        """Let G draw its fakes; on D's turn without a graph, since only D will learn."""
        batch = batch.whole_packs(self.packed)
        device = batch.real.device
        z = for_each(len(batch), lambda n: torch.randn(n, self.latent_size, device=device))
        condition = self._condition(z, batch.labels)
        with torch.set_grad_enabled(turn == "G"):
            fake = game.G.net(z, condition)
        told = z.new_empty(len(z), 0) if self.classifier else condition

        def critic(images: Tensor) -> Tensor:
            shown = pack(self.augmentation(images), self.packed)
            conditions = torch.cat([told] * (len(images) // len(told)))
            logits: Tensor = game.D.net(
                shown, conditions.reshape(len(shown), self.packed * told.shape[1])
            )
            return logits

        return Play(
            critic=critic,
            real=flip(batch.real) if self.flips else batch.real,
            fake=fake,
            condition=condition,
            seen=seen,
            in_one_pass=turn == "D" and not game.has_batch_norm,
            num_classes=self.num_classes if self.classifier else 0,
            labels=batch.labels if self.classifier else None,
        )

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """z, and the class where there are any."""
        return noise_inputs(self.latent_size, self.num_classes)

    def _condition(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Labels (b,) as one-hot rows (b, num_classes)."""
        if not self.num_classes:
            return z.new_empty(len(z), 0)
        assert labels is not None
        return nn.functional.one_hot(labels, self.num_classes).to(z.dtype)

    def scalars(self, play: Play) -> Mapping[str, Tensor]:
        """D's mean scores of real and fake images, and how many real ones' classes it names."""
        found = {
            "D(x)": self.score_fn(play.real_logits.detach()).mean(),
            "D(G(z))": self.score_fn(play.fake_logits.detach()).mean(),
        }
        if play.labels is not None:
            found["accuracy"] = (
                (play.real_classes.argmax(dim=1) == play.labels).to(play.real).mean()
            )
        return found

    def observe(self, play: Play) -> None:
        """Let the augmentation follow D's verdicts."""
        self.augmentation.observe(play.real_logits.detach(), images=len(play.real))
