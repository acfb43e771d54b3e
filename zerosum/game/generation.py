"""The deals of GANs that make images from noise, without an auxiliary classifier or with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from zerosum.game.augment import Augmentation, flip
from zerosum.game.core import Batch, Game, GeneratorInput, Play, image_gradients
from zerosum.game.packing import pack
from zerosum.game.sampling import noise_inputs


@dataclass(frozen=True, kw_only=True, eq=False)
class Generation:
    """Images from z ~ N(0, I), which is fresh on each turn.

    Attributes:
        latent_size: entries of z.
        num_classes: of the condition that G is given, one-hot; 0 for none.
        tells_critic: whether D is given the condition too.
        packed: images that D judges together (PacGAN).
        flips: whether half of the real images are mirrored.
        augmentation: what D sees real and fake images through.
        score_fn: turns D's logits into what the log calls D(x).
    """

    latent_size: int
    num_classes: int = 0
    tells_critic: bool = True
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
        batch = whole_packs(batch, self.packed)
        z = torch.randn(len(batch), self.latent_size, device=batch.real.device)
        condition = self._condition(z, batch.labels)
        with torch.set_grad_enabled(turn == "G"):
            fake = game.G.net(z, condition)
        told = condition if self.tells_critic else z.new_empty(len(z), 0)

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

    def metrics(self, play: Play) -> Mapping[str, Tensor]:
        """D's mean opinions of real and fake images."""
        return {
            "D(x)": self.score_fn(play.real_logits.detach()).mean(),
            "D(G(z))": self.score_fn(play.fake_logits.detach()).mean(),
        }

    def observe(self, play: Play) -> None:
        """Let the augmentation follow D's verdicts."""
        self.augmentation.observe(play.real_logits.detach(), images=len(play.real))


@dataclass(frozen=True, kw_only=True)
class ClassifiedPlay:
    """A Play whose D gives a logit for each class beside its verdict.

    Attributes:
        play: whose logits are (b, 1 + k).
        labels: int64 (b,), the classes of reals and fakes alike.
    """

    play: Play
    labels: Tensor

    def critic(self, images: Tensor) -> Tensor:
        """D's verdicts alone, logits (n, 1)."""
        return self.play.critic(images)[:, :1]

    @property
    def real(self) -> Tensor:
        """As `Play.real`."""
        return self.play.real

    @property
    def fake(self) -> Tensor:
        """As `Play.fake`."""
        return self.play.fake

    @property
    def seen(self) -> int:
        """As `Play.seen`."""
        return self.play.seen

    @property
    def real_logits(self) -> Tensor:
        """D's verdicts on the real images, (b, 1)."""
        return self.play.real_logits[:, :1]

    @property
    def fake_logits(self) -> Tensor:
        """D's verdicts on the fake images, (b, 1)."""
        return self.play.fake_logits[:, :1]

    # Of the verdicts alone, and so of a pass that gives nothing else.

    @property
    def real_gradient(self) -> Tensor:
        """As `Play.real_gradient`, of the verdicts."""
        return image_gradients(self.critic, self.real)

    @property
    def fake_gradient(self) -> Tensor:
        """As `Play.fake_gradient`, of the verdicts."""
        return image_gradients(self.critic, self.fake.to(self.real.dtype))

    @property
    def real_classes(self) -> Tensor:
        """The classes that D sees in the real images, logits (b, k)."""
        return self.play.real_logits[:, 1:]

    @property
    def fake_classes(self) -> Tensor:
        """The classes that D sees in the fake images, logits (b, k)."""
        return self.play.fake_logits[:, 1:]


@dataclass(frozen=True, kw_only=True, eq=False)
class Classified:
    """The deal of AC-GAN: G is told a class, and D, which is not, has to name it.

    Attributes:
        generation: the deal without the classes' logits.
    """

    generation: Generation

    @property
    def memory(self) -> nn.Module:
        """As `Generation.memory`."""
        return self.generation.memory

    def __call__(self, game: Game, turn: str, batch: Batch, seen: int) -> ClassifiedPlay:
        """Deal the Play; the fakes are of the classes of the reals."""
        assert batch.labels is not None
        play = self.generation(game, turn, batch, seen)
        return ClassifiedPlay(play=play, labels=play.condition.argmax(dim=1))

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """As `Generation.inputs`."""
        return self.generation.inputs

    def metrics(self, play: ClassifiedPlay) -> Mapping[str, Tensor]:
        """D's mean opinions, and how many classes of real images it names rightly."""
        right = play.real_classes.argmax(dim=1) == play.labels
        score_fn = self.generation.score_fn
        return {
            "D(x)": score_fn(play.real_logits.detach()).mean(),
            "D(G(z))": score_fn(play.fake_logits.detach()).mean(),
            "accuracy": right.float().mean(),
        }

    def observe(self, play: ClassifiedPlay) -> None:
        """As `Generation.observe`."""
        self.generation.augmentation.observe(play.real_logits.detach(), images=len(play.real))


def whole_packs(batch: Batch, size: int) -> Batch:
    """Leave out the last images of a batch that does not divide into packs of that size.

    They are others in every epoch. A batch too small for one pack repeats its images.
    """
    count = max(len(batch) // size, 1) * size
    if count == len(batch):
        return batch
    chosen = torch.arange(count, device=batch.real.device) % len(batch)
    labels = None if batch.labels is None else batch.labels[chosen]
    return Batch(batch.real[chosen], labels)
