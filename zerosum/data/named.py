"""The named data sets of `catalog`: read from where they lie, drawn, or composed of another."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import torch

from zerosum.data.catalog import DATASETS, folders, locate
from zerosum.data.cifar import is_cifar_folder, load_cifar_folder
from zerosum.data.decode import Format
from zerosum.data.idx import load_idx_folder
from zerosum.data.images import ImageSet, to_tensor
from zerosum.data.mixture import Mixture
from zerosum.data.store import in_memory
from zerosum.errors import UserError
from zerosum.hardware import memory_bytes, require_memory
from zerosum.seeds import stream_seed


def load_named(name: str, *, split: str, wanted: Format, strict: bool = True) -> ImageSet:
    """Load one split of a named data set, labelled.

    Raises:
        UserError: it is not on this machine; the message says how to get it. Or it cannot be
            brought to that many channels, or has no pixels at all.
    """
    about = DATASETS[name]
    split = "test" if split == "val" else split  # they have no more than two

    if about.domains is not None:
        raise UserError(
            f"'{name}' holds images to translate between, from which nothing is made of noise. "
            f"Train {'pix2pix or cyclegan' if about.domains.matched else 'cyclegan'} on it, or "
            f"this on '{about.domains.of}'."
        )
    if about.mixture is not None:
        if wanted != Format():
            raise UserError(
                f"'{name}' is of points in the plane, which have no pixels. Leave --size and "
                "--channels out."
            )
        count, seed = about.mixture.counts[split], stream_seed("toys", name, split)
        loaded = draw_points(about.mixture, count=count, seed=seed, name=name)
    elif (stack := about.stack) is not None:
        if wanted.channels not in (None, stack.channels):
            raise UserError(
                f"The images of '{name}' hold one image of '{stack.of}' in each of their "
                f"{stack.channels} channels, and cannot be brought to {wanted.channels}. Leave "
                "--channels out."
            )
        base = load_named(stack.of, split=split, wanted=replace(wanted, channels=1))
        count, seed = stack.counts[split], stream_seed("stacked", name, split)
        loaded = stacked(base, channels=stack.channels, count=count, seed=seed)
    else:
        folder = locate(name)
        if folder is None:
            looked = " and ".join(map(str, folders(name)))
            raise UserError(
                f"The data set '{name}' is not on this machine: looked for "
                f"{', '.join(about.files)} in {looked}. {about.origin}"
            )
        load = load_cifar_folder if is_cifar_folder(folder) else load_idx_folder
        loaded = load(folder, split=split, wanted=wanted, strict=strict)
    labels = loaded.labels
    if labels is not None and len(loaded.classes) != len(about.classes):
        # Files numbered the classes of which there are images: count those without one, too.
        labels = torch.tensor([int(number) for number in loaded.classes])[labels]
    held_out = f"{name}, its test split" if split == "train" else ""
    report = replace(loaded.report, origin=f"{name}, its {split} split", held_out=held_out)
    return replace(loaded, name=name, labels=labels, classes=about.classes, report=report)


def draw_points(mixture: Mixture, *, count: int, seed: int, name: str) -> ImageSet:
    """Draw points from Gaussians, each point from one that is as likely as the others.

    To all that deals with images a point is an image of two channels and one pixel. It is kept as
    floats, since 256 levels would be coarser than the Gaussians are.

    Args:
        mixture: the Gaussians.
        count: points to draw.
        seed: decides them, the same on every machine and for ever.
        name: of the data set.

    Returns:
        Points, float32 (count, 2, 1, 1); as labels the Gaussian that each was drawn from.
    """
    # RandomState, because its numbers never change from one version of numpy to the next: a run
    # is resumed only on the same points.
    numbers = np.random.RandomState(seed % 2**32)
    labels = numbers.randint(len(mixture.centres), size=count, dtype=np.int64)
    noise = numbers.standard_normal((count, 2))
    points = np.array(mixture.centres)[labels] + mixture.deviation * noise
    return ImageSet(
        images=to_tensor(points.astype(np.float32)),
        labels=torch.from_numpy(labels),
        classes=mixture.names(),
        name=name,
    )


def stacked(base: ImageSet, *, channels: int, count: int, seed: int) -> ImageSet:
    """Draw images of `channels` images each, with replacement: ten classes become a thousand modes.

    Stacked MNIST is the measure of mode collapse in the papers since Unrolled GAN (Metz et al.
    2016, arXiv 1611.02163): three digits make a number from 000 to 999, all of them as likely.

    Args:
        base: gray images (n, 1, h, w) with labels.
        channels: images in one.
        count: images to make.
        seed: decides which are drawn, the same on every machine and for ever.

    Returns:
        Images (count, channels, h, w); labels that read the channels' own as the digits of a
        number, the first channel's first; and a class for each such number.

    Raises:
        UserError: this machine cannot hold them.
    """
    _, height, width = base.shape
    require_memory(
        count * channels * height * width,
        memory=memory_bytes(),
        what=f"{count:,} images of {height}×{width} pixels",
    )
    # RandomState, because its numbers never change from one version of numpy to the next: a run
    # is resumed only on the same pixels.
    numbers = np.random.RandomState(seed % 2**32)
    drawn = numbers.randint(len(base), size=(count, channels), dtype=np.int64)
    chosen = torch.from_numpy(drawn)
    assert base.labels is not None
    places = len(base.classes) ** torch.arange(channels).flip(0)  # 100, 10, 1
    pixels = in_memory(base.images).index_select(0, chosen.flatten())
    return replace(
        base,
        images=pixels.view(count, channels, height, width),
        labels=(base.labels[chosen] * places).sum(dim=1),
        classes=tuple(map("".join, product(base.classes, repeat=channels))),
    )
