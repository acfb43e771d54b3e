"""Deals mini-batches of images, and can stop and go on anywhere.

There is no generator object with hidden state: what is dealt next follows from the position alone.
Images that are not on the device are read by threads before their batch is due; which ones follows
from the position too.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from zerosum.data.images import ImageSet, to_float
from zerosum.data.readahead import ReadAhead
from zerosum.errors import UserError
from zerosum.seeds import stream_seed

AHEAD_BYTES = 64 * 2**20
"""About how much of what is read ahead waits in memory."""
LEAST_AHEAD, MOST_AHEAD = 2, 16
"""Batches that are read ahead, whatever their size."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where in its endless sequence a loader stands; three numbers to save and to seek."""

    seed: int
    epoch: int  # whole epochs dealt
    offset: int  # images dealt of the epoch under way, less than all


@dataclass(frozen=True)
class Order:
    """The rows of one epoch's images as they are dealt, int64 (n,), on the device of the images."""

    epoch: tuple[int, int]  # its seed and its number
    rows: Tensor
    others: Tensor | None  # the rows of targets that do not belong to their sources


class Loader:
    """Deals every image once an epoch, in an order that (seed, epoch) alone decides.

    Images stay uint8 and are scaled batch by batch. Of sources and targets that do not belong
    together, the targets go in an order of their own.

    Args:
        data: the images to deal.
        batch_size: images in a batch; an epoch's last batch has what is left, and may be smaller.
        seed: decides the order, the same on every device and wherever the images are kept.
        device: where the batches appear.
        resident: whether images in memory go to the device once and for all; else they stay where
            they are, and each batch goes there by itself. On a CPU this is the same.
        own: where other processes have the others, which images of a batch of so many to read and
            to deal: the first, and the one behind the last. None for all.
    """

    def __init__(
        self,
        data: ImageSet,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        resident: bool = True,
        own: Callable[[int], tuple[int, int]] | None = None,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"The batch size must be at least 1, not {batch_size}.")
        self.batch_size = batch_size
        self.device = device
        self._own = own
        images = data.images
        if isinstance(images, Tensor) and (resident or device.type == "cpu"):
            images = images.to(device)
        self._images = images
        self._labels = None if data.labels is None else data.labels.to(device)
        self._unmatched_from = None if data.matched else data.source_channels
        self._orders: deque[Order] = deque(maxlen=2)  # of the epoch under way, and of the next
        self._ahead: ReadAhead[Tensor] | None = None
        if not isinstance(images, Tensor) or images.device.type != device.type:
            batch_bytes = min(batch_size, len(images)) * images.shape[1:].numel()
            depth = max(LEAST_AHEAD, min(MOST_AHEAD, AHEAD_BYTES // batch_bytes))
            self._ahead = ReadAhead(depth=depth)
        self.seek(Position(seed=seed, epoch=0, offset=0))

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self._images) / self.batch_size)

    @property
    def kept(self) -> str:
        """Where the images are while they are dealt, and how large they are, in words."""
        size = in_bytes(self._images.shape.numel() * self._images.dtype.itemsize)
        if not isinstance(self._images, Tensor):
            return f"{self._images.kept} ({size}), read ahead"
        if self._images.device.type == "cpu":
            return f"in memory ({size})"
        return f"on {self._images.device} ({size})"

    @property
    def position(self) -> Position:
        """The position of the next batch."""
        return self._position

    def seek(self, position: Position) -> None:
        """Go to a position, so that the same batches follow as followed it before.

        Raises:
            UserError: no epoch of these images has such a position.
        """
        if position.epoch < 0 or not 0 <= position.offset < len(self._images):
            raise UserError(
                f"There is no {position} in a data set of {len(self._images)} images: "
                "it was saved with other data, or is damaged."
            )
        self._position = position
        if self._ahead is not None:
            self._ahead.start(self._readings(position))

    def require_batches(self, count: int, *, stopped: Callable[[], bool]) -> None:
        """Wait until the next batches can be dealt without fail, or until it is to stop.

        Args:
            count: how many.
            stopped: whether to wait no longer, which is asked all the while: a server may stall.

        Raises:
            UserError: they cannot be read. The position is as it was.
        """
        if self._ahead is not None:
            self._ahead.wait(count, stopped=stopped)

    def next_batch(self) -> tuple[Tensor, Tensor | None, *tuple[int, ...]]:
        """Deal the next batch, of the next epoch when one is done.

        Returns:
            Images, float32 (b, c, h, w) in [-1, 1], and labels, int64 (b,), if there are any. Where
            only its `own` are dealt, also the place of the first one in the batch, and how many
            images the batch has.

        Raises:
            UserError: the images, which are not in memory, can no longer be read.
        """
        rows, others = self._rows(self._position)
        first, stop = self._span(len(rows))
        if self._ahead is None:
            images = self._read(rows, others)
        else:
            try:
                read = next(self._ahead)
            except BaseException:
                self.seek(self._position)  # what is read ahead is one further than what was dealt
                raise
            images = read.to(self.device, non_blocking=True)
        labels = None
        if self._labels is not None:
            labels = self._labels.index_select(0, rows[first:stop].to(self._labels.device))
        self._position = self._after(self._position, len(rows))
        place = () if self._own is None else (first, len(rows))
        return to_float(images), labels, *place

    def _span(self, count: int) -> tuple[int, int]:
        return (0, count) if self._own is None else self._own(count)

    def _rows(self, position: Position) -> tuple[Tensor, Tensor | None]:
        """The rows of the images, and of targets that do not belong to them, at a position."""
        epoch = (position.seed, position.epoch)
        order = next((order for order in self._orders if order.epoch == epoch), None)
        if order is None:
            order = self._draw(position)
            self._orders.append(order)
        part = slice(position.offset, position.offset + self.batch_size)
        return order.rows[part], None if order.others is None else order.others[part]

    def _read(self, rows: Tensor, others: Tensor | None) -> Tensor:
        """Bring together what is read of a batch, uint8 (b, c, h, w)."""
        own = slice(*self._span(len(rows)))
        images = self._take(rows[own])
        if others is not None:
            images[:, self._unmatched_from :] = self._take(others[own])[:, self._unmatched_from :]
        if self._ahead is not None and self.device.type == "cuda":
            return images.pin_memory()
        return images

    def _take(self, rows: Tensor) -> Tensor:
        if isinstance(self._images, Tensor):
            # index_select rather than [rows]: seven times as fast on a CPU.
            return self._images.index_select(0, rows)
        return self._images.take(rows)

    def _readings(self, position: Position) -> Iterator[Callable[[], Tensor]]:
        """What reads the batches from a position on, without end."""
        while True:
            rows, others = self._rows(position)
            yield partial(self._read, rows, others)
            position = self._after(position, len(rows))

    def _after(self, here: Position, num_images: int) -> Position:
        """The position after so many images of an epoch."""
        offset = here.offset + num_images
        if offset < len(self._images):
            return Position(seed=here.seed, epoch=here.epoch, offset=offset)
        return Position(seed=here.seed, epoch=here.epoch + 1, offset=0)

    def _draw(self, position: Position) -> Order:
        """Draw the order of a position's epoch, on the CPU so that every device sees the same."""
        others = None
        if self._unmatched_from is not None:
            others = self._shuffle(position, "targets")
        return Order(
            epoch=(position.seed, position.epoch),
            rows=self._shuffle(position, "data"),
            others=others,
        )

    def _shuffle(self, position: Position, what: str) -> Tensor:
        seed = stream_seed(what, position.seed, position.epoch)
        generator = torch.Generator().manual_seed(seed)
        if not isinstance(self._images, Tensor):
            return self._images.order(generator)
        return torch.randperm(len(self._images), generator=generator).to(self._images.device)


def in_bytes(count: int) -> str:
    """A number of bytes in a unit that suits it."""
    value, units = float(count), iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 1000 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"
