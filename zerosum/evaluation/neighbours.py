"""`zerosum evaluate --neighbours`: are samples copies of training images? Metrics and a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.store import in_memory
from zerosum.errors import UserError
from zerosum.evaluation.images import Notice, RealImages, draw
from zerosum.metrics.channels import with_channels
from zerosum.metrics.embedding import embed, embed_reference, unseen
from zerosum.metrics.evaluate import ImageCollection, MetricResult, circumstances
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.memorization import NEAR, Memorization, memorization
from zerosum.plots import grids
from zerosum.plots.grids import comfortable_scale, grid

MOST_SEARCHED = 20_000
MOST_SAMPLES = 1000
"""Each is compared with every training image, and so many are enough to show copying."""
NUM_PAIRS = 24
PAIRS_A_ROW = 4


def find_copies(
    samples: ImageCollection,
    reference: RealImages,
    *,
    net: FeatureNet,
    out: Path,
    seed: int,
    notice: Notice,
) -> dict[str, MetricResult]:
    """Judge whether samples are copies of the train split, and write the picture of pairs.

    Args:
        samples: the images to judge.
        reference: the images that the generator was trained on, and others.
        net: in whose features they are compared.
        out: the file of the picture.
        seed: decided the samples; it is said in the cards.
        notice: told what was left out, and where the picture is.

    Raises:
        UserError: there are no held-out images to compare with, or no picture can be written.
    """
    if not reference.has_splits:
        raise UserError(
            f"'{reference.name}' has no test split, and without images that were held out of the "
            "training nearest neighbours prove nothing. Name a --reference with both splits, or "
            "leave --neighbours out."
        )
    training, held_out = reference.load("train"), reference.load("test")
    if len(training.images) > MOST_SEARCHED:
        notice(
            f"Copies are looked for among {MOST_SEARCHED:,} of the {len(training.images):,} images "
            "of the training split."
        )
        training = draw(training, MOST_SEARCHED, "searched", 0)
    results, sheet = judge_copies(samples, training, held_out, net=net, seed=seed)
    if sheet is None:
        notice("The samples differ in shape from the training images: no pixels were compared.")
    else:
        save_sheet(sheet, out)
        notice(f"Wrote {out}: samples, each with its nearest training image.")
    return results


def judge_copies(
    samples: ImageCollection,
    training: ImageCollection,
    held_out: ImageCollection,
    *,
    net: FeatureNet,
    seed: int,
) -> tuple[dict[str, MetricResult], Image.Image | None]:
    """Compare samples with the training images, in features and in pixels.

    Args:
        samples: the images to judge, of which 1,000 are taken.
        training: all images that the generator was trained on.
        held_out: other real images, of which as many are taken.
        net: the features.
        seed: decided the samples; it is said in the cards.

    Returns:
        The results `memorization_features` and, where all images are of one shape,
        `memorization_pixels` with a picture of the closest pairs in pixels.
    """
    samples, held_out = thinned(samples), thinned(held_out)
    sets = [in_memory(each.images) for each in (samples, training, held_out)]
    keep: dict[str, Any] = {"keep_features": True, "keep_logits": False}
    real = [training.images, held_out.images]
    net.expect(len(samples.images) + sum(unseen(net, images, **keep) for images in real))
    seen = (
        embed(net, samples.images, keep_features=True),
        *(embed_reference(net, images, **keep) for images in real),
    )
    by_features = memorization(*(each.kept_features for each in seen))
    card = circumstances(samples, training, held_out, net=net, seed=seed)
    results = {"memorization_features": result(by_features, card)}
    if len({images.shape[1:] for images in sets}) > 1:
        return results, None
    by_pixels = memorization(*sets)
    card = circumstances(samples, training, held_out, net=None, seed=seed)
    results["memorization_pixels"] = result(by_pixels, card)
    return results, pairs_sheet(sets[0], sets[1], by_pixels)


def thinned(whole: ImageCollection) -> ImageCollection:
    """Take 1,000 images at even distances, since a folder may hold one class after another."""
    there = len(whole.images)
    chosen = torch.linspace(0, there - 1, min(there, MOST_SAMPLES)).round().long()
    return replace(whole, images=whole.images[chosen])


def result(found: Memorization, card: dict[str, Any]) -> MetricResult:
    """A metric with its card; what real images would give is known without looking."""
    value = None
    if found.near is not None and found.ratio is not None:
        value = {"near": found.near, "ratio": found.ratio}
    return MetricResult(
        value=value,
        card={
            **card,
            "better": "like real",
            "floor": {"near": NEAR, "ratio": 1.0},
            "spread": None,
            "warning": None
            if value
            else "too many training images occur among the held-out ones too, so nothing can be "
            "told of copies.",
        },
    )


def pairs_sheet(samples: Tensor, training: Tensor, found: Memorization) -> Image.Image:
    """Draw the samples closest to a training image, each with that image on its right.

    Args:
        samples: uint8 (n, c, h, w).
        training: uint8 (m, c, h, w).
        found: which belongs to which.
    """
    pairs = torch.stack(
        [samples[found.closest[:NUM_PAIRS]], training[found.neighbours[:NUM_PAIRS]]], dim=1
    )
    images = pairs.flatten(0, 1)
    if images.shape[1] == 4:
        images = with_channels(images, 3)
    pixels = images.permute(0, 2, 3, 1).numpy()
    return grid(pixels, columns=2 * PAIRS_A_ROW, scale=comfortable_scale(images.shape[2]))


def save_sheet(sheet: Image.Image, out: Path) -> None:
    """Write the picture.

    Raises:
        UserError: there it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        grids.save_sheet(sheet, out)
    except OSError as error:
        raise UserError(
            f"Could not write '{out}': {error.strerror}. Choose another place with --neighbours."
        ) from None
