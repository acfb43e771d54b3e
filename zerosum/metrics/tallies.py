"""How many samples a classifier finds of each class: counted as images pass, and not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from zerosum.metrics.plane import deviations

GOOD_DEVIATIONS = 3
"""A point is a Gaussian's if it is nearer than so many of its standard deviations."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tallies:
    """How often each of k classes, or Gaussians in the plane, was found.

    Attributes:
        likely: images by their most likely class, int64 (k,).
        nearest: points by the nearest centre, int64 (k,), where the classes are Gaussians.
        good: those of them that are within 3 standard deviations of it.
    """

    likely: Tensor
    nearest: Tensor | None = None
    good: Tensor | None = None

    @classmethod
    def of(cls, logits: Tensor, *, gaussians: bool = False) -> Tallies:
        """Count what is found in logits (n, k).

        Args:
            logits: of a classifier.
            gaussians: whether `plane.deviations` can read them.
        """
        num = logits.shape[1]
        likely = logits.argmax(dim=1).bincount(minlength=num)
        if not gaussians:
            return cls(likely=likely)
        nearest, good = count_nearest(deviations(logits))
        return cls(likely=likely, nearest=nearest, good=good)

    def __add__(self, other: Tallies) -> Tallies:
        """Those of both sets together."""
        mine, others = self.tensors(), other.tensors()
        return Tallies(
            **{name.removeprefix("tally_"): tensor + others[name] for name, tensor in mine.items()}
        )

    def tensors(self) -> dict[str, Tensor]:
        """By name, to be kept."""
        found = {
            "tally_likely": self.likely,
            "tally_nearest": self.nearest,
            "tally_good": self.good,
        }
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Tallies | None:
        """Take them back from among others; None where there are none."""
        if "tally_likely" not in tensors:
            return None
        return cls(
            likely=tensors["tally_likely"],
            nearest=tensors.get("tally_nearest"),
            good=tensors.get("tally_good"),
        )


def count_nearest(distances: Tensor) -> tuple[Tensor, Tensor]:
    """Count points by the nearest centre, all and the good ones: int64 (k,) twice.

    Args:
        distances: of n points from k centres, (n, k), in standard deviations.
    """
    nearest = distances.min(dim=1)
    good = nearest.values < GOOD_DEVIATIONS
    num = distances.shape[1]
    return nearest.indices.bincount(minlength=num), nearest.indices[good].bincount(minlength=num)
