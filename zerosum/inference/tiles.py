"""Translating images of any size with a trained G: whole, or in tiles where memory asks for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zerosum.data.arrays import Pixels
from zerosum.data.images import to_array, to_float, to_uint8
from zerosum.errors import UserError, shown
from zerosum.game.cycle import GeneratorPair
from zerosum.seeds import enter_stream, own_randomness


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """When an image is cut into tiles, and how.

    Attributes:
        most_pixels: images of more pixels are cut.
        side: of a tile, in pixels; the image's own where that is shorter.
        overlap: the least number of pixels that neighbours share, at most half of `side`. Along
            the middle half of them one is faded into the other; what is next to a tile's edge,
            where it lacks what lies beyond, is not used.
    """

    most_pixels: int = 1024 * 1024
    side: int = 512
    overlap: int = 128


@dataclass(frozen=True)
class Span:
    """Where a tile lies along one side of the image.

    Attributes:
        start: its first pixel.
        stop: one behind its last pixel.
        shares: float32 (stop - start,), its share in the output at each of its pixels, in [0, 1].
    """

    start: int
    stop: int
    shares: Tensor

    @property
    def slice(self) -> slice:
        """The same as an index."""
        return slice(self.start, self.stop)


def spans(length: int, *, side: int, overlap: int, step: int = 1) -> list[Span]:
    """Cut one side of an image into overlapping spans, evenly spread, whose shares add up to 1.

    Args:
        length: of the image's side, in pixels, at least 1.
        side: of a span; the last one may be shorter by less than `step`, and the only one is as
            short as the image.
        overlap: the least number of pixels that neighbours share, at most half of `side`.
        step: spans start at multiples of it; it divides `side` and `side - overlap`.
    """
    if length <= side:
        return [Span(0, length, torch.ones(length))]
    last = math.ceil(length / step) * step - side
    gaps = math.ceil(last / (side - overlap))
    starts = [last * index // gaps // step * step for index in range(gaps + 1)]
    stops = [min(start + side, length) for start in starts]
    # Where one span has been faded out and the next one in by half.
    seams = [(start + stop) / 2 for start, stop in zip(starts[1:], stops[:-1], strict=True)]
    ramp = max(overlap // 2, 1)
    return [
        Span(start, stop, faded_in(start, stop, before, ramp) - faded_in(start, stop, after, ramp))
        for start, stop, (before, after) in zip(
            starts, stops, pairwise([-math.inf, *seams, math.inf]), strict=True
        )
    ]


def faded_in(start: int, stop: int, seam: float, ramp: int) -> Tensor:
    """A line from 0 to 1 over `ramp` pixels around a seam, float32, at the pixels of a span."""
    pixels = torch.arange(start, stop, dtype=torch.float64) + 0.5
    return ((pixels - seam) / ramp + 0.5).clamp(0, 1).float()


@dataclass(frozen=True, kw_only=True)
class Translator:
    """Makes images of images, one by one, each of a size of its own.

    G sees a tile alone. Where it normalises each image by itself or sums an image up in a single
    pixel, as instance norm and U-Nets do, it does so with each tile, and neighbours may differ in
    tone; what they share is faded, so that no edge is seen.

    Attributes:
        net: images (1, source_channels, h, w) in [-1, 1] -> images (1, target_channels, h, w),
            for any h and w. Its noise comes from torch's default generators. Tiles start at
            multiples of its `multiple`, if it has one, as far as that divides theirs.
        source_channels: of the images it takes.
        target_channels: of those it makes.
        device: where the net lives.
        seed: decides the noise. Each tile has a stream of its own, named by its place in the image
            alone, so that an image's output is the same whatever else is translated.
        tiling: when and how images are cut.
    """

    net: nn.Module
    source_channels: int
    target_channels: int
    device: torch.device
    seed: int = 0
    tiling: Tiling = Tiling()

    def translate(self, image: Pixels) -> Pixels:
        """Translate an image, uint8 (h, w, source_channels) -> uint8 (h, w, target_channels).

        Beside the image and its output it takes the memory of one row of tiles.
        """
        output = np.empty((*image.shape[:2], self.target_channels), np.uint8)
        for rows, band in self._bands(image):
            output[rows] = to_array(to_uint8(band))[0]
        return output

    def translate_exactly(self, image: Pixels) -> NDArray[np.float32]:
        """Do as `translate` does, but keep G's floats, float32 (h, w, c) in [-1, 1]."""
        output = np.empty((*image.shape[:2], self.target_channels), np.float32)
        for rows, band in self._bands(image):
            output[rows] = band[0].clamp(-1, 1).permute(1, 2, 0).numpy()
        return output

    def _bands(self, image: Pixels) -> Iterator[tuple[slice, Tensor]]:
        """Translate an image from top to bottom: rows, and floats (1, c, rows, w) for them."""
        height, width = image.shape[:2]
        columns = self._spans(width, whole=height * width <= self.tiling.most_pixels)
        rows = self._spans(height, whole=height * width <= self.tiling.most_pixels)
        begun = torch.zeros(self.target_channels, 0, width)  # what the last row has of the next one
        next_starts = [*(row.start for row in rows[1:]), height]
        for row, next_start in zip(rows, next_starts, strict=True):
            band = torch.zeros(self.target_channels, row.stop - row.start, width)
            band[:, : begun.shape[1]] = begun
            for column in columns:
                with own_randomness(self.device):
                    tile = self._tile(image[row.slice, column.slice], row, column)
                band[..., column.slice] += tile * (row.shares[:, None] * column.shares)
            done = next_start - row.start
            yield slice(row.start, next_start), band[None, :, :done]
            begun = band[:, done:]

    def translate_all(self, images: Pixels) -> Pixels:
        """Translate images, uint8 (n, h, w, source_channels) -> uint8 (n, h, w, target_channels).

        Raises:
            UserError: the array is none of such images.
        """
        if not isinstance(images, np.ndarray):
            raise UserError(
                f"The images were {shown(images)}: expected an array uint8 (n, height, width, "
                f"{self.source_channels}), as numpy.asarray(image)[None] makes of a PIL image."
            )
        shape = images.shape
        fits = images.ndim == 4 and shape[3] == self.source_channels and min(shape[1:3]) > 0
        if not fits or images.dtype != np.uint8:
            raise UserError(
                f"The images were {images.dtype} {shape}: expected an array uint8 (n, height, "
                f"width, {self.source_channels})."
            )
        outputs = np.empty((*shape[:3], self.target_channels), np.uint8)
        for output, image in zip(outputs, images, strict=True):
            output[...] = self.translate(image)
        return outputs

    def _spans(self, length: int, *, whole: bool) -> list[Span]:
        side, overlap = self.tiling.side, self.tiling.overlap
        step = math.gcd(getattr(self.net, "multiple", 1), side, side - overlap)
        return spans(length, side=length if whole else side, overlap=overlap, step=step)

    @torch.no_grad()
    def _tile(self, pixels: Pixels, row: Span, column: Span) -> Tensor:
        """Translate pixels (h, w, source_channels) -> (target_channels, h, w) in [-1, 1]."""
        enter_stream(self.device, "translate", self.seed, row.start, column.start)
        # A copy, as torch takes neither arrays that cannot be written nor mirrored ones.
        source = torch.tensor(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].to(self.device)
        target: Tensor = self.net(to_float(source))
        return target[0].float().cpu()


def one_way(net: nn.Module, *, reverse: bool, run: str) -> nn.Module:
    """Choose the way that a run's G translates.

    Args:
        net: G, of one way or of two.
        reverse: whether to go from target to source.
        run: names the run in messages.

    Raises:
        UserError: there is no way back.
    """
    if isinstance(net, GeneratorPair):
        return net.BA if reverse else net.AB
    if reverse:
        raise UserError(
            f"{run} translates one way only. Leave --reverse out, or train another way: cyclegan "
            "learns both, and --direction says which one other recipes learn."
        )
    return net
