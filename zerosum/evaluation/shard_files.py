"""Images in tars and in tables of Parquet, read as they are evaluated."""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zerosum.data.archive import DAMAGE
from zerosum.data.decode import (
    Format,
    Undecodable,
)
from zerosum.data.gather import MAX_FILE_BYTES
from zerosum.data.names import is_hidden, is_image, natural_key, printable
from zerosum.errors import UserError, and_more
from zerosum.evaluation.encoded import DAMAGED, Encoded
from zerosum.inference.sample_forms import require_parquet

TABLE, TAR = ".parquet", ".tar"


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
