"""Encoded images that are decoded as they are asked for, and what is known of them."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.decode import (
    Decoded,
    Format,
    OwnSheet,
    Undecodable,
    read_image,
    size_mismatch,
    values_in,
)
from zerosum.data.gather import require_range_read
from zerosum.data.images import to_tensor
from zerosum.data.names import printable
from zerosum.data.progress import progress
from zerosum.data.report import Note, Report, few_levels, values_in_words
from zerosum.data.store import ImageStore, View
from zerosum.errors import UserError
from zerosum.hardware import processor_share
from zerosum.metrics.embedding import Passing
from zerosum.metrics.features import BATCH

MOST_THREADS = 4
DAMAGED = "Get it again from where it came; of samples, remove it and give the command again."


class Encoded(ImageStore):
    """Image files, wherever they lie, decoded when they are asked for.

    Attributes:
        source: what holds them, for messages.
        report: what was understood, known once `inspected`.
    """

    def __init__(self, source: Path, wanted: Format) -> None:
        self.source = source
        self.wanted = wanted
        self.report = Report()
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, processor_share()))
        self._shape = torch.Size((0, 0, 0, 0))

    @abstractmethod
    def num_files(self) -> int:
        """How many image files there are, usable or not."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What one is called, for messages."""

    @abstractmethod
    def contents(self, indices: Sequence[int]) -> list[bytes | Undecodable]:
        """Read files, or say why one cannot be read. Cheapest in ascending order.

        Raises:
            UserError: what holds them is damaged.
        """

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def take(self, rows: Tensor) -> Tensor:
        """Decode some images."""
        indices = rows.tolist()
        images = []
        for index, decoded in zip(indices, self._decoded(indices), strict=True):
            if isinstance(decoded, Undecodable):
                raise UserError(
                    f"{printable(self.name(index))} in {self.source} cannot be decoded any more: "
                    f"{decoded}. Leave the set as it is while it is evaluated."
                )
            images.append(decoded.pixels)
        return to_tensor(np.stack(images))

    def _decoded(self, indices: Sequence[int]) -> list[Decoded | Undecodable]:
        def decode(content: bytes | Undecodable) -> Decoded | Undecodable:
            if isinstance(content, Undecodable):
                return content
            try:
                return read_image(content, self.wanted)
            except Undecodable as problem:
                return problem

        # Pillow's warnings are either about damage, which is told, or of no concern.
        with warnings.catch_warnings(action="ignore"):
            return list(self._pool.map(decode, self.contents(indices)))

    def inspected(self, left_out: Sequence[Note] = ()) -> ImageStore:
        """Look at every image once, and give those that can be used, as `gather` would.

        Args:
            left_out: what is known already of what is not.

        Raises:
            UserError: there is none, or sizes differ while none is wanted.
        """
        count = self.num_files()
        if self.wanted.value_range == "auto":
            self.wanted = replace(self.wanted, value_range=self._found_range(count))
        kinds = np.zeros(count, np.uint8)
        facts = Facts(self.wanted)
        passing: Passing | None = None  # of all, if all can be used as they come
        with progress("Looking at images", count) as advance:
            for start in range(0, count, BATCH):
                indices = range(start, min(start + BATCH, count))
                found = self._decoded(indices)
                for index, decoded in zip(indices, found, strict=True):
                    kinds[index] = facts.take(self.name(index), decoded)
                images = [each.pixels for each in found if isinstance(each, Decoded)]
                if start == 0 and images:
                    self._shape = torch.Size((count, images[0].shape[2], *facts.fitted))
                    passing = Passing(self)
                as_they_come = all(each.shape[2] == self._shape[1] for each in images)
                if passing is not None and as_they_come and len(images) == len(indices):
                    passing.seen(to_tensor(np.stack(images)))
                else:
                    passing = None
                advance(len(indices))
        usable = facts.usable(kinds, self.source)
        channels = facts.channels
        self.wanted = replace(self.wanted, channels=channels)
        self._shape = torch.Size((count, channels, *facts.fitted))
        self.report = facts.report(len(usable), self.source).with_more(left_out=left_out)
        if len(usable) < count:
            return View(self, rows=torch.from_numpy(usable))
        if passing is not None:
            passing.done()
        return self

    def largest_of(self, indices: Sequence[int]) -> int:
        """The bytes that the largest of some images has in memory; 0 where none can be read."""
        found = [each for each in self._decoded(indices) if isinstance(each, Decoded)]
        return max((each.pixels.size for each in found), default=0)

    def _found_range(self, count: int) -> tuple[float, float] | None:
        lowest, highest = np.inf, -np.inf
        for start in range(0, count, BATCH):
            for content in self.contents(range(start, min(start + BATCH, count))):
                try:
                    if isinstance(content, bytes) and (found := values_in(content)):
                        lowest, highest = min(lowest, found[0]), max(highest, found[1])
                except Undecodable:  # which is noted when it is decoded
                    continue
        return (lowest, highest) if lowest <= highest else None


USABLE, SAMPLE, UNUSABLE = 1, 2, 0


@dataclass
class Facts:
    """What is known of decoded files, counted one by one."""

    wanted: Format
    channels: int = 0
    fitted: tuple[int, int] = (0, 0)  # (height, width) that images were brought to
    changes: dict[str, tuple[int, str]] = field(default_factory=dict)
    unreadable: tuple[int, str] = (0, "")
    sheets: tuple[int, str] = (0, "")
    samples: tuple[int, str] = (0, "")
    of_eight_bits: int = 0
    values: tuple[float, float, float] | None = None
    levels: tuple[int, int] = (255, 0)
    _first: str = ""

    def take(self, name: str, decoded: Decoded | Undecodable) -> int:
        """Take those of one more file; give what it is good for."""
        if isinstance(decoded, OwnSheet):
            self.sheets = one_more(self.sheets, name)
            return UNUSABLE
        if isinstance(decoded, Undecodable):
            self.unreadable = one_more(self.unreadable, f"{name}: {printable(str(decoded))}")
            return UNUSABLE
        height, width, channels = decoded.pixels.shape
        if not self._first:
            self._first, self.fitted = name, (height, width)
        elif self.fitted != (height, width):
            raise size_mismatch(self._first, self.fitted, name, (height, width))
        self.channels = max(self.channels, channels)
        for change in decoded.changes:
            self.changes[change] = one_more(self.changes.get(change, (0, "")), name)
        self.levels = (
            min(self.levels[0], int(decoded.pixels.min())),
            max(self.levels[1], int(decoded.pixels.max())),
        )
        if decoded.values is None:
            self.of_eight_bits += 1
        else:
            low, high, most = self.values or decoded.values
            lowest, highest, largest = decoded.values
            self.values = min(low, lowest), max(high, highest), max(most, largest)
        if not decoded.is_sample:
            return USABLE
        self.samples = one_more(self.samples, name)
        return SAMPLE

    def usable(self, kinds: NDArray[np.uint8], source: Path) -> NDArray[np.int64]:
        """The files that are used: samples of ours only where there is nothing else.

        Raises:
            UserError: there are none.
        """
        count = len(kinds)
        if self.unreadable[0] == count:
            raise UserError(
                f"{count} of the {count} images in {source} cannot be decoded: "
                f"{self.unreadable[1]}{f'; and {count - 1} more' if count > 1 else ''}."
            )
        wanted = USABLE if (kinds == USABLE).any() else SAMPLE
        if wanted == SAMPLE:
            self.samples = (0, "")
        found: NDArray[np.int64] = np.nonzero(kinds == wanted)[0]
        if not len(found):
            raise UserError(
                f"The {count} images in {source} are pictures of samples that zerosum made, such "
                f"as {self.sheets[1]}, and no data."
            )
        return found

    def report(self, count: int, source: Path) -> Report:
        """Say what a user should know of them.

        Raises:
            UserError: a range of values was given, and would change nothing.
        """
        values = ""
        if self.values is not None:
            values = values_in_words(
                *self.values, self.wanted.value_range, of_eight_bits=self.of_eight_bits
            )
        require_range_read(self.wanted, values, source)
        darkest, brightest = self.levels
        warning = few_levels(count, brightest, brightest - darkest + 1, values)
        left_out = [
            Note(what=what, count=number, example=example)
            for what, (number, example) in (
                ("pictures of samples that zerosum made", self.sheets),
                ("samples that zerosum made", self.samples),
                ("files that cannot be decoded", self.unreadable),
            )
            if number
        ]
        changed = [
            Note(what=what, count=number, example=example)
            for what, (number, example) in self.changes.items()
        ]
        changed.sort(key=lambda note: (-note.count, note.what))
        return Report(
            values=values,
            changed=tuple(changed),
            left_out=tuple(left_out),
            warnings=(warning,) if warning else (),
        )


def one_more(counted: tuple[int, str], name: str) -> tuple[int, str]:
    """Count one more, and remember the first."""
    number, first = counted
    return number + 1, first or printable(name)
