"""Where decoded images go in memory: one array, filled in any order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from zerosum.data.arrays import Pixels
from zerosum.data.decode import (
    Format,
    size_mismatch,
)
from zerosum.data.outcome import Outcome
from zerosum.hardware import SMALLER, memory_bytes, require_memory

SHARE = 0.5  # of the memory that images may take before they lie on disk instead


class DoesNotFit(Exception):
    """Images take more memory than they should, and may lie on disk."""


class Canvas:
    """The final array (n, k, c, h, w), filled in any order, whose shape the first images decide."""

    def __init__(self, names: list[str], wanted: Format, *, may_spill: bool) -> None:
        """Make sure that there is room, where the shape is known.

        Args:
            names: of the files, in the order of the images.
            wanted: the shape of the images.
            may_spill: whether they may lie on disk instead.

        Raises:
            DoesNotFit: they would take too much of the memory, and may.
            UserError: they would take more than there is.
        """
        self.names = names
        self.levels = (0, 0)  # the lowest and the highest value of what is kept
        self._may_spill = may_spill
        self._slots = {name: slot for slot, name in enumerate(names)}
        self._pixels: Pixels | None = None
        self._first = ""  # the image that decided the size
        if wanted.size is not None:
            # Before the first one is decoded: a single image of that size may be too much.
            self._require_memory(wanted.channels or 1, *wanted.size)

    def known(self) -> Iterable[Outcome]:
        """Nothing is known before it is read."""
        return ()

    def write(self, name: str, images: Pixels) -> None:
        """Leave it to `put`."""

    def put(self, outcome: Outcome, written: object) -> None:
        """Take a file's images (k, c, h, w); the first colour turns all gray ones into RGB."""
        if outcome.decoded is None:
            return
        name, images = outcome.name, outcome.decoded.pixels
        if self._pixels is None:
            self._first = name
            self._pixels = self._allocate(*images.shape)
        elif self._pixels.shape[3:] != images.shape[2:]:
            raise size_mismatch(self._first, self._pixels.shape[3:], name, images.shape[2:])
        if self._pixels.shape[2] < images.shape[1]:
            gray = self._pixels
            self._pixels = self._allocate(*images.shape)
            self._pixels[:] = gray
        self._pixels[self._slots[name]] = images

    def keep(self, slots: list[int]) -> Tensor:
        """Close the gaps, in place; return the slots', which must ascend, as (n, k * c, h, w)."""
        assert self._pixels is not None
        for target, slot in enumerate(slots):
            if target != slot:
                self._pixels[target] = self._pixels[slot]
        images = self._pixels[: len(slots)].reshape(len(slots), -1, *self._pixels.shape[3:])
        self.levels = int(images.min()), int(images.max())
        return torch.from_numpy(images)

    def _allocate(self, num_stacked: int, channels: int, height: int, width: int) -> Pixels:
        self._require_memory(num_stacked * channels, height, width)
        return np.empty((len(self.names), num_stacked, channels, height, width), np.uint8)

    def _require_memory(self, channels: int, height: int, width: int) -> None:
        count, memory = len(self.names), memory_bytes()
        needed = count * channels * height * width
        if self._may_spill and memory is not None and needed > SHARE * memory:
            raise DoesNotFit
        require_memory(
            needed,
            memory=memory,
            what=f"{count:,} images of {height}×{width} pixels",
            advice=f"{SMALLER} Or keep them on disk with --data-tier disk.",
        )
