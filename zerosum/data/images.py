"""A set of images, and the one home of pixel scaling.

Pixels are uint8 in [0, 255] outside and at rest, floats in [-1, 1] inside nets. What has no pixels
(`POINT`) is floats everywhere, and flat outside.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from zerosum.data.arrays import Samples
from zerosum.data.report import Report
from zerosum.data.spec import POINT, DataSpec
from zerosum.data.store import Images, ImageStore, chunks, subset


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images of one shape, with labels where there are any."""

    images: Images  # at rest: uint8 (n, c, h, w), or without pixels float32 (n, c, 1, 1)
    labels: Tensor | None  # int64 (n,), each an index into classes
    classes: tuple[str, ...]  # () when unlabelled
    name: str  # safe as a part of a file name: it becomes part of the run directory's
    skipped: tuple[str, ...] = ()  # "file: reason" for every image that could not be used
    # Of a set to translate between: how many of the c channels, the first ones, are the source; the
    # others are the target. Stacked so, both are cropped and mirrored alike by whatever does it.
    source_channels: int = 0
    matched: bool = True  # whether a source and the target stacked on it belong together
    content: tuple[bytes, ...] = ()  # a hash of the file of each, where they come from files
    report: Report = field(default_factory=Report)  # what was understood of where they come from

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (c, h, w) of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def spec(self) -> DataSpec:
        """What a net must know of them."""
        classes = () if self.labels is None else self.classes
        return DataSpec(shape=self.shape, classes=classes, source_channels=self.source_channels)

    def class_counts(self) -> dict[str, int]:
        """How many images there are of each class, {} where there are no labels."""
        if self.labels is None:
            return {}
        counts = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counts, strict=True))

    def with_classes(self, classes: tuple[str, ...]) -> ImageSet:
        """The same images labelled by the classes of another set, without those of none of them.

        Where one of the two has no labels there are none.
        """
        if self.classes == classes:
            return self
        if self.labels is None or not classes:
            return replace(self, labels=None, classes=())
        index = {name: label for label, name in enumerate(classes)}
        numbers = torch.tensor([index.get(name, -1) for name in self.classes])[self.labels]
        rows = torch.nonzero(numbers >= 0).flatten()
        return replace(self.take(rows), labels=numbers[rows], classes=classes)

    def take(self, rows: Tensor) -> ImageSet:
        """Some of the images, by their rows, int64 (m,)."""
        return replace(
            self,
            images=subset(self.images, rows),
            labels=None if self.labels is None else self.labels[rows],
            content=tuple(self.content[row] for row in rows.tolist()) if self.content else (),
        )

    def with_occurring_classes(self) -> ImageSet:
        """The same images without the classes of which there is none."""
        if self.labels is None:
            return self
        occurring = torch.unique(self.labels).tolist()
        return self.with_classes(tuple(self.classes[label] for label in occurring))

    def fingerprint(self) -> str:
        """Hash shape, pixels and labels: a resumed run must see the same data.

        Returns:
            64 hexadecimal digits of a sha256.
        """
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        hash_pixels(self.images, digest)
        if self.labels is not None:
            digest.update(b"labels")
            digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()


def hash_pixels(images: Images, digest: hashlib._Hash) -> None:
    """Hash all pixels in turn, or what stands for them where they take too long to read."""
    if isinstance(images, ImageStore) and images.fingerprint is not None:
        digest.update(images.fingerprint.encode())
        return
    for chunk in chunks(images):
        digest.update(chunk.contiguous().numpy().data)


def to_float(images: Tensor) -> Tensor:
    """Scale uint8 pixels of any shape from [0, 255] to floats in [-1, 1]; leave floats alone.

    They are of torch's default type: float32, unless a training is in float64.
    """
    floats = images.to(torch.get_default_dtype())
    return floats if images.is_floating_point() else floats.div(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Round float pixels of any shape from [-1, 1] to uint8; what lies outside is clamped."""
    # Half precision cannot tell 256 levels apart: scale in float32.
    return images.float().mul(127.5).add_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def at_rest(images: Tensor) -> Tensor:
    """Bring a generator's images (n, c, h, w) to what an `ImageSet` keeps: uint8, or floats."""
    return images.float() if images.shape[1:] == POINT else to_uint8(images)


def to_array(images: Tensor) -> Samples:
    """Images at rest -> as they are outside: uint8 (n, h, w, c), or floats (n, c)."""
    if images.dtype == torch.float32:
        return images.flatten(1).cpu().numpy()
    return images.permute(0, 2, 3, 1).cpu().numpy()


def to_tensor(samples: Samples) -> Tensor:
    """Undo `to_array`."""
    if samples.ndim == 2:
        return torch.from_numpy(samples)[:, :, None, None]
    return torch.from_numpy(samples).permute(0, 3, 1, 2).contiguous()


def safe_name(path: Path) -> str:
    """Make a folder's name, or a file's without its suffix, safe as a part of a file name."""
    stem = re.sub(r"\.(zip|npz|npy|tar|tar\.gz|tgz|tar\.xz)$", "", path.resolve().name, flags=re.I)
    return safe_part(stem) or "images"


def safe_part(text: str) -> str:
    """Make a text safe as a part of a file name; "" where nothing of it is."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:64]
