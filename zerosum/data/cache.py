"""Decoded images in a cache on disk, for sets that do not fit in memory.

An entry is a folder of three files: the pixels, row by row; a line on each file that was read; and
a manifest with checksums of both, which is written last. It is known by what decides the pixels:
the names, sizes and times of the files and the shape that they were brought to. A changed file
therefore means another entry, and no entry is ever written to once it has its name. What is being
built has a name of its own and goes on where it was when it is begun again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import mmap
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import PIL
import torch
from torch import Tensor

from zerosum.data.addresses import is_address
from zerosum.data.arrays import Pixels
from zerosum.data.cache_entries import (
    BUILDING,
    FILES,
    LOCK,
    MANIFEST,
    PIXELS,
    USED,
    folder,
    leased,
    locked,
)
from zerosum.data.checked_files import (
    CHUNK,
    as_line,
    checksums,
    digest_of,
    reserve,
    whole_lines,
    write_at,
)
from zerosum.data.decode import Format, size_mismatch
from zerosum.data.outcome import Outcome
from zerosum.data.progress import progress, say
from zerosum.data.store import ImageStore
from zerosum.errors import UserError
from zerosum.files import flush_folder, write_whole
from zerosum.hardware import GIB
from zerosum.reading import open_file, parse_json, read_bytes, read_json

VERSION = 1
"""Raised when entries come to be written otherwise, or the same files to give other pixels."""
FLUSH_SECONDS = 1.0
"""What was noted of files is given to the system so often; a kill costs no more."""
MAKE_ROOM = (
    "Make room, such as with `zerosum data cache --prune`, or name a folder on a larger disk in "
    "the environment variable ZEROSUM_CACHE, and give the same command again: what is decoded "
    "already is kept."
)


class Damaged(Exception):
    """An entry is not what was written; the message is why, in a few words."""


def key_of(source: object, stamps: Sequence[tuple[str, str]], wanted: Format, *, kind: str) -> str:
    """Name an entry by what decides its pixels.

    Args:
        source: the folder or archive, as it was named.
        stamps: of each file its name and what changes whenever the file does, in the images' order.
        wanted: the shape that the images are brought to.
        kind: how a file becomes images, where there are several ways.
    """
    settings = (wanted.size, wanted.channels, wanted.fit, wanted.value_range)
    digest = hashlib.sha256(repr((VERSION, PIL.__version__, settings, kind)).encode())
    # An address is the same from every folder; of a path, all that lead to it are one.
    place = str(source) if is_address(str(source)) else os.path.realpath(str(source))
    digest.update(place.encode(errors="surrogateescape"))
    for name, stamp in stamps:
        digest.update(json.dumps([name, stamp]).encode())
    return digest.hexdigest()[:20]


class MappedImages(ImageStore):
    """Images of an entry, mapped into memory, from where the system may drop them at any time."""

    def __init__(self, entry: Path, shape: Sequence[int], lease: IO[bytes]) -> None:
        """Map an entry that was verified.

        Args:
            entry: its folder.
            shape: of all images, (n, c, h, w).
            lease: keeps others from removing the entry for as long as it is open.
        """
        self._shape = torch.Size(shape)
        file = open_file(entry / PIXELS)
        self._file = file.fileno()
        for opened in (file, lease):
            weakref.finalize(self, opened.close)
        mapped = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        self._pixels = np.frombuffer(mapped, np.uint8).reshape(self._shape)
        self.kept = f"on disk, in {entry}"

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def take(self, rows: Tensor) -> Tensor:
        """Copy images, from the disk where memory has them no more."""
        if hasattr(os, "posix_fadvise"):
            # The disk gets all wishes at once: faults would ask it for one piece after another.
            size = self._shape[1:].numel()
            for row in rows.tolist():
                os.posix_fadvise(self._file, row * size, size, os.POSIX_FADV_WILLNEED)
        # numpy rather than torch: it takes in the thread that asks, and starts no others.
        return torch.from_numpy(np.take(self._pixels, rows.numpy(), axis=0))


class DiskCanvas:
    """Takes decoded images in any order, as `gather.Canvas` does, and keeps them in an entry.

    Used as a context: inside it no other process builds the same.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        source: object,
        stamp: Callable[[], Sequence[tuple[str, str]]],
        wanted: Format,
        kind: str,
    ) -> None:
        """Say what is to be kept.

        Args:
            names: of all files, in the order of the images.
            source: the folder or archive, for messages and for listing.
            stamp: gives of each file its name and what changes whenever the file does.
            wanted: the shape to bring the images to.
            kind: how a file becomes images.
        """
        self.names = list(names)
        self.levels = (0, 0)
        self._source = source
        self._stamp = stamp
        self._wanted = wanted
        self._kind = kind
        self._slots = {name: slot for slot, name in enumerate(self.names)}
        self._row: tuple[int, int, int, int] | None = None  # shape of a file's images on disk
        self._widest = 1  # channels that an image needs
        self._first = ""  # the image that decided the size
        self._known: list[Outcome] = []
        self._pixels: int | None = None  # the file's descriptor
        self._journal: IO[bytes] | None = None
        self._flushed = time.monotonic()
        self._manifest: dict[str, Any] | None = None
        self._lock: IO[bytes] | None = None
        self._entry = Path()
        self._building = Path()

    @staticmethod
    def possible() -> bool:
        """Whether this system has what it takes: reading and writing at a place in a file."""
        return hasattr(os, "pread")

    def __enter__(self) -> Self:
        """Open the entry where there is one, or go on building it.

        Raises:
            UserError: the cache cannot be written.
        """
        key = key_of(self._source, self._stamp(), self._wanted, kind=self._kind)
        self._entry = folder() / key
        self._building = folder() / f"{key}{BUILDING}"
        with self._storage():
            folder().mkdir(parents=True, exist_ok=True)
            self._lock = locked(folder() / f"{key}{LOCK}")
            try:
                self._open()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what is not finished where the next one finds it."""
        with contextlib.suppress(OSError):
            if self._journal is not None:
                self._journal.close()
        with contextlib.suppress(OSError):
            if self._pixels is not None:
                os.close(self._pixels)
        self._journal = self._pixels = None
        if self._lock is not None:
            self._lock.close()

    def known(self) -> list[Outcome]:
        """What came of files that need not be read again, in the order in which they were."""
        return self._known

    def write(self, name: str, images: Pixels) -> str | None:
        """Write a file's images (k, c, h, w), in any thread, where their place is known already.

        Returns:
            A checksum for `put`; None where it has to write them.
        """
        if self._row is None or self._row[2:] != images.shape[2:]:
            return None
        content = np.ascontiguousarray(np.broadcast_to(images, self._row)).data.cast("B")
        assert self._pixels is not None
        with self._storage():
            write_at(self._pixels, content, self._slots[name] * len(content))
        return digest_of(content)

    def put(self, outcome: Outcome, written: str | None) -> None:
        """Note what came of a file, and write its images unless that was done.

        Raises:
            UserError: the disk is full; or the images differ in size from the others.
        """
        line = outcome.to_json()
        with self._storage():
            if outcome.decoded is not None:
                images = outcome.decoded.pixels
                if self._row is None:
                    self._allocate(outcome.name, images.shape)
                assert self._row is not None
                if self._row[2:] != images.shape[2:]:
                    raise size_mismatch(self._first, self._row[2:], outcome.name, images.shape[2:])
                self._widest = max(self._widest, images.shape[1])
                line["pixels"] = written or self.write(outcome.name, images)
            self._note(line)

    def keep(self, slots: list[int]) -> ImageStore:
        """Finish the entry with the images of these slots, which must ascend.

        Raises:
            UserError: the disk is full, or files have changed in the meantime.
        """
        with self._storage():
            if self._manifest is None:
                self._finish(slots)
            assert self._manifest is not None
            lowest, highest = self._manifest["levels"]
            self.levels = lowest, highest
            return MappedImages(self._entry, self._manifest["shape"], leased(self._entry))

    def _open(self) -> None:
        if self._entry.exists():
            try:
                self._manifest = verified(self._entry)
                self._known = outcomes(self._entry)
                return
            except Damaged as problem:
                say(
                    f"WARNING: The decoded images of '{self._source}' in '{self._entry}' are "
                    f"damaged ({problem}). They are decoded anew."
                )
                shutil.rmtree(self._entry)
        if self._wanted.size is not None:  # before the first one is decoded
            self._require_room((self._wanted.channels or 1) * math.prod(self._wanted.size))
        self._building.mkdir(exist_ok=True)
        self._pixels = os.open(self._building / PIXELS, os.O_RDWR | os.O_CREAT, 0o666)
        self._resume()

    def _resume(self) -> None:
        """Find what was done before, of which only what can be verified counts."""
        journal = self._building / FILES
        lines = whole_lines(journal)
        kept = [line for line in lines if "row" in line]
        if kept:
            k, c, h, w = kept[0]["row"]
            self._row, self._first = (k, c, h, w), kept[0]["first"]
            assert self._pixels is not None
            reserve(self._pixels, k * c * h * w * len(self.names))
            with progress("Checking what is decoded already", len(lines)) as advance:
                for line in lines:
                    advance(1)
                    if "row" not in line and self._is_there(line):
                        kept.append(line)
        write_whole(journal, b"".join(map(as_line, kept)))
        self._journal = journal.open("ab")

    def _is_there(self, line: dict[str, Any]) -> bool:
        """Take up what was noted of a file, unless its pixels are not those that were noted."""
        outcome = Outcome.from_json(line)
        if outcome.decoded is not None:
            assert self._row is not None
            assert self._pixels is not None
            num_bytes = math.prod(self._row)
            found = os.pread(self._pixels, num_bytes, self._slots[outcome.name] * num_bytes)
            if digest_of(found) != line["pixels"]:
                return False
            self._widest = max(self._widest, outcome.decoded.pixels.shape[1])
        self._known.append(outcome)
        return True

    def _allocate(self, name: str, shape: Sequence[int]) -> None:
        k, c, h, w = shape
        # As long as nobody knows whether all are gray there is room for colours; `keep` takes it
        # away again.
        channels = self._wanted.channels or max(c, 3)
        self._require_room(k * channels * h * w)
        assert self._pixels is not None
        reserve(self._pixels, len(self.names) * k * channels * h * w)
        self._note({"row": [k, channels, h, w], "first": name})
        self._first = name
        self._row = (k, channels, h, w)  # last: from now on other threads write

    def _require_room(self, num_bytes: int) -> None:
        """Refuse images of so many bytes each that the disk cannot hold.

        Raises:
            UserError: it cannot.
        """
        needed = len(self.names) * num_bytes
        free = shutil.disk_usage(folder()).free
        if self._building.exists():  # what was reserved for it is no longer free
            free += sum(file.stat().st_blocks * 512 for file in self._building.iterdir())
        if needed > free:
            raise UserError(
                f"The decoded images of '{self._source}' would take {needed / GIB:,.1f} GiB in "
                f"'{folder()}', where {free / GIB:,.1f} GiB are free. {MAKE_ROOM}"
            )

    def _note(self, line: dict[str, Any]) -> None:
        assert self._journal is not None
        self._journal.write(as_line(line))
        if time.monotonic() > self._flushed + FLUSH_SECONDS:
            self._journal.flush()
            self._flushed = time.monotonic()

    def _finish(self, slots: list[int]) -> None:
        """Close the gaps, take checksums, and give the entry its name.

        A kill in the middle costs what was moved: its old checksums hold no more.
        """
        assert self._journal is not None
        assert self._pixels is not None
        assert self._row is not None
        self._journal.flush()
        k, c, h, w = self._row
        channels = self._wanted.channels or self._widest
        before, after = k * c * h * w, k * channels * h * w
        if slots != list(range(len(self.names))) or before != after:
            for target, slot in enumerate(slots):
                content = os.pread(self._pixels, before, slot * before)
                images = np.frombuffer(content, np.uint8).reshape(self._row)[:, :channels]
                write_at(self._pixels, images.tobytes(), target * after)
        num_bytes = len(slots) * after
        os.ftruncate(self._pixels, num_bytes)
        os.fsync(self._pixels)
        os.fsync(self._journal.fileno())
        sums = checksums(self._pixels, num_bytes, "Taking checksums")
        key = key_of(self._source, self._stamp(), self._wanted, kind=self._kind)
        if key != self._entry.name:
            raise UserError(
                f"Files of '{self._source}' have changed while they were decoded. Give the same "
                "command again once nobody writes there any more."
            )
        manifest = {
            "version": VERSION,
            "source": str(self._source),
            "shape": [len(slots), k * channels, h, w],
            "levels": [min(low for _, low, _ in sums), max(high for _, _, high in sums)],
            "files": hashlib.sha256((self._building / FILES).read_bytes()).hexdigest(),
            "chunk": CHUNK,
            "pixels": [sha256 for sha256, _, _ in sums],
        }
        text = json.dumps(manifest)
        sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "manifest": text}
        write_whole(self._building / MANIFEST, json.dumps(sealed), durable=True)
        (self._building / USED).touch()
        self._building.rename(self._entry)
        flush_folder(folder())
        self._manifest = manifest

    @contextlib.contextmanager
    def _storage(self) -> Iterator[None]:
        """Turn the disk's failures into one message; what is decoded stays."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"Could not write the decoded images of '{self._source}' to '{folder()}': "
                f"{error.strerror or error}. {MAKE_ROOM}"
            ) from error


def verified(entry: Path) -> dict[str, Any]:
    """Read an entry's manifest and hold all of the entry against it.

    Raises:
        Damaged: something is not as it was written.
    """
    try:
        sealed = read_json(entry / MANIFEST)
        text = sealed["manifest"]
        if hashlib.sha256(text.encode()).hexdigest() != sealed["sha256"]:
            raise Damaged(f"the sha256 of {MANIFEST} is another")
        manifest: dict[str, Any] = parse_json(text)
        if hashlib.sha256(read_bytes(entry / FILES)).hexdigest() != manifest["files"]:
            raise Damaged(f"the sha256 of {FILES} is another")
        num_bytes = int(np.prod(manifest["shape"], dtype=np.int64))
        with open_file(entry / PIXELS) as file:
            if os.fstat(file.fileno()).st_size != num_bytes:
                raise Damaged(f"{PIXELS} is of another size")
            sums = checksums(file.fileno(), num_bytes, "Checking decoded images")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(str(error)) from None
    if [sha256 for sha256, _, _ in sums] != manifest["pixels"]:
        raise Damaged(f"the sha256 of {PIXELS} is another")
    return manifest


def outcomes(entry: Path) -> list[Outcome]:
    """What came of the files of a finished entry."""
    lines = map(parse_json, read_bytes(entry / FILES).splitlines())
    return [Outcome.from_json(line) for line in lines if "row" not in line]
