"""Images at rest, in memory or not: what loading hands on, and what a loader deals from.

A tensor is the plain case. All else is an `ImageStore`, which brings rows into memory when they are
asked for; the functions here serve both, so that whoever walks over a whole set need not ask which
it is.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

CHUNK_BYTES = 16 * 2**20
"""About how much of a set that is not in memory is brought there at a time."""


class ImageStore(ABC):
    """Images (n, c, h, w), uint8, that lie somewhere else than in memory.

    Attributes:
        shape: of all of them, (n, c, h, w).
        kept: where they lie, in words that follow "kept": "on disk, in /data/cache".
        fingerprint: a sha256 that stands for the pixels, where reading all of them to find one
            takes too long (a stream's index has it); None where the pixels themselves are hashed,
            as those in memory are.
        has_own_order: whether `order` is its own, so that rows that follow one another in it are
            cheap to read and others are not.
    """

    dtype = torch.uint8
    kept: str = "on disk"
    fingerprint: str | None = None
    has_own_order: bool = False

    @property
    @abstractmethod
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""

    @abstractmethod
    def take(self, rows: Tensor) -> Tensor:
        """Bring images into memory. Several threads may ask at a time.

        Args:
            rows: int64 (m,), each at least 0 and less than n, in any order, some perhaps twice.

        Returns:
            The images, uint8 (m, c, h, w), contiguous, in memory of their own.

        Raises:
            UserError: they cannot be read, or are not what they were.
        """

    def order(self, generator: torch.Generator) -> Tensor:
        """Draw the order of an epoch: each row once, int64 (n,), as the generator alone decides."""
        return torch.randperm(len(self), generator=generator)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Tensor) -> Tensor:
        """Bring some images into memory, as indexing a tensor would."""
        if isinstance(rows, int):
            return self.take(torch.tensor([range(len(self))[rows]]))[0]
        if isinstance(rows, slice):
            rows = torch.arange(*rows.indices(len(self)))
        return self.take(rows)

    def __iter__(self) -> Iterator[Tensor]:
        """Bring one image after another into memory."""
        return (image for chunk in chunks(self) for image in chunk)


Images = Tensor | ImageStore
"""Images at rest: uint8 (n, c, h, w), or a tensor of float32 where they are points."""


class View(ImageStore):
    """Some rows of other images, in some order, each perhaps changed on its way."""

    def __init__(
        self,
        base: ImageStore,
        *,
        rows: Tensor | None = None,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Say what is seen.

        Args:
            base: where they lie.
            rows: which of them, int64 (n,); None for all.
            change: what becomes of each image, uint8 (m, c, h, w) -> (m, ...); None for nothing.
        """
        self._base = base
        self._rows = rows
        self._change = change
        self.kept = base.kept
        self.has_own_order = base.has_own_order
        if base.fingerprint is not None and change is None:
            chosen = b"" if rows is None else rows.numpy().tobytes()
            self.fingerprint = hashlib.sha256(base.fingerprint.encode() + chosen).hexdigest()
        count = len(base) if rows is None else len(rows)
        one = torch.empty(1, *base.shape[1:], dtype=torch.uint8)
        image = base.shape[1:] if change is None else change(one).shape[1:]
        self._shape = torch.Size((count, *image))

    @property
    def shape(self) -> torch.Size:
        """Shape of what is seen."""
        return self._shape

    def take(self, rows: Tensor) -> Tensor:
        """Bring what is seen into memory."""
        found = self._base.take(rows if self._rows is None else self._rows[rows])
        return found if self._change is None else self._change(found).contiguous()

    def order(self, generator: torch.Generator) -> Tensor:
        """Draw the order of an epoch: where the base has its own, that, without what is unseen."""
        if not self.has_own_order or self._rows is None:
            return self._base.order(generator) if self._rows is None else super().order(generator)
        seen = torch.full((len(self._base),), -1)
        seen[self._rows] = torch.arange(len(self._rows))
        found = seen[self._base.order(generator)]
        found = found[found >= 0]
        # Fewer where a row is seen twice: then at random, which is slow and right.
        return found if len(found) == len(self) else super().order(generator)


class Stacked(ImageStore):
    """Images of two stores, by pairs of their rows, the second's channels behind the first's."""

    def __init__(self, first: Images, second: Images, pairs: Tensor) -> None:
        """Say which belong together.

        Args:
            first: images (n, c, h, w).
            second: images (m, d, h, w).
            pairs: their rows, int64 (k, 2).
        """
        self._sides = first, second
        self._pairs = pairs
        elsewhere = [side.kept for side in self._sides if isinstance(side, ImageStore)]
        self.kept = elsewhere[0] if elsewhere else "in memory, each side by itself"
        channels = first.shape[1] + second.shape[1]
        self._shape = torch.Size((len(pairs), channels, *first.shape[2:]))

    @property
    def shape(self) -> torch.Size:
        """Shape of the pairs, (k, c + d, h, w)."""
        return self._shape

    def take(self, rows: Tensor) -> Tensor:
        """Bring pairs into memory."""
        chosen = self._pairs[rows].unbind(dim=1)
        sides = zip(self._sides, chosen, strict=True)
        return torch.cat([side[rows_of_side] for side, rows_of_side in sides], dim=1)


def sample(images: Images, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Rows of some images that stand for all, int64, up to `count` of them.

    At random; of a store with an order of its own, whose images are shuffled as they lie there, the
    first ones, or each of them might be far from all others.
    """
    if isinstance(images, ImageStore) and images.has_own_order:
        return torch.arange(min(count, len(images)))
    return torch.randperm(len(images), generator=generator)[:count]


def subset(images: Images, rows: Tensor) -> Images:
    """Some of the images, by their rows, int64 (m,); what is not in memory stays where it is."""
    return images[rows] if isinstance(images, Tensor) else View(images, rows=rows)


def changed(images: Images, change: Callable[[Tensor], Tensor]) -> Images:
    """Images as a function makes them, image by image; those not in memory as they are read."""
    return change(images) if isinstance(images, Tensor) else View(images, change=change)


def chunks(images: Images) -> Iterator[Tensor]:
    """All images in turn, as many at a time as may be in memory; a tensor is one chunk."""
    if isinstance(images, Tensor):
        yield images
        return
    step = max(1, CHUNK_BYTES // max(1, images.shape[1:].numel()))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def in_memory(images: Images) -> Tensor:
    """Bring all images into memory, which the caller knows to suffice, without a second copy."""
    if isinstance(images, Tensor):
        return images
    whole = torch.empty(images.shape, dtype=images.dtype)
    start = 0
    for chunk in chunks(images):
        whole[start : start + len(chunk)] = chunk
        start += len(chunk)
    return whole
