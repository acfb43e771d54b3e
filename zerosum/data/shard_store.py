"""Images in shards, brought into memory as they are asked for; and the order they are dealt in.

Reading at random would need every shard at hand. An epoch therefore goes through the shards in a
random order, some of them at a time, a window, and mixes all images of a window. Which shards and
which order follows from the index and the loader's generator alone: never from what was read, is in
a cache or fits into memory.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.decode import Format, Undecodable, fitted_size, read_image
from zerosum.data.progress import progress
from zerosum.data.shards import Damaged, File, Index, Shard, find_members, rows_of, verify
from zerosum.data.store import ImageStore, chunks
from zerosum.errors import UserError
from zerosum.reading import open_file

WINDOW = 2**16
"""Images that are mixed with one another, at least, where there are so many."""


class Shelf(Protocol):
    """Where the files of a set are."""

    name: str
    kept: str

    def get(self, about: File) -> Path:
        """Where a file lies on this machine, brought here if need be. Threads may ask at a time.

        Raises:
            UserError: it cannot be had.
        """

    def expect(self, files: Sequence[File]) -> None:
        """Be told what will be asked for soon."""

    def damaged(self, about: File, reason: str) -> UserError | None:
        """Be told that a file is not what it must be.

        Returns:
            The error for that; None where it was thrown away, and may be asked for once more.
        """


class Folder:
    """A set whose files lie in a folder on this machine, which is its `Shelf`."""

    def __init__(self, path: Path) -> None:
        """Name the folder."""
        self.path = path
        self.name = str(path)
        self.kept = f"in shards, in {path}"

    def get(self, about: File) -> Path:
        """Where a file lies; there is nothing to bring."""
        return self.path / about.file

    def expect(self, files: Sequence[File]) -> None:
        """There is nothing to prepare."""

    def damaged(self, about: File, reason: str) -> UserError:
        """Build the error for a file that is not what it must be."""
        return UserError(
            f"'{self.path / about.file}' of the shards is damaged or missing: {reason}. Copy it "
            "again from where it came, or pack the images again."
        )


class ShardImages(ImageStore):
    """The images of one split of a set in shards."""

    has_own_order = True

    def __init__(self, index: Index, split: str, shelf: Shelf, wanted: Format) -> None:
        """Say which they are; nothing is read yet.

        Args:
            index: of the set.
            split: one that it has.
            shelf: where the files are.
            wanted: the size and channels to bring them to; None keeps what they have.
        """
        self.kept = shelf.kept
        self.fingerprint = index.fingerprint(split)
        self._shelf = shelf
        self._shards = index.splits[split].shards
        self._first_rows = rows_of(self._shards)
        channels, height, width = index.shape
        self._packed_size = height, width
        self._wanted = Format(
            size=wanted.size or (height, width),
            channels=wanted.channels or channels,
            fit=wanted.fit,
        )
        if self._wanted.size != (height, width) or self._wanted.channels != channels:
            # Other pixels than those in the shards, for which their checksums alone would stand.
            how = repr((self._wanted.size, self._wanted.channels, self._wanted.fit))
            self.fingerprint = hashlib.sha256((self.fingerprint + how).encode()).hexdigest()
        size = fitted_size((height, width), self._wanted)
        count = int(self._first_rows[-1])
        self._shape = torch.Size((count, wanted.channels or channels, *size))
        self._windows = max(1, min(len(self._shards), count // WINDOW))
        self._plans: deque[list[list[int]]] = deque(maxlen=2)  # of the epochs drawn last
        self._places: OrderedDict[int, NDArray[np.int64]] = OrderedDict()  # of verified shards
        self._most_places = 2 * -(-len(self._shards) // self._windows) + 8
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in self._shards]

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def order(self, generator: torch.Generator) -> Tensor:
        """Draw the order of an epoch: windows of shards, and of each its images, mixed.

        Of a set of one window it is that of any other images.
        """
        if self._windows == 1:
            self._plans.append([list(range(len(self._shards)))])
            return torch.randperm(len(self), generator=generator)
        shards = torch.randperm(len(self._shards), generator=generator)
        plan = [window.tolist() for window in torch.tensor_split(shards, self._windows)]
        self._plans.append(plan)
        rows = []
        for window in plan:
            inside = torch.cat(
                [torch.arange(*self._first_rows[shard : shard + 2].tolist()) for shard in window]
            )
            rows.append(inside[torch.randperm(len(inside), generator=generator)])
        return torch.cat(rows)

    def take(self, rows: Tensor) -> Tensor:
        """Read and decode images.

        Raises:
            UserError: a shard cannot be had, or is not what the index says.
        """
        asked = rows.numpy()
        found = np.empty((len(asked), *self._shape[1:]), np.uint8)
        shards = np.searchsorted(self._first_rows, asked, side="right") - 1
        numbers = np.unique(shards).tolist()
        self._shelf.expect([self._shards[number] for number in self._soon(numbers)])
        for number in numbers:
            (places,) = np.nonzero(shards == number)
            inside = asked[places] - self._first_rows[number]
            for place, image in zip(places, self._read(number, inside), strict=True):
                found[place] = image
        return torch.from_numpy(found)

    def _soon(self, numbers: list[int]) -> list[int]:
        """What is asked for after these shards: themselves, their window, and the next one."""
        for plan in reversed(self._plans):
            for place, window in enumerate(plan):
                if numbers[0] not in window:
                    continue
                others = [shard for each in plan[place : place + 2] for shard in each]
                return list(dict.fromkeys([*numbers, *others]))
        return numbers

    def _read(self, number: int, inside: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """Read images of one shard, by their rows in it, (c, h, w) each."""
        shard = self._shards[number]
        for content in self._contents(number, inside):
            try:
                decoded = read_image(content, self._wanted)
            except Undecodable as problem:
                raise self._wrong(shard, f"an image in it cannot be decoded: {problem}") from None
            if decoded.size != self._packed_size:
                raise self._wrong(shard, f"an image in it is of {decoded.size} pixels")
            yield decoded.pixels.transpose(2, 0, 1)

    def _contents(self, number: int, inside: NDArray[np.int64]) -> list[bytes]:
        """The files of images of one shard."""
        shard = self._shards[number]
        while True:
            try:
                path, places = self._verified(number)
                with open_file(path) as file:
                    contents = []
                    for start, length in places[inside].tolist():
                        file.seek(start)
                        contents.append(file.read(length))
                        if len(contents[-1]) < length:
                            raise Damaged(f"it ends before byte {start + length:,}")
                return contents
            except (Damaged, OSError) as problem:
                reason = problem.strerror if isinstance(problem, OSError) else str(problem)
                with self._lock:
                    self._places.pop(number, None)
                if error := self._shelf.damaged(shard, reason or type(problem).__name__):
                    raise error from None

    def _verified(self, number: int) -> tuple[Path, NDArray[np.int64]]:
        """Where a shard lies and its images in it, after its checksum was found to be right."""
        with self._locks[number]:
            path = self._shelf.get(self._shards[number])
            with self._lock:
                if number in self._places:
                    self._places.move_to_end(number)
                    return path, self._places[number]
            verify(path, self._shards[number])
            places = find_members(path, self._shards[number].images)
            with self._lock:
                self._places[number] = places
                while len(self._places) > self._most_places:
                    self._places.popitem(last=False)
            return path, places

    def _wrong(self, shard: Shard, reason: str) -> UserError:
        return UserError(
            f"'{shard.file}' in '{self._shelf.name}' has the checksum that its index says, and yet "
            f"{reason}. It was not written by `zerosum data pack`: pack the images again."
        )


class Held(ImageStore):
    """Images of another store, all of them brought into memory, and dealt as they are there."""

    has_own_order = True

    def __init__(self, base: ImageStore) -> None:
        """Read all of them."""
        self._base = base
        self.kept = "in memory"
        self.fingerprint = base.fingerprint
        self._pixels = torch.empty(base.shape, dtype=torch.uint8)
        done = 0
        with progress("Reading shards", len(base)) as advance:
            for chunk in chunks(base):
                self._pixels[done : done + len(chunk)] = chunk
                done += len(chunk)
                advance(len(chunk))

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._base.shape

    def order(self, generator: torch.Generator) -> Tensor:
        """Draw the order of an epoch, as the other store does."""
        return self._base.order(generator)

    def take(self, rows: Tensor) -> Tensor:
        """Copy images."""
        return torch.from_numpy(np.take(self._pixels.numpy(), rows.numpy(), axis=0))
