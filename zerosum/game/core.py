"""The central idea: a game is two players, an objective is named terms, a round is turns.

A `Player` is a net, its optimizer and its objective. A `Game` is G against D and the order of
their turns. Its `Forward` turns a mini-batch into a `Play`, which is all that a term may look at.
Every recipe is data of these types for one training loop, which never asks which recipe it is
running. What the two nets are, which terms they minimise and how they are trained is settled
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Term = Callable[[Any], Tensor]
"""What a player minimises: a function of the Play, usually `Play`, that returns one scalar."""

Schedule = Callable[[int], float]
"""A setting that changes as training goes on: a function of the real images seen."""

Constraint = Callable[[nn.Module], None]
"""What a player's net must satisfy after each step, such as weights inside a clip."""


@dataclass(frozen=True)
class Batch:
    """One mini-batch of the data set, as the loader deals it.

    Attributes:
        real: images, float (b, c, h, w) in [-1, 1].
        labels: classes, int64 (b,), or None where the data set has none.
        first: of a process that has only its own images of a batch, the place of the first one.
        total: images in the batch, of all processes together; None where these are all.
    """

    real: Tensor
    labels: Tensor | None = None
    first: int = 0
    total: int | None = None

    def __len__(self) -> int:
        return len(self.real) if self.total is None else self.total

    def rows(self, start: int, stop: int) -> Batch:
        """Some of its images, those from `start` on, all of which must be at hand."""
        chosen = slice(start - self.first, stop - self.first)
        labels = None if self.labels is None else self.labels[chosen]
        return Batch(self.real[chosen], labels)

    def whole_packs(self, size: int) -> Batch:
        """Leave out the last images where they do not divide into packs of that size.

        They are others in every epoch. A batch too small for one pack repeats its images.
        """
        count = max(len(self) // size, 1) * size
        if count == len(self):
            return self
        if len(self.real) < len(self):  # which of them are played is decided already
            return replace(self, total=count)
        chosen = torch.arange(count, device=self.real.device) % len(self)
        labels = None if self.labels is None else self.labels[chosen]
        return Batch(self.real[chosen], labels)


@dataclass(frozen=True, kw_only=True)
class Play:
    """One mini-batch as the player on turn sees it.

    Attributes:
        critic: images (n, c, h, w) -> outputs (n, 1 + k): D with the condition filled in. The first
            column is its verdict, of a PatchGAN one a patch; the k others are logits of the classes
            where D has to name them. n may be a multiple of b: several batches laid end to end,
            each under the same condition.
        real: real images (b, c, h, w) in [-1, 1].
        fake: G's images (b, c, h, w). On G's turn they carry G's graph, on D's they are constants.
        condition: what both players are told: one-hot classes (b, k), k = 0 when unconditional.
        seen: real images dealt so far in the run; schedules read it.
        in_one_pass: whether real and fake go through D together, which is faster. Only right
            when D treats every image alone, so not with BatchNorm.
        num_classes: k, how many classes D names; 0 where it gives a verdict alone.
        labels: int64 (b,), the classes of reals and fakes alike, where D names them.
    """

    critic: Callable[[Tensor], Tensor]
    real: Tensor
    fake: Tensor
    condition: Tensor
    seen: int
    in_one_pass: bool = False
    num_classes: int = 0
    labels: Tensor | None = None

    def verdict(self, images: Tensor) -> Tensor:
        """D's verdicts alone, logits (n, v) of images (n, c, h, w): v is 1, or one a patch."""
        outputs = self.critic(images)
        return outputs[:, : outputs.shape[1] - self.num_classes]

    # All of these are computed on first use, so that a turn pays only for what its terms ask.

    @property
    def real_logits(self) -> Tensor:
        """D's verdicts on the real images, float32 (b, v)."""
        return self._both.first if self.in_one_pass else self._real.logits

    @property
    def fake_logits(self) -> Tensor:
        """D's verdicts on the fake images, float32 (b, v)."""
        return self._both.second if self.in_one_pass else self._fake.logits

    @property
    def real_classes(self) -> Tensor:
        """The classes that D sees in the real images, logits float32 (b, k)."""
        classes = self._both.classes if self.in_one_pass else self._real.classes
        return classes[: len(self.real_logits)]

    @property
    def fake_classes(self) -> Tensor:
        """The classes that D sees in the fake images, logits float32 (b, k)."""
        classes = self._both.classes if self.in_one_pass else self._fake.classes
        return classes[-len(self.fake_logits) :]

    @property
    def real_gradient(self) -> Tensor:
        """The gradient of D's logits at the real images, a row for each row of logits.

        Differentiable by D's weights. Where the images are constants, as on D's turn, it is taken
        of the pass that gave the logits, which saves one.
        """
        if self._carries_a_graph:
            return image_gradients(self.verdict, self.real)
        gradient = self._both.gradient if self.in_one_pass else self._real.gradient
        return gradient[: len(self.real_logits)]

    @property
    def fake_gradient(self) -> Tensor:
        """The gradient of D's logits at the fake images, likewise; they are taken as constants."""
        if self._carries_a_graph:
            return image_gradients(self.verdict, self._fake_images)
        gradient = self._both.gradient if self.in_one_pass else self._fake.gradient
        return gradient[-len(self.fake_logits) :]

    @property
    def _carries_a_graph(self) -> bool:
        return self.real.requires_grad or self.fake.requires_grad

    @cached_property
    def _real(self) -> Scored:
        return self._scored(self.real)

    @property
    def _fake_images(self) -> Tensor:
        # In the data's precision: under autocast G may have made them in half of it, and their
        # gradients would then be squared and summed in as little.
        return self.fake.to(self.real.dtype)

    @cached_property
    def _fake(self) -> Scored:
        return self._scored(self._fake_images)

    @cached_property
    def _both(self) -> Scored:
        return self._scored(torch.cat([self.real, self.fake]))

    def _scored(self, images: Tensor) -> Scored:
        return Scored.of(self.critic, images, num_classes=self.num_classes)


def in_full(outputs: Tensor) -> Tensor:
    """Outputs in float32, or in float64 where a game is played in that."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()


@dataclass(frozen=True)
class Scored:
    """Images and what D makes of them, from one pass.

    Attributes:
        images: (n, c, h, w). Where they are constants, they are ready to be differentiated by.
        logits: D's verdicts, float32 (r, v); r is n, or less where D sees packs.
        classes: logits of the classes that D names, float32 (r, k).
    """

    images: Tensor
    logits: Tensor
    classes: Tensor

    @classmethod
    def of(
        cls, critic: Callable[[Tensor], Tensor], images: Tensor, *, num_classes: int = 0
    ) -> Scored:
        """Let D judge images.

        Those that carry G's graph are left as they are, for G to learn through. Asking for the
        gradient by the others costs nothing until it is asked for.
        """
        leaf = images if images.requires_grad else images.detach().requires_grad_()
        outputs = in_full(critic(leaf))
        count = outputs.shape[1] - num_classes
        return cls(leaf, outputs[:, :count], outputs[:, count:])

    # Halves, and not by the number of images: a D that sees packs has a logit for each pack.

    @property
    def first(self) -> Tensor:
        """The logits of the first half of the images."""
        return self.logits[: len(self.logits) // 2]

    @property
    def second(self) -> Tensor:
        """The logits of the second half of the images."""
        return self.logits[len(self.logits) // 2 :]

    @cached_property
    def gradient(self) -> Tensor:
        """As `image_gradients`."""
        # Verdicts do not depend on one another's images, so their sum's gradient is each one's.
        (gradient,) = torch.autograd.grad(self.logits.sum(), self.images, create_graph=True)
        return gradient.reshape(len(self.logits), -1)


def image_gradients(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The critic's gradient at images (n, c, h, w), itself differentiable by the critic's weights.

    The images are taken as constants: whatever made them, G among it, learns nothing from this.

    Returns:
        Shape (r, n / r * c * h * w) for r rows of logits. Of a row of several logits, such as a
        PatchGAN's, it is the gradient of their sum.
    """
    return Scored.of(critic, images.detach()).gradient


@dataclass(frozen=True, kw_only=True)
class Player:
    """A net, what it minimises, and what steps it.

    Attributes:
        net: G or D. A game of more nets (CycleGAN's two and two) holds them in one module.
        optimizer: over the net's parameters.
        objective: the terms, by the names that the log shows; their sum is the player's loss.
        constraint: applied to the net after each of its steps.
        schedules: settings of the optimizer that change, such as "lr" or "betas" by a function of
            the images seen; set before each step.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    objective: Mapping[str, Term]
    constraint: Constraint | None = None
    schedules: Mapping[str, Callable[[int], Any]] = field(default_factory=dict)

    @cached_property
    def parameters(self) -> list[nn.Parameter]:
        """The net's trainable parameters."""
        return [p for p in self.net.parameters() if p.requires_grad]


class Forward(Protocol):
    """How a mini-batch becomes a Play, and what G takes to make pictures."""

    @property
    def memory(self) -> nn.Module:
        """What it remembers from turn to turn, as buffers: a part of the run's state."""
        ...

    def __call__(self, game: Game, turn: str, batch: Batch, seen: int) -> Any:
        """Deal the Play for the player on turn, "D" or "G"."""
        ...

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """What G takes."""
        ...

    def scalars(self, play: Any) -> Mapping[str, Tensor]:
        """Scalars worth a column in the log, taken on D's turns."""
        ...

    def observe(self, play: Any) -> None:
        """Take note of one of D's turns, after its step, in `memory`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Game:
    """G against D.

    Attributes:
        G: the generator.
        D: the discriminator, or critic.
        forward: how a batch becomes a Play.
        turns: the players' turns in a round: "DG", or "DDDDDG" for five critic turns. Each turn
            of D is dealt a fresh batch of real images; G's turn replays the last one.
        parts: in how many parts a batch is played, one after the other, before the step. More
            need less memory, and more time. Without BatchNorm they come to what one part does.
        batch_norm: where several processes play, whose images BatchNorm's statistics are of: those
            of all, or of each its own, which is another training and waits less.
    """

    G: Player
    D: Player
    forward: Forward
    turns: str = "DG"
    parts: int = 1
    batch_norm: Literal["global", "local"] = "global"

    def __post_init__(self) -> None:
        if not self.turns.startswith("D") or set(self.turns) != {"D", "G"}:
            raise ValueError(
                f"A round's turns were {self.turns!r}: expected the letters D and G, D first, "
                "because D's turn deals the batch that G's turn replays."
            )

    def player(self, turn: str) -> Player:
        """The player of a letter of `turns`."""
        return self.G if turn == "G" else self.D

    @property
    def pack(self) -> int:
        """Images that are judged together, and so are played in one pass."""
        packed: int = getattr(self.forward, "packed", 1)  # of which most know nothing
        return packed

    @property
    def num_weights(self) -> int:
        """Weights of G and D together."""
        return sum(p.numel() for player in (self.G, self.D) for p in player.net.parameters())

    @property
    def device(self) -> torch.device:
        """Where G's weights live."""
        return next(self.G.net.parameters()).device

    @cached_property
    def has_batch_norm(self) -> bool:
        """Whether D's output for one image depends on the others of its batch.

        BatchNorm makes it so. Such a D cannot take real and fake images in one pass, and its
        gradient with respect to one image, which R1 and the gradient penalty need, is not that
        image's own.
        """
        return has_batch_norm(self.D.net)


@dataclass(frozen=True)
class GeneratorInput:
    """One of the tensors that a G takes.

    Attributes:
        name: what to call it, such as "z".
        shape: of one entry of a batch; None for a side that may be of any length.
        kind: "latent", drawn from N(0, I); "class", a row that is one-hot; "image", in [-1, 1].
    """

    name: str
    shape: tuple[int | None, ...]
    kind: Literal["latent", "class", "image"]


def has_batch_norm(net: nn.Module) -> bool:
    """Whether a net has BatchNorm, through which the images of a batch tell on one another."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())
