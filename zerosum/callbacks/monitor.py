"""The evaluation of a training as it runs: how good G's samples are, and whether the game is well.

Every few epochs the same z are turned into images by the average of G, which a small feature net
compares with real images; and D is asked what it makes of reals, held-out reals and fakes. It
touches nothing that the training depends on: a run with evaluations ends with the same weights as
one without. Of several processes each makes and looks at its share of the samples, the very images
that one would make, and process 0 judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.data.images import ImageSet, to_float
from zerosum.data.store import sample
from zerosum.game.core import Batch, Player
from zerosum.game.sampling import CHUNK, Generator, draw_inputs, generate
from zerosum.metrics.classes import class_shares
from zerosum.metrics.embedding import (
    Embedding,
    Seen,
    embed,
    embed_reference,
    keep,
    put_together,
    reference_key,
    see,
    unseen,
)
from zerosum.metrics.features import BATCH, FeatureNet
from zerosum.metrics.frechet import distance_of_moments
from zerosum.metrics.health import (
    HealthSignals,
    diagnose,
    identical_share,
    missing_classes,
    ranking,
)
from zerosum.metrics.memorization import Yardstick, judge, yardstick
from zerosum.metrics.registry import reported_name
from zerosum.seeds import enter_stream, stream_seed
from zerosum.training import distributed
from zerosum.training.interfaces import Evaluation
from zerosum.training.log import History
from zerosum.training.passes import own_span
from zerosum.training.state import State

SAMPLES, SAMPLE_BYTES = 4000, 200 * 2**20
"""Images to judge G by: enough to tell a better G from a worse one, within this much memory."""
REFERENCES = 10_000
ASKED = 1000
"""Images that D is asked about, and samples that are held against training images."""
ASKED_ENTRIES = 2**20
"""Entries of the images that D is asked about at a time, which bounds the memory; digits fit in."""
SEARCHED = 20_000
"""Training images among which copies are looked for; of more, so many at random. What a GAN learns
by heart is smaller, and a small net looks at them in seconds, once on a machine."""

OF_REFERENCE: dict[str, Any] = {"keep_features": True, "keep_logits": True}
OF_TRAINING: dict[str, Any] = {"keep_features": True, "keep_logits": False}
"""What is kept of each real image, as `embed` takes it."""


class Monitor:
    """Judges G and D as they stand, on the same images and the same z each time."""

    def __init__(
        self,
        state: State,
        images: ImageSet,
        held_out: ImageSet | None,
        *,
        net: FeatureNet,
        seed: int,
    ) -> None:
        """Choose what to judge by.

        Args:
            state: whose players are judged as they will stand when it is called.
            images: the training images.
            held_out: other real images of the same shape, if there are any; of several processes,
                process 0 has them.
            net: in whose features samples are compared.
            seed: decides z, and which images D is asked about.

        Raises:
            UserError: the net cannot look at such images.
        """
        net.look(images.images[:1])  # what it cannot do is said now, not after epochs of training
        self.state = state
        self.images = images
        self.held_out = held_out
        self.net = net
        self.seed = seed
        self._is_new = True
        entries = images.images[0].numel()
        count = min(SAMPLES, len(images), max(2, SAMPLE_BYTES // entries))
        enter_stream(state.game.device, "checkup", seed)
        self.G = Generator(state.ema.net, state.game.forward.inputs)
        self.inputs = draw_inputs(self.G.inputs, count, state.game.device)

    def __call__(self, history: History) -> Evaluation:
        """Look at the players.

        Args:
            history: the log of the run so far, whose signals are the history of these.

        Returns:
            What was found; without any metrics where another process judges.
        """
        game = self.state.game
        if distributed.world() > 1 and self._is_new:
            self._look_together(SEARCHED, **OF_TRAINING)
            if distributed.from_first(self.held_out is None):
                self._look_together(REFERENCES, **OF_REFERENCE)
            self._is_new = False
        with evaluating(game.G.net, game.D.net), torch.no_grad():
            shares = distributed.to_first((self._own_samples(), self._own_logits()))
        if shares is None:
            return Evaluation(metrics={})
        seen = (group for groups, _ in shares for group in groups)
        samples = put_together(self.net, seen, keep_features=True)
        name = reported_name("fid", self.net.name)
        metric = distance_of_moments(samples.moments, self._reference.moments)
        logits = {of: each for _, found in shares for of, each in found.items()}
        of_D = self._judge_discriminator(logits)
        signals = HealthSignals(
            seen=self.state.progress.seen,
            metric=metric,
            **of_D,
            **self._variety(samples),
            **self._copies(samples),
        )
        verdict = diagnose([*logged_signals(history), signals], noise=self._noise)
        return Evaluation(
            metrics={name: metric},
            health={
                "verdict": verdict.name,
                "why": verdict.why,
                "alarm": verdict.alarm,
                "signals": asdict(signals),
            },
        )

    @cached_property
    def _reference(self) -> Embedding:
        """Real images that G's samples are compared with: held-out ones where there are any."""
        chosen = some(self.held_out or self.images, REFERENCES)
        return embed_reference(self.net, chosen, **OF_REFERENCE)

    @cached_property
    def _noise(self) -> float | None:
        """The metric of noise, which G's samples have to beat before anything is said of them."""
        if self.images.spec.are_points:
            return None
        noise = noise_like(some(self.held_out or self.images, REFERENCES), ASKED)
        moments = embed(self.net, noise, keep_features=False).moments
        return distance_of_moments(moments, self._reference.moments)

    @cached_property
    def _training(self) -> Embedding:
        """The training images among which copies are looked for."""
        chosen = some(self.images, SEARCHED)
        return embed_reference(self.net, chosen, **OF_TRAINING)

    def _look_together(self, count: int, **how: Any) -> None:
        """Look at some training images by all processes, if what is seen of them is not kept.

        Process 0 keeps it, and finds it later as if it had been another run's.
        """
        rows = some_rows(self.images, count)
        chosen, key = None, ""
        if distributed.rank() == 0 and self.net.sha256 is not None:
            chosen = self.images.images[rows]
            if unseen(self.net, chosen, **how):
                key = reference_key(self.net, chosen, **how)
        if not distributed.from_first(key):
            return
        first, stop = own_groups(len(rows))
        own = self.images.images[rows[first:stop]] if chosen is None else chosen[first:stop]
        shares = distributed.to_first(in_groups(self.net, own))
        if shares is not None:
            keep(key, put_together(self.net, chain(*shares), **how))

    def _own_samples(self) -> list[Seen]:
        """What the net sees in this process's share of the samples, in groups of `BATCH`.

        G makes whole chunks, as one process does, or their last bits might be others.
        """
        first, stop = own_groups(len(self.inputs[0]))
        begin = first // CHUNK * CHUNK
        made = [
            generate(self.G, [values[start : start + CHUNK] for values in self.inputs]).cpu()
            for start in range(begin, stop, CHUNK)
        ]
        if not made:
            return []
        return in_groups(self.net, torch.cat(made)[first - begin : stop - begin])

    def _own_logits(self) -> dict[str, tuple[Tensor, Tensor]]:
        """This process's share of what D is asked: the first has the held-out images."""
        found = {}
        if distributed.rank() == distributed.world() - 1:
            found["training"] = self._logits(self.images)
        # Where images have classes, D has to be told that of each that it is asked about.
        asked = self.held_out
        if asked is not None and asked.labels is None and self.images.labels is not None:
            asked = None
        if asked:
            found["held out"] = self._logits(asked)
        return found

    def _judge_discriminator(self, logits: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Any]:
        """How well D tells reals from fakes of G itself, and training images from others."""
        real, fake = logits["training"]
        held_out = logits["held out"][0] if "held out" in logits else None
        return {
            "separation": ranking(real, fake),
            "gap": (real.mean() - fake.mean()).item(),
            "train_separation": None if held_out is None else ranking(real, held_out),
            "D_gradient": gradient_norm(self.state.game.D),
            "G_gradient": gradient_norm(self.state.game.G),
        }

    def _logits(self, images: ImageSet) -> tuple[Tensor, Tensor]:
        """D's logits (n, 1) of real images, the same each time, and of as many fakes."""
        game = self.state.game
        device = game.device
        enter_stream(device, "checkup", "D", self.seed)
        chosen = sample(images.images, ASKED)
        found = []
        entries = len(chosen) * images.images[0].numel()
        for rows in chosen.chunk(-(-entries // ASKED_ENTRIES)):
            labels = None if images.labels is None else images.labels[rows].to(device)
            batch = Batch(to_float(images.images[rows]).to(device), labels)
            play = game.forward(game, "D", batch, self.state.progress.seen)
            found.append((play.real_logits, play.fake_logits))
        if len(found) == 1:  # a copy would be summed in another order than version 0.1 did
            return found[0]
        real, fake = (torch.cat(logits) for logits in zip(*found, strict=True))
        return real, fake

    def _variety(self, samples: Embedding) -> dict[str, Any]:
        """How much the samples vary, and which classes they leave out."""
        real = self._reference
        missing: list[str] = []
        modes = None
        if samples.logits is not None and real.logits is not None:
            missing = missing_classes(
                class_shares(samples.logits).tolist(),
                class_shares(real.logits).tolist(),
                self.net.classes,
                count=len(samples),
            )
            found, there = (
                int(logits.argmax(dim=1).bincount().count_nonzero())
                for logits in (samples.logits, real.logits[: len(samples)])
            )
            modes = found / there
        spread = [embedding.moments.covariance.trace().item() for embedding in (samples, real)]
        return {
            "diversity": spread[0] / max(spread[1], 1e-12),
            "identical": identical_share(*(each.kept_features[:ASKED] for each in (samples, real))),
            "missing": missing,
            "modes": modes,
        }

    @cached_property
    def _searched(self) -> tuple[Tensor, Yardstick]:
        """The features that samples may be copies of, and how far other real images are from them.

        Where nothing is held out, some training images stand in for it, and are not searched.
        """
        training = self._training.kept_features
        if self.held_out:
            others = self._reference.kept_features[:ASKED]
        else:
            count = min(ASKED, len(training) // 5)
            others, training = training[:count], training[count:]
        return training, yardstick(training, others)

    def _copies(self, samples: Embedding) -> dict[str, Any]:
        """Whether samples are copies of training images."""
        found = judge(samples.kept_features[:ASKED], *self._searched)
        return {"near": found.near, "ratio": found.ratio}


def own_groups(count: int) -> tuple[int, int]:
    """Which of so many images this process looks at, whole groups of `BATCH` but for the end."""
    first, stop = own_span(-(-count // BATCH))
    return min(first * BATCH, count), min(stop * BATCH, count)


def in_groups(net: FeatureNet, images: Tensor) -> list[Seen]:
    """What a net sees in images (n, c, h, w), in groups of `BATCH`."""
    return [see(net, group) for group in torch.split(images, BATCH)] if len(images) else []


def some(images: ImageSet, count: int) -> Tensor:
    """Choose as many images as there are, up to `count`, always the same ones."""
    return images.images[some_rows(images, count)]


def some_rows(images: ImageSet, count: int) -> Tensor:
    """Choose the rows of as many images as there are, up to `count`, always the same ones.

    Not by the run's seed: runs are compared by what they are held against, and what is remembered
    of real images serves all of them.
    """
    generator = torch.Generator().manual_seed(stream_seed("checkup", "reals"))
    return sample(images.images, count, generator).sort().values


def noise_like(images: Tensor, count: int) -> Tensor:
    """Draw pixels from the normal distribution that has the mean and variance of each channel.

    Args:
        images: uint8 (n, c, h, w).
        count: images to draw, always the same ones.
    """
    pixels = images.float()
    mean, deviation = pixels.mean((0, 2, 3), True), pixels.std((0, 2, 3), keepdim=True)
    generator = torch.Generator().manual_seed(stream_seed("checkup", "noise"))
    noise = torch.randn(count, *images.shape[1:], generator=generator)
    return (mean + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def gradient_norm(player: Player) -> float:
    """The norm of the gradient that the player's last step followed; 0 before the first."""
    norms = [p.grad.norm() for p in player.parameters if p.grad is not None]
    return torch.stack(norms).norm().item() if norms else 0.0


@contextmanager
def evaluating(*nets: nn.Module) -> Iterator[None]:
    """Let nets answer as they do after training: BatchNorm's statistics stay as they are."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    for net in nets:
        net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def logged_signals(history: History) -> list[HealthSignals]:
    """The signals that a run's log holds, of the same kinds as today's; no others."""
    names = {field.name for field in fields(HealthSignals)}
    found = []
    for record in history.records:
        health = record.get("health")
        signals = health.get("signals") if isinstance(health, dict) else None
        if isinstance(signals, dict) and signals.keys() == names:
            found.append(HealthSignals(**signals))
    return found
