"""The task of making images of images, with pairs to learn from or without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from zerosum.config.base import Settings
from zerosum.config.translation import TranslationSettings
from zerosum.data.domains import has_validation
from zerosum.data.images import ImageSet, to_array, to_float, to_uint8
from zerosum.data.pairs import load_pairs
from zerosum.data.store import changed
from zerosum.metrics.channels import with_channels
from zerosum.metrics.embedding import embed
from zerosum.metrics.features import FeatureNet, feature_net
from zerosum.metrics.frechet import Moments, distance_of_moments
from zerosum.metrics.paired import WINDOW, psnr, ssim
from zerosum.metrics.registry import LEAST_IMAGES, reported_name
from zerosum.plots.grids import Presentation, comfortable_scale, grid
from zerosum.seeds import enter_stream
from zerosum.training import distributed
from zerosum.training.interfaces import Evaluation
from zerosum.training.log import History
from zerosum.training.passes import own_span
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State

STRIPS = 6
"""Images in the picture of an epoch, a row each."""
EXAMINED = 100
"""Held-out images whose translations are measured."""
CHUNK = 4
"""Images translated at a time, which bounds the memory."""


class Strips(Protocol):
    """A forward of translation: one that can say what to look at side by side."""

    def strip(self, G: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
        """Images of both sides (n, c, h, w) -> panels (n, _, h, w), such as source and output."""
        ...


@dataclass(frozen=True, kw_only=True)
class Translation:
    """See `zerosum.tasks.Task`.

    Attributes:
        matched: whether every source has its target.
    """

    matched: bool
    presentation = Presentation()

    @property
    def least_images(self) -> int:
        """A pair is measured by itself, sets by their distributions."""
        return 1 if self.matched else LEAST_IMAGES

    def describe(self, images: ImageSet) -> str:
        """Say whether they are pairs, and their size."""
        _, height, width = images.shape
        return f"{'pairs of' if self.matched else 'unpaired'} images of {height}×{width}"

    def holds_out(self, config: Settings) -> bool:
        """By a split of its own, or as it was asked for."""
        return bool(config.hold_out) or has_validation(config.data)

    def held_out(
        self, config: Settings, images: ImageSet, notice: Callable[[str], None]
    ) -> ImageSet | None:
        """Load the validation images of both sides; where they do not suffice, take the others."""
        problem = "has no val/ or test/ folder"
        if self.holds_out(config):
            found = self.load_split(config, "val")
            if found.skipped:
                notice(
                    f"Of the held-out images {len(found.skipped)} are left out: {found.skipped[0]}."
                )
            if len(found) >= self.least_images:
                return in_channels_of(
                    found,
                    source=images.source_channels,
                    target=images.shape[0] - images.source_channels,
                )
            problem = f"holds back {len(found)} images, too few to compare G's with"
        notice(
            f"'{config.data}' {problem}: pictures and metrics are of images that are trained on, "
            "and flatter."
        )
        return images

    def load_split(self, config: Settings, split: str) -> ImageSet:
        """Load one split of both sides: "train", "val" or "test"."""
        assert isinstance(config, TranslationSettings)
        return load_pairs(
            config.data,
            split=split,
            direction=config.direction,
            matched=self.matched,
            strict=config.strict,
            **config.loading(),
        )

    def painter(
        self, state: State, config: Settings, held_out: ImageSet | None, directory: RunDirectory
    ) -> Callable[[float], None]:
        """Draw strips of the same held-out images each time, such as source, output, target."""
        assert held_out is not None
        game, chosen = state.game, evenly(held_out, STRIPS)

        def draw(epoch: float) -> None:
            enter_stream(game.device, "picture", config.seed)
            found: list[list[Tensor]] = []
            for images in chunks(chosen, game.device):
                panels = strip(state, images)
                found.append([with_channels(to_uint8(panel).cpu(), 3) for panel in panels])
            columns = [torch.cat(chunk) for chunk in zip(*found, strict=True)]
            rows = torch.stack(columns, dim=1).flatten(0, 1)  # (n · panels, 3, h, w)
            scale = comfortable_scale(*rows.shape[2:])
            picture = grid(to_array(rows), columns=len(columns), scale=scale)
            directory.save_picture(picture, epoch)

        return torch.no_grad()(draw)

    def evaluator(
        self,
        state: State,
        config: Settings,
        images: ImageSet,
        held_out: ImageSet | None,
    ) -> Callable[[History], Evaluation]:
        """Hold translations of held-out images against their targets, or against all of them."""
        evaluate = closeness if self.matched else likeness
        chosen = distributed.from_first(None if held_out is None else evenly(held_out, EXAMINED))
        assert chosen is not None

        @torch.no_grad()
        def evaluator(history: History) -> Evaluation:
            enter_stream(state.game.device, "examination", config.seed)
            return Evaluation(metrics=evaluate(state, chosen))

        return evaluator

    def next_steps(self, path: str) -> list[str]:
        """Translate something, or draw."""
        return [
            f"zerosum translate {path} IMAGE-OR-FOLDER --out PATH",
            f"zerosum play {path} --open",
        ]


def in_channels_of(pairs: ImageSet, *, source: int, target: int) -> ImageSet:
    """Bring sources and targets to the channels of those that are trained on.

    Of one split all may be gray where of another some are not.
    """

    def brought(images: Tensor) -> Tensor:
        sides = []
        for where, wanted in (
            (slice(pairs.source_channels), source),
            (slice(pairs.source_channels, None), target),
        ):
            side = images[:, where]
            sides.append(side if side.shape[1] == wanted else with_channels(side, wanted))
        return torch.cat(sides, dim=1)

    if pairs.source_channels == source and pairs.shape[0] == source + target:
        return pairs
    return replace(pairs, images=changed(pairs.images, brought), source_channels=source)


def closeness(state: State, images: Tensor) -> dict[str, float]:
    """How close outputs come to the very targets they should be, the means over the images.

    Process 0 does it alone: G may draw, and all images share one random stream.

    Returns:
        val_l1, of pixels in [-1, 1]; val_psnr in decibels; and val_ssim, where it can be had.
    """
    if distributed.rank():
        return {}
    found: dict[str, list[float]] = {"val_l1": [], "val_ssim": [], "val_psnr": []}
    for batch in chunks(images, state.game.device):
        _, output, target = strip(state, batch)
        found["val_l1"] += (output - target).abs().mean(dim=(1, 2, 3)).tolist()
        for made, wanted in zip(to_uint8(output).cpu(), to_uint8(target).cpu(), strict=True):
            found["val_psnr"].append(min(psnr(made, wanted), 100.0))  # equal ones have infinity
            if min(made.shape[1:]) >= WINDOW:
                found["val_ssim"].append(ssim(made, wanted))
    return {name: sum(values) / len(values) for name, values in found.items() if values}


def likeness(state: State, images: Tensor) -> dict[str, float]:
    """How much outputs are like the images of the other domain as a whole, over both ways.

    Each process translates its share, and process 0 compares.

    Returns:
        The mean of the Fréchet distances in random features, and each of them.
    """
    net = feature_net("random", device=state.game.device)
    first, stop = own_span(-(-len(images) // CHUNK))
    made: list[tuple[Tensor, ...]] = []
    for batch in chunks(images[first * CHUNK : stop * CHUNK], state.game.device):
        _, A_as_B, _, _, B_as_A, _ = strip(state, batch)
        made.append((to_uint8(A_as_B).cpu(), to_uint8(B_as_A).cpu()))
    shares = distributed.to_first(made)
    if shares is None:
        return {}
    as_B, as_A = (torch.cat(side) for side in zip(*chain(*shares), strict=True))
    of_A = as_A.shape[1]
    A, B = images[:, :of_A].contiguous(), images[:, of_A:].contiguous()
    seen = partial(moments, net)
    name = reported_name("fid", net.name)
    found = {
        f"{name}_{domain}": distance_of_moments(seen(fake), seen(real))
        for domain, fake, real in (("A", as_A, A), ("B", as_B, B))
    }
    return {name: sum(found.values()) / len(found), **found}


def moments(net: FeatureNet, images: Tensor) -> Moments:
    """The mean and covariance of images' features, uint8 (n, c, h, w)."""
    return embed(net, images, keep_features=False).moments


def strip(state: State, images: Tensor) -> tuple[Tensor, ...]:
    """What the average of G makes of images, in panels side by side."""
    return cast(Strips, state.game.forward).strip(state.ema.net, images)


def evenly(images: ImageSet, count: int) -> Tensor:
    """Choose up to `count` images from all over a set, always the same ones."""
    chosen = torch.linspace(0, len(images) - 1, min(count, len(images))).round().long()
    return images.images[chosen]


def chunks(images: Tensor, device: torch.device) -> Iterator[Tensor]:
    """A few images at a time, in [-1, 1], on the device."""
    for chunk in torch.split(images, CHUNK) if len(images) else ():
        yield to_float(chunk).to(device)
