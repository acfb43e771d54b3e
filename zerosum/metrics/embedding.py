"""A set of images as a feature net sees it, which for real images is computed once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.errors import UserError
from zerosum.metrics.cache import content_key, read_tensors, write_tensors
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.frechet import Moments

BATCH = 100
"""Images shown at a time; Inception needs half a gigabyte for them."""
VERSION = "1"
"""Raised when the same pixels and weights come to give other features."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """What the metrics need to know of a set of images."""

    moments: Moments
    features: Tensor | None  # float32 (n, d), on the CPU; None where no metric asks for them
    logits: Tensor | None  # float32 (n, k), on the CPU; None where there are none, or unasked

    def __len__(self) -> int:
        return self.moments.count

    @property
    def kept_features(self) -> Tensor:
        """The features, which were asked to be kept."""
        assert self.features is not None
        return self.features


@torch.inference_mode()
def embed(
    net: FeatureNet, images: Tensor, *, keep_features: bool, keep_logits: bool = True
) -> Embedding:
    """Show images to a net.

    Args:
        net: the feature net.
        images: at rest, (n, c, h, w), n at least 1.
        keep_features: whether to keep each image's features. Without them the memory does not
            depend on n, but for the logits.
        keep_logits: whether to keep each image's logits, where the net is a classifier: ten of an
            image are nothing, a thousand more than its features.

    Raises:
        UserError: the net returned NaN or infinity.
    """
    moments: Moments | None = None
    kept: list[Tensor] = []
    scores: list[Tensor] = []
    for start in range(0, len(images), BATCH):
        answer = net.look(images[start : start + BATCH])
        features = answer[0].float().cpu()
        if not features.isfinite().all():
            raise UserError(f"The feature net '{net.name}' returned NaN or infinity.")
        moments = Moments.of(features) if moments is None else moments + Moments.of(features)
        if keep_features:
            kept.append(features)
        if keep_logits and answer[1] is not None:
            scores.append(answer[1].float().cpu())
    assert moments is not None
    return Embedding(
        moments=moments,
        features=torch.cat(kept) if kept else None,
        logits=torch.cat(scores) if scores else None,
    )


def embed_reference(
    net: FeatureNet, images: Tensor, *, keep_features: bool, keep_logits: bool = True
) -> Embedding:
    """Do as `embed` does, but look first whether it was done before.

    The features of a user's own net are not kept: nobody knows when it changes.
    """
    if net.sha256 is None:
        return embed(net, images, keep_features=keep_features, keep_logits=keep_logits)
    kept = (keep_features, keep_logits)
    key = content_key(VERSION, net.sha256, net.resize, *kept, fingerprint(images))
    if (tensors := read_tensors(key)) is not None:
        moments = Moments(
            count=int(tensors["count"]), mean=tensors["mean"], scatter=tensors["scatter"]
        )
        return Embedding(
            moments=moments, features=tensors.get("features"), logits=tensors.get("logits")
        )
    made = embed(net, images, keep_features=keep_features, keep_logits=keep_logits)
    moments = made.moments
    tensors = {
        "count": torch.tensor(moments.count),
        "mean": moments.mean,
        "scatter": moments.scatter,
        **({} if made.features is None else {"features": made.features}),
        **({} if made.logits is None else {"logits": made.logits}),
    }
    write_tensors(key, tensors)
    return made


def fingerprint(images: Tensor) -> str:
    """The sha256 of shape and pixels of images at rest."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(images.contiguous().numpy().data)
    return digest.hexdigest()
