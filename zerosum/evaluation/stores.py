"""Images that are read as they are evaluated: sets that need not fit into memory.

They are read twice at most, first to see what can be used, and then for a feature net; nothing of
them is kept but where they lie. What may be read so is a folder of image files without subfolders,
an `.npz` of bytes, tars and tables of Parquet. All else is loaded, see `zerosum.data`.
"""

from __future__ import annotations

import os
import re
import tarfile
import threading
import warnings
import zipfile
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.archive import DAMAGE
from zerosum.data.decode import (
    MODES,
    Decoded,
    Format,
    OwnSheet,
    Undecodable,
    fit_array,
    read_image,
    report_of_arrays,
    size_mismatch,
    values_in,
)
from zerosum.data.folder import load_folder, read_file
from zerosum.data.gather import MAX_FILE_BYTES, require_range_read
from zerosum.data.images import to_tensor
from zerosum.data.labels import LABEL_FILES
from zerosum.data.names import is_hidden, is_image, natural_key, printable
from zerosum.data.npz import DAMAGE as NPZ_DAMAGE
from zerosum.data.npz import (
    MAX_CHANNELS,
    choose_arrays,
    load_npz,
    unused,
    with_channels_last,
)
from zerosum.data.progress import progress
from zerosum.data.report import Note, Report, few_levels, values_in_words
from zerosum.data.sources import find_reader
from zerosum.data.store import ImageStore, View
from zerosum.errors import UserError, and_more
from zerosum.game.sampling import CHUNK
from zerosum.hardware import processor_share
from zerosum.inference.model import Sampler
from zerosum.inference.sample_forms import require_parquet
from zerosum.metrics.embedding import Passing
from zerosum.metrics.features import BATCH

LOADED_BYTES = 64 * 2**20
"""Of pixels up to which images are simply loaded."""
MOST_THREADS = 4
TABLE, TAR = ".parquet", ".tar"
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
    sizes: set[tuple[int, int]] = field(default_factory=set)
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
        if len(self.sizes) < 1000:  # of which the smallest and the largest are told
            self.sizes.add(decoded.size)
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
            values = values_in_words(*self.values, self.wanted.value_range)
            if self.of_eight_bits:
                values += f"; {self.of_eight_bits:,} images have 8 bits, and 0 to 255"
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


class Files(Encoded):
    """Image files in one folder."""

    def __init__(self, folder: Path, names: NDArray[np.bytes_], wanted: Format) -> None:
        super().__init__(folder, wanted)
        self._names = names
        self.kept = f"in {folder}"

    def num_files(self) -> int:
        """How many there are."""
        return len(self._names)

    def name(self, index: int) -> str:
        """A file's name."""
        return os.fsdecode(bytes(self._names[index]))

    def contents(self, indices: Sequence[int]) -> list[bytes | Undecodable]:
        """Read files, several at a time."""

        def read(index: int) -> bytes | Undecodable:
            try:
                return read_file(self.source / self.name(index))
            except Undecodable as problem:
                return problem

        return list(self._pool.map(read, indices))


def image_names(folder: Path) -> tuple[NDArray[np.bytes_], list[Note]] | None:
    """List the image files of a folder in natural order, in as few bytes as their names have.

    Returns:
        The names, and what else there is; None where there are folders in it, or files that tell
        of the images, so that there may be classes and splits.

    Raises:
        OSError: it cannot be listed.
    """
    parts: list[NDArray[np.bytes_]] = []
    waiting: list[bytes] = []
    others: dict[str, tuple[int, str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir() or entry.name.lower() in (*LABEL_FILES, "config.json"):
                return None
            if is_image(entry.name):
                waiting.append(os.fsencode(entry.name))
                if len(waiting) == 10_000:
                    parts.append(np.array(waiting))
                    waiting.clear()
            else:
                suffix = Path(entry.name).suffix.lower()
                kind = printable(suffix) if suffix else "without a suffix"
                what = f"files of a kind that is not read here, {kind}"
                others[what] = one_more(others.get(what, (0, "")), entry.name)
    if waiting:
        parts.append(np.array(waiting))
    if not parts:
        return None
    names = np.concatenate(parts)
    parts.clear()
    names.sort()
    if not in_natural_order(names):
        known = sorted((os.fsdecode(bytes(name)) for name in names), key=natural_key)
        names = np.array([os.fsencode(name) for name in known])
    return names, [Note(what=w, count=n, example=first) for w, (n, first) in others.items()]


def in_natural_order(names: NDArray[np.bytes_]) -> bool:
    """Whether sorted names are surely in natural order.

    They are if each begins with a number of its own, and all of these have as many digits.
    """
    match = re.match(rb"\d+", bytes(names[0]))
    width = names.dtype.itemsize
    if match is None or match.end() >= width:
        return False
    letters = names.view(np.uint8).reshape(len(names), width)
    digits = (letters >= ord("0")) & (letters <= ord("9"))
    length = match.end()
    if not digits[:, :length].all() or digits[:, length].any():
        return False
    numbers = letters[:, :length]
    return bool((numbers[1:] != numbers[:-1]).any(axis=1).all())


class Tars(Encoded):
    """Image files in tars that are not compressed, as WebDataset's shards are."""

    def __init__(self, source: Path, paths: Sequence[Path], wanted: Format) -> None:
        super().__init__(source, wanted)
        self.kept = f"in {source}"
        self._paths = list(paths)
        places = [find_members(path) for path in paths]
        self._shard = np.repeat(np.arange(len(paths)), [len(each) for each in places])
        self._place = np.concatenate(places)

    def num_files(self) -> int:
        """How many there are."""
        return len(self._place)

    def name(self, index: int) -> str:
        """Where one lies."""
        return f"{self._paths[self._shard[index]].name}, byte {self._place[index, 0]}"

    def contents(self, indices: Sequence[int]) -> list[bytes | Undecodable]:
        """Read members where they lie."""
        found: list[bytes | Undecodable] = []
        with ExitStack() as stack:
            files: dict[int, IO[bytes]] = {}
            for index in indices:
                shard, (offset, size) = int(self._shard[index]), self._place[index].tolist()
                try:
                    if shard not in files:
                        files[shard] = stack.enter_context(self._paths[shard].open("rb"))
                    found.append(read_member(files[shard], offset, size))
                except OSError as error:
                    found.append(Undecodable(error.strerror or type(error).__name__))
        return found


def read_member(file: IO[bytes], offset: int, size: int) -> bytes | Undecodable:
    """Read a member of a tar, if it is of a sensible size."""
    if size > MAX_FILE_BYTES:
        return Undecodable(f"claims {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
    file.seek(offset)
    return file.read(size)


def find_members(path: Path) -> NDArray[np.int64]:
    """Find where the images of a tar lie, (n, 2): their first bytes and how many there are.

    Raises:
        UserError: it is damaged, or cut off.
    """
    found = []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # or it would keep all of them
                if member.isfile() and is_image(member.name):
                    found.append((member.offset_data, member.size))
            stream = archive.fileobj
            assert stream is not None
            stream.seek(archive.offset)  # where tarfile stops without a word at damage
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"no end mark at byte {archive.offset}")
    except DAMAGE as error:
        raise UserError(f"The shard '{path}' is damaged: {error}. {DAMAGED}") from None
    return np.array(found, np.int64).reshape(-1, 2)


class Tables(Encoded):
    """Image files in a column of Parquet tables, read a group of rows at a time."""

    def __init__(self, source: Path, paths: Sequence[Path], wanted: Format) -> None:
        super().__init__(source, wanted)
        self.kept = f"in {source}"
        _, parquet = require_parquet()
        self._groups: list[tuple[Path, int]] = []
        counts = []
        for path in paths:
            try:
                with parquet.ParquetFile(path) as table:
                    image_column(table, path)
                    for number in range(table.num_row_groups):
                        self._groups.append((path, number))
                        counts.append(table.metadata.row_group(number).num_rows)
            except UserError:
                raise
            except Exception as error:  # pyarrow has kinds of its own
                raise UserError(
                    f"The shard '{path}' is damaged: {first_line(error)}. {DAMAGED}"
                ) from None
        self._starts = np.cumsum([0, *counts])
        self._parquet = parquet
        self._lock = threading.Lock()
        self._rows: tuple[int, list[bytes]] | None = None

    def num_files(self) -> int:
        """How many there are."""
        return int(self._starts[-1])

    def name(self, index: int) -> str:
        """Where one lies."""
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        return f"{self._groups[group][0].name}, row {index}"

    def contents(self, indices: Sequence[int]) -> list[bytes | Undecodable]:
        """Read the groups of rows that these are in."""
        with self._lock:
            return [self._read(index) for index in indices]

    def _read(self, index: int) -> bytes | Undecodable:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._rows is None or self._rows[0] != group:
            path, number = self._groups[group]
            try:
                with self._parquet.ParquetFile(path) as table:
                    column = image_column(table, path)
                    cells = table.read_row_group(number, columns=[column])[column.split(".")[0]]
                    self._rows = (
                        group,
                        [
                            cell["bytes"] if isinstance(cell, dict) else cell
                            for cell in cells.to_pylist()
                        ],
                    )
            except UserError:
                raise
            except Exception as error:  # pyarrow has kinds of its own
                raise UserError(
                    f"The shard '{path}' is damaged: {first_line(error)}. {DAMAGED}"
                ) from None
        content = self._rows[1][index - int(self._starts[group])]
        return content if isinstance(content, bytes) else Undecodable("the row holds no image")


def image_column(table: Any, path: Path) -> str:
    """The column of images of a table: bytes, or `bytes` in a structure as Hugging Face has it.

    Raises:
        UserError: there is none, or several may be it.
    """
    schema = table.schema_arrow
    found = []
    for each in schema:
        kind = str(each.type)
        if kind in ("binary", "large_binary"):
            found.append(each.name)
        elif kind.startswith("struct<") and each.type.get_field_index("bytes") >= 0:
            found.append(f"{each.name}.bytes")
    named = [name for name in found if name.split(".")[0] == "image"]
    if len(named or found) != 1:
        raise UserError(
            f"The table '{path}' has the columns {and_more(schema.names, 10)}: expected one of "
            "images, called image, which holds bytes of image files."
        )
    column: str = (named or found)[0]
    return column


def first_line(error: Exception) -> str:
    """What an error of a library says first."""
    return printable((str(error).splitlines() or [type(error).__name__])[0][:200].rstrip("."))


class Archived(ImageStore):
    """The images of an `.npz`, uint8, read in order; going back begins again.

    Attributes:
        plain: whether they can be read so: images of bytes, in numpy's own order.
        report: what was understood, known once `inspected`.
    """

    def __init__(self, path: Path, wanted: Format) -> None:
        """Look what there is.

        Raises:
            UserError: there is nothing that can be images.
            OSError: or another of `npz.DAMAGE`: the file is damaged.
        """
        self._path, self.wanted = path, wanted
        self.kept = f"in {path}"
        self.report = Report()
        self._lock = threading.Lock()
        self._archive: zipfile.ZipFile | None = None
        self._stream: IO[bytes] | None = None
        self._next = 0
        self._shape = torch.Size((0, 0, 0, 0))
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            is_archive = isinstance(archive, np.lib.npyio.NpzFile)
            usual = is_archive and {"images", "points"} & {name.lower() for name in archive.files}
            names, held_out = choose_arrays(archive, "train", path) if usual else ({}, "")
            self.plain = "images" in names and not held_out and wanted.value_range is None
            if not self.plain:
                return
            layout = str(archive[names["layout"]]) if "layout" in names else ""
            self._member = f"{names['images']}.npy"
            self._unused = unused(archive.files, used=names.values())
        with zipfile.ZipFile(path) as opened, opened.open(self._member) as stream:
            self._whole, fortran, dtype = read_header(stream)
        flat = len(self._whole) == 3
        claimed = np.broadcast_to(np.uint8(0), (*self._whole, 1) if flat else self._whole)
        self.plain = not fortran and dtype == np.uint8 and claimed.ndim == 4 and claimed.size > 0
        if not self.plain:
            return
        brought, self._guess = (claimed, []) if flat else with_channels_last(claimed, layout)
        self._channels_first = brought is not claimed
        channels = brought.shape[3]
        self.plain = channels in MODES or (wanted.channels is None and channels <= MAX_CHANNELS)
        if self.plain:
            one = fit_array(np.zeros((1, *brought.shape[1:]), np.uint8), wanted)
            self._size = (int(brought.shape[1]), int(brought.shape[2]))
            self._shape = torch.Size((len(brought), *one.shape[1:]))

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def inspected(self) -> ImageStore:
        """Look at every image once.

        Raises:
            UserError: the file is damaged.
        """
        darkest, brightest, passing = 255, 0, Passing(self)
        for start in range(0, len(self), BATCH):
            images = passing.seen(self[start : start + BATCH])
            darkest = min(darkest, int(images.min()))
            brightest = max(brightest, int(images.max()))
        passing.done()
        warning = few_levels(len(self), brightest, brightest - darkest + 1, "")
        self.report = report_of_arrays(self._size, len(self), self.wanted).with_more(
            left_out=self._unused, warnings=[*self._guess, *([warning] if warning else [])]
        )
        return self

    def take(self, rows: Tensor) -> Tensor:
        """Read some images, in the order in which they lie, and give them in that asked for."""
        each = int(np.prod(self._whole[1:]))
        ordered, back = torch.unique(rows, return_inverse=True)
        content = bytearray()
        try:
            with self._lock:
                for row in ordered.tolist():
                    image = self._at(row, each).read(each)
                    self._next = row + 1
                    if len(image) < each:
                        raise EOFError(f"it ends within image {row:,} of {len(self):,}")
                    content += image
        except NPZ_DAMAGE as error:
            raise UserError(f"{self._path} is damaged: {error}. {DAMAGED}") from None
        images = np.frombuffer(content, np.uint8).reshape(len(ordered), *self._whole[1:])
        if images.ndim == 3:
            images = images[..., np.newaxis]
        elif self._channels_first:
            images = images.transpose(0, 2, 3, 1)
        return torch.from_numpy(fit_array(images, self.wanted))[back]

    def _at(self, row: int, each: int) -> IO[bytes]:
        """The file at an image."""
        if self._stream is None or row < self._next:
            if self._archive is not None:
                self._archive.close()
            self._archive = zipfile.ZipFile(self._path)
            self._stream = self._archive.open(self._member)
            read_header(self._stream)
            self._next = 0
        left = (row - self._next) * each
        while left > 0:
            if not (skipped := len(self._stream.read(min(left, 2**20)))):
                break  # whoever reads finds the end
            left -= skipped
        return self._stream


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read what an array says of itself: its shape, whether columns come first, and its type."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"an array of version {version}")
    return read(stream)


class Drawn(ImageStore):
    """Samples of a run, made as they are asked for, a block at a time."""

    kept = "by the run"

    def __init__(self, sampler: Sampler, shape: Sequence[int]) -> None:
        self._sampler = sampler
        self._shape = torch.Size((sampler.count, *shape))
        self._lock = threading.Lock()
        self._block = -1
        self._images = torch.empty(0)

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def take(self, rows: Tensor) -> Tensor:
        """Make the blocks that images are in; the last one is remembered."""
        images = torch.empty(len(rows), *self._shape[1:], dtype=torch.uint8)
        blocks = rows // CHUNK
        with self._lock:
            for block in torch.unique(blocks).tolist():
                if block != self._block:
                    start = block * CHUNK
                    pieces = self._sampler.pieces(start, min(start + CHUNK, len(self)))
                    self._images = torch.cat([to_tensor(piece.samples) for piece in pieces])
                    self._block = block
                there = blocks == block
                images[there] = self._images[rows[there] - block * CHUNK]
        return images


def open_store(path: Path, wanted: Format) -> tuple[ImageStore, Report] | None:
    """Open images to be read as they are evaluated.

    Returns:
        The images, and what was understood; None of what is small enough to be loaded, and of what
        cannot be read so.

    Raises:
        UserError: there are such images, and they cannot be used.
    """
    if wanted.all_frames:
        return None
    if path.suffix.lower() == TABLE and path.is_file():
        store: Encoded = Tables(path, [path], wanted)
        return store.inspected(), store.report
    reader = find_reader(path)
    if reader is None:
        return None
    try:
        if reader.load is load_npz and path.suffix.lower() == ".npz":
            archive = Archived(path, wanted)
            large = archive.plain and archive.shape.numel() > LOADED_BYTES
            return (archive.inspected(), archive.report) if large else None
        if reader.load is not load_folder:
            return None
        if shards := find_shards(path):
            kind = Tables if shards[0].suffix.lower() == TABLE else Tars
            store = kind(path, shards, wanted)
            if not store.num_files():
                raise UserError(f"The shards in '{path}' hold no images.")
            return store.inspected(), store.report
        found = image_names(path)
    except UserError:  # a ValueError too
        raise
    except NPZ_DAMAGE:  # which loading tells
        return None
    if found is None:
        return None
    names, others = found
    files = Files(path, names, wanted)
    size = files.largest_of(range(min(BATCH, len(names))))
    if size * len(names) <= LOADED_BYTES:
        return None
    return files.inspected(others), files.report


def find_shards(folder: Path) -> list[Path]:
    """Find the shards that a folder holds and nothing else of images: tars, or tables.

    Raises:
        UserError: it holds both.
        OSError: it cannot be listed.
    """
    shards: dict[str, list[str]] = {TAR: [], TABLE: []}
    with os.scandir(folder) as entries:
        for entry in entries:
            suffix = Path(entry.name).suffix.lower()
            if is_hidden(entry.name):
                continue
            if is_image(entry.name) or entry.is_dir():
                return []
            if suffix in shards:
                shards[suffix].append(entry.name)
    if all(shards.values()):
        raise UserError(
            f"'{folder}' holds both tars and tables of Parquet. Give a folder of one of them."
        )
    names = shards[TAR] or shards[TABLE]
    return [folder / name for name in sorted(names, key=natural_key)]
