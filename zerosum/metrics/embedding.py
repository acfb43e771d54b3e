"""A set of images as a feature net sees it, which for real images is computed once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.data.images import hash_pixels
from zerosum.data.store import Images
from zerosum.errors import UserError
from zerosum.metrics.cache import content_key, keeps_tensors, read_tensors, write_tensors
from zerosum.metrics.features import BATCH, FeatureNet
from zerosum.metrics.frechet import Moments


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
    net: FeatureNet, images: Images, *, keep_features: bool, keep_logits: bool = True
) -> Embedding:
    """Show images to a net.

    Args:
        net: the feature net.
        images: at rest, (n, c, h, w), n at least 1; what is not in memory is read batch by batch.
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
    # Of a net that is shown fewer images at a time, the moments are still taken of `BATCH` at once:
    # to add those of 2,048 features costs as much as half an image.
    for start in range(0, len(images), BATCH):
        group = images[start : start + BATCH]
        answers = [net.look(batch) for batch in torch.split(group, net.batch)]
        features = torch.cat([answer[0].float().cpu() for answer in answers])
        if not features.isfinite().all():
            raise UserError(f"The feature net '{net.name}' returned NaN or infinity.")
        moments = Moments.of(features) if moments is None else moments + Moments.of(features)
        if keep_features:
            kept.append(features)
        if keep_logits:
            scores += [answer[1].float().cpu() for answer in answers if answer[1] is not None]
    assert moments is not None
    return Embedding(
        moments=moments,
        features=torch.cat(kept) if kept else None,
        logits=torch.cat(scores) if scores else None,
    )


def embed_reference(
    net: FeatureNet, images: Images, *, keep_features: bool, keep_logits: bool = True
) -> Embedding:
    """Do as `embed` does, but look first whether it was done before.

    The features of a user's own net are not kept: nobody knows when it changes.
    """
    if net.sha256 is None:
        return embed(net, images, keep_features=keep_features, keep_logits=keep_logits)
    key = reference_key(net, images, keep_features=keep_features, keep_logits=keep_logits)
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


def reference_key(
    net: FeatureNet, images: Images, *, keep_features: bool, keep_logits: bool
) -> str:
    """Name what is kept of real images by all that decides it."""
    kept = (keep_features, keep_logits)
    return content_key(net.version, net.sha256, net.resize, *kept, fingerprint(images))


def unseen(
    net: FeatureNet, images: Images, *, keep_features: bool, keep_logits: bool = True
) -> int:
    """How many images `embed_reference` would show to a net: all of them or none."""
    if net.sha256 is not None and keeps_tensors(
        reference_key(net, images, keep_features=keep_features, keep_logits=keep_logits)
    ):
        return 0
    return len(images)


def fingerprint(images: Images) -> str:
    """The sha256 of shape and pixels of images at rest."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    hash_pixels(images, digest)
    return digest.hexdigest()
