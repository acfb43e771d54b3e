"""The named data sets to translate between, which are made of digits: for a first try, offline."""

from __future__ import annotations

import math

import numpy as np
import torch

from zerosum.data.arrays import Pixels
from zerosum.data.catalog import DATASETS
from zerosum.data.decode import Format, fit_array, report_of_arrays
from zerosum.data.images import ImageSet, to_array
from zerosum.data.named import load_named
from zerosum.errors import UserError

INK = 128
"""The level from which a pixel belongs to a digit."""
RED, BLUE = (0.0, 1 / 12), (7 / 12, 8 / 12)
"""Hues of the two domains of `mnist-colors`, from and to, of a circle of 1."""
GOLDEN = (math.sqrt(5) - 1) / 2


def load_named_pairs(
    name: str, *, split: str, wanted: Format, reverse: bool, matched: bool
) -> ImageSet:
    """Load one split of a named data set to translate between.

    Args:
        name: of the data set.
        split: "train", or "val" or "test", which are the same.
        wanted: the size and the channels of a source and of a target.
        reverse: whether B is the source.
        matched: whether every source needs its target.

    Returns:
        Images (n, source channels + target channels, h, w).

    Raises:
        UserError: there are no pairs in it, and pairs are needed.
    """
    about = DATASETS[name].domains
    assert about is not None
    if matched and not about.matched:
        raise UserError(
            f"'{name}' holds two sets of images that do not belong together. Train cyclegan on it, "
            "or pix2pix on mnist-edges."
        )
    base = load_named(about.of, split="train" if split == "train" else "test", wanted=Format())
    digits = to_array(base.images[: about.counts["train" if split == "train" else "test"]])[..., 0]
    if about.matched:
        sides = outlines(digits)[..., np.newaxis], digits[..., np.newaxis]
    else:
        sides = tinted(digits[::2], RED), tinted(digits[1::2], BLUE)
    stacks = [torch.from_numpy(fit_array(side, wanted)) for side in sides][:: -1 if reverse else 1]
    return ImageSet(
        images=torch.cat(stacks, dim=1),
        labels=None,
        classes=(),
        name=name,
        source_channels=stacks[0].shape[1],
        matched=matched,
        report=report_of_arrays((28, 28), len(stacks[0]), wanted).with_more(
            origin=f"{name}, its {'train' if split == 'train' else 'test'} split",
            held_out=f"{name}, its test split" if split == "train" else "",
        ),
    )


def outlines(digits: Pixels) -> Pixels:
    """Draw the edges of digits, uint8 (n, h, w): white where a pixel beside the ink has none."""
    ink = np.pad(digits >= INK, ((0, 0), (1, 1), (1, 1)))
    beside = ink[:, :-2, 1:-1] | ink[:, 2:, 1:-1] | ink[:, 1:-1, :-2] | ink[:, 1:-1, 2:]
    return np.where(beside & ~ink[:, 1:-1, 1:-1], 255, 0).astype(np.uint8)


def tinted(digits: Pixels, hues: tuple[float, float]) -> Pixels:
    """Colour digits, uint8 (n, h, w) -> (n, h, w, 3), each in a hue of its own between two."""
    low, high = hues
    # Multiples of the golden section fall evenly into a circle, however many there are.
    hue = low + (high - low) * (np.arange(len(digits)) * GOLDEN % 1)
    channels = (hue[:, np.newaxis] * 6 + np.array([0.0, 4.0, 2.0])) % 6  # of a full colour, by HSV
    colours = np.clip(np.abs(channels - 3) - 1, 0, 1)
    pixels = digits[..., np.newaxis] * colours[:, np.newaxis, np.newaxis]
    rounded: Pixels = np.rint(pixels).astype(np.uint8)
    return rounded
