"""A set of images as a feature net sees it, which for real images is computed once and kept.

Images may be more than memory holds: they pass by, and what is kept of them does not depend on how
many there are, unless each one's features are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from zerosum.data.images import hash_pixels
from zerosum.data.store import Images, ImageStore
from zerosum.errors import UserError
from zerosum.metrics.cache import content_key, keeps_tensors, read_tensors, write_tensors
from zerosum.metrics.features import BATCH, FeatureNet
from zerosum.metrics.frechet import Moments
from zerosum.metrics.tallies import Tallies

Seen = tuple[Tensor, Tensor | None]
"""The features of some images, float32 (b, d), and their logits where there are any, (b, c)."""
KNOWN: MutableMapping[ImageStore, str] = WeakKeyDictionary()
"""The fingerprints of images that are not in memory, which were found as they passed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """What the metrics need to know of a set of images."""

    moments: Moments
    features: Tensor | None  # float32 (k, d), on the CPU; None where no metric asks for them
    logits: Tensor | None  # float32 (k, c), on the CPU; None where there are none, or unasked
    tallies: Tallies | None = None  # of the classes of all images, where the net is a classifier
    rows: Tensor | None = None  # of which k images these are, int64, ascending; None of all n

    def __len__(self) -> int:
        return self.moments.count

    @property
    def kept_features(self) -> Tensor:
        """The features, which were asked to be kept."""
        assert self.features is not None
        return self.features

    def places(self, rows: Tensor | None) -> Tensor | slice:
        """Where in `features` and `logits` those of some images stand, which were kept."""
        if rows is None:
            return slice(None)
        return rows if self.rows is None else torch.searchsorted(self.rows, rows)


@torch.inference_mode()
def embed(
    net: FeatureNet,
    images: Images,
    *,
    keep_features: bool,
    keep_logits: bool = True,
    rows: Tensor | None = None,
) -> Embedding:
    """Show images to a net.

    Args:
        net: the feature net.
        images: at rest, (n, c, h, w), n at least 1; what is not in memory is read batch by batch.
        keep_features: whether to keep each image's features. Without them the memory does not
            depend on n, but for the logits.
        keep_logits: whether to keep each image's logits, where the net is a classifier: ten of an
            image are nothing, a thousand more than its features.
        rows: of which images to keep either, int64 (k,), ascending; None for all.

    Raises:
        UserError: the net returned NaN or infinity.
    """
    passing = Passing(images)
    groups = (passing.seen(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
    found = put_together(
        net,
        (see(net, group) for group in groups),
        keep_features=keep_features,
        keep_logits=keep_logits,
        rows=rows,
    )
    passing.done()
    return found


@torch.inference_mode()
def see(net: FeatureNet, group: Tensor) -> Seen:
    """Show a net a group of images in memory, `BATCH` at most.

    Raises:
        UserError: the net returned NaN or infinity.
    """
    answers = [net.look(batch) for batch in torch.split(group, net.batch)]
    features = torch.cat([answer[0].float().cpu() for answer in answers])
    if not features.isfinite().all():
        raise UserError(f"The feature net '{net.name}' returned NaN or infinity.")
    logits = [answer[1].float().cpu() for answer in answers if answer[1] is not None]
    return features, torch.cat(logits) if logits else None


@torch.inference_mode()
def put_together(
    net: FeatureNet,
    groups: Iterable[Seen],
    *,
    keep_features: bool,
    keep_logits: bool = True,
    rows: Tensor | None = None,
) -> Embedding:
    """Make of what a net has seen, group by group in the images' order, what `embed` gives."""
    moments: Moments | None = None
    tallies: Tallies | None = None
    kept: list[Tensor] = []
    scores: list[Tensor] = []
    start = 0
    # Of a net that is shown fewer images at a time, the moments are still taken of `BATCH` at once:
    # to add those of 2,048 features costs as much as half an image.
    for features, logits in groups:
        moments = Moments.of(features) if moments is None else moments + Moments.of(features)
        chosen = within(rows, start, len(features))
        start += len(features)
        if keep_features:
            kept.append(features[chosen])
        if logits is not None:
            counted = Tallies.of(logits, gaussians=net.gaussians)
            tallies = counted if tallies is None else tallies + counted
            if keep_logits:
                scores.append(logits[chosen])
    assert moments is not None
    return Embedding(
        moments=moments,
        features=torch.cat(kept) if kept else None,
        logits=torch.cat(scores) if scores else None,
        tallies=tallies,
        rows=rows,
    )


def within(rows: Tensor | None, start: int, count: int) -> Tensor | slice:
    """Which of `count` images from `start` are among some rows, counted from `start`."""
    if rows is None:
        return slice(None)
    first, last = torch.searchsorted(rows, torch.tensor([start, start + count])).tolist()
    return rows[first:last] - start


class Passing:
    """Takes the fingerprint of images that are not in memory as they pass, to read them once."""

    def __init__(self, images: Images) -> None:
        self._store = None
        if isinstance(images, ImageStore) and images.fingerprint is None and images not in KNOWN:
            self._store = images
            self._digest = hashlib.sha256(repr(tuple(images.shape)).encode())

    def seen(self, images: Tensor) -> Tensor:
        """Take the next ones, and give them back."""
        if self._store is not None:
            self._digest.update(images.contiguous().numpy().data)
        return images

    def done(self) -> None:
        """All have passed."""
        if self._store is not None:
            KNOWN[self._store] = self._digest.hexdigest()


def embed_reference(
    net: FeatureNet,
    images: Images,
    *,
    keep_features: bool,
    keep_logits: bool = True,
    rows: Tensor | None = None,
) -> Embedding:
    """Do as `embed` does, but look first whether it was done before.

    The features of a user's own net are not kept: nobody knows when it changes.
    """
    how = {"keep_features": keep_features, "keep_logits": keep_logits}
    if net.sha256 is None:
        return embed(net, images, rows=rows, **how)
    key = reference_key(net, images, rows=rows, **how)
    if (tensors := read_tensors(key)) is not None:
        moments = Moments(
            count=int(tensors["count"]), mean=tensors["mean"], scatter=tensors["scatter"]
        )
        return Embedding(
            moments=moments,
            features=tensors.get("features"),
            logits=tensors.get("logits"),
            tallies=Tallies.from_tensors(tensors),
            rows=rows,
        )
    made = embed(net, images, rows=rows, **how)
    keep(key, made)
    return made


def keep(key: str, made: Embedding) -> None:
    """Keep what was seen of real images under a name, as of `reference_key`, for the next time."""
    moments = made.moments
    tensors = {
        "count": torch.tensor(moments.count),
        "mean": moments.mean,
        "scatter": moments.scatter,
        **({} if made.features is None else {"features": made.features}),
        **({} if made.logits is None else {"logits": made.logits}),
        **({} if made.tallies is None else made.tallies.tensors()),
    }
    write_tensors(key, tensors)


def reference_key(
    net: FeatureNet,
    images: Images,
    *,
    keep_features: bool,
    keep_logits: bool,
    rows: Tensor | None = None,
) -> str:
    """Name what is kept of real images by all that decides it."""
    kept: tuple[object, ...] = (keep_features, keep_logits)
    if net.classes:
        kept += ("tallies",)  # which 0.1 did not keep
    if rows is not None:
        kept += (hashlib.sha256(rows.numpy().data).hexdigest(),)
    return content_key(net.version, net.sha256, net.resize, *kept, fingerprint(images))


def unseen(
    net: FeatureNet,
    images: Images,
    *,
    keep_features: bool,
    keep_logits: bool = True,
    rows: Tensor | None = None,
) -> int:
    """How many images `embed_reference` would show to a net: all of them or none."""
    how = {"keep_features": keep_features, "keep_logits": keep_logits}
    if net.sha256 is not None and keeps_tensors(reference_key(net, images, rows=rows, **how)):
        return 0
    return len(images)


def fingerprint(images: Images) -> str:
    """The sha256 of shape and pixels of images at rest."""
    known = KNOWN.get(images) if isinstance(images, ImageStore) else None
    if known is not None:
        return known
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    hash_pixels(images, digest)
    found = digest.hexdigest()
    if isinstance(images, ImageStore):
        KNOWN[images] = found
    return found
