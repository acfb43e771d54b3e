"""Sets in shards: what their index says, and how one shard is read.

A set is a folder, here or behind an address: tars in the layout of WebDataset (`KEY.jpg` beside
`KEY.cls`), a file of labels for each split, and `index.json`, written last, which names them with
their counts, sizes and sha256. Whoever wrote them may be a stranger: nothing that the index claims
is used before it is checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerosum.data.decode import MODES
from zerosum.data.names import printable
from zerosum.data.npz_members import open_arrays
from zerosum.data.splits import ORDER
from zerosum.errors import UserError
from zerosum.reading import open_file, parse_json

INDEX = "index.json"
FORMAT = "zerosum shards"
VERSION = 1
MAX_INDEX_BYTES = 64 * 2**20  # some 300,000 shards
MAX_SIDE = 2**16
CLASS = ".cls"
"""How the members of a shard end that hold the number of a class, for other readers of it."""
SHA256 = re.compile(r"[0-9a-f]{64}")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""Files lie beside the index: a name with a folder in it would lead elsewhere."""
BLOCK = tarfile.BLOCKSIZE


class Damaged(Exception):
    """A shard is not what the index says; the message is why, in a few words."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a set, and what it must be.

    Attributes:
        file: its name.
        bytes: its size.
        sha256: of all of it, in hexadecimal digits.
    """

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Shard(File):
    """A tar of images.

    Attributes:
        images: how many.
    """

    images: int


@dataclass(frozen=True, kw_only=True)
class SplitShards:
    """The images of one split.

    Attributes:
        shards: the tars, in the order of their rows.
        classes: their names, () where there are no labels.
        labels: the class of each image, int32 in an .npy; None where there are no labels.
    """

    shards: tuple[Shard, ...]
    classes: tuple[str, ...] = ()
    labels: File | None = None

    def __len__(self) -> int:
        return sum(shard.images for shard in self.shards)


@dataclass(frozen=True, kw_only=True)
class Index:
    """What index.json says.

    Attributes:
        shape: (c, h, w) of every image.
        splits: "train", and "val" and "test" where there are such.
    """

    shape: tuple[int, int, int]
    splits: Mapping[str, SplitShards]

    def to_json(self) -> bytes:
        """Write it, as `read_index` reads it."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(content, indent=1).encode() + b"\n"

    def chosen(self, split: str) -> str:
        """The split that serves where one is asked for, as with folders of splits."""
        return next((each for each in ORDER[split] if each in self.splits), "train")

    def fingerprint(self, split: str) -> str:
        """A sha256 that stands for the pixels of a split: of the checksums of its shards."""
        sums = [shard.sha256 for shard in self.splits[split].shards]
        return hashlib.sha256(json.dumps([self.shape, sums]).encode()).hexdigest()


def read_index(content: bytes, source: object) -> Index:
    """Read an index.json.

    Raises:
        UserError: it is none, of a newer version, or claims what cannot be.
    """
    try:
        found = parse_json(content)
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r:.40}")
        if found["version"] != VERSION:
            raise UserError(
                f"The index of '{source}' is of version {found['version']!r:.20}, and this zerosum "
                f"reads {VERSION}. Update zerosum, or pack the images again."
            )
        channels, height, width = map(whole, found["shape"])
        if channels not in MODES or max(height, width) > MAX_SIDE:
            raise ValueError(f"images of the shape {found['shape']!r:.40}")
        splits = {name: read_split(about) for name, about in found["splits"].items()}
        if "train" not in splits or not splits.keys() <= ORDER.keys():
            raise ValueError(f"its splits are {', '.join(map(printable, splits))}")
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else printable(str(error))
        raise UserError(
            f"'{source}' has no {INDEX} of shards that can be read: {reason}. Expected what "
            "`zerosum data pack` has written. Copy it again, or pack the images again."
        ) from None
    return Index(shape=(channels, height, width), splits=splits)


def read_split(about: Mapping[str, Any]) -> SplitShards:
    """Read what an index says of one split.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it claims what cannot be.
    """
    shards = tuple(
        Shard(images=whole(entry["images"]), **read_file_entry(entry)) for entry in about["shards"]
    )
    if not shards:
        raise ValueError("a split without shards")
    labels = about["labels"]
    return SplitShards(
        shards=shards,
        classes=tuple(printable(str(name)) for name in about["classes"]),
        labels=None if labels is None else File(**read_file_entry(labels)),
    )


def read_file_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Read what an index says of a file.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it claims what cannot be.
    """
    file, sha256 = entry["file"], entry["sha256"]
    if not FILE.fullmatch(file):
        raise ValueError(f"a file of the name {file!r:.60}")
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"a sha256 of {sha256!r:.80}")
    return {"file": file, "bytes": whole(entry["bytes"]), "sha256": sha256}


def whole(value: object) -> int:
    """Take a number that counts something, at least 1.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**62:
        raise ValueError(f"{value!r:.40} where a number was expected")
    return value


def read_labels(content: bytes, about: SplitShards) -> NDArray[np.int64]:
    """Read the class of each image of a split.

    Raises:
        Damaged: they are not what the index says.
    """
    assert about.labels is not None
    if hashlib.sha256(content).hexdigest() != about.labels.sha256:
        raise Damaged("its sha256 is another than the index says")
    try:
        found = np.asarray(open_arrays(io.BytesIO(content)))
    except (ValueError, OSError, MemoryError) as error:
        raise Damaged(str(error)) from None
    if found.shape != (len(about),) or found.dtype.kind != "i":
        raise Damaged(f"it holds {found.dtype} of shape {found.shape}, expected ({len(about)},)")
    if found.min() < 0 or found.max() >= len(about.classes):
        raise Damaged(f"it has labels that are none of the {len(about.classes)} classes")
    labels: NDArray[np.int64] = found.astype(np.int64)
    return labels


def verify(path: Path, about: File) -> None:
    """Hold a file against what the index says of it.

    Raises:
        Damaged: it is another.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size != about.bytes:
        raise Damaged(f"it has {size:,} bytes, and the index says {about.bytes:,}")
    with open_file(path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != about.sha256:
            raise Damaged("its sha256 is another than the index says")


def find_members(path: Path, num_images: int) -> NDArray[np.int64]:
    """Find the images in a shard.

    Args:
        path: the tar, as `zerosum data pack` writes it.
        num_images: how many there must be.

    Returns:
        Where each begins and how long it is, int64 (n, 2), in the order of their rows.

    Raises:
        Damaged: it is no such tar.
        OSError: it cannot be read.
    """
    # Not tarfile: it takes ten times as long, for what such files do not have.
    with open_file(path) as file:
        found = [place for name, *place in walk(file) if not name.endswith(CLASS.encode())]
    if len(found) != num_images:
        raise Damaged(f"it holds {len(found):,} images, and the index says {num_images:,}")
    return np.array(found, np.int64)


def walk(file: io.BufferedReader) -> Iterator[tuple[bytes, int, int]]:
    """The name, the place and the length of each member of a plain tar.

    Raises:
        Damaged: it is none.
    """
    place = 0
    while True:
        file.seek(place)
        header = file.read(BLOCK)
        if header == bytes(BLOCK):
            return
        if len(header) < BLOCK or header[156:157] not in (b"0", b"\0"):
            raise Damaged(f"there is no member of a plain tar at byte {place:,}")
        try:
            digits = header[124:136].strip(b"\0 ")
            if not digits.isdigit():  # with a sign in front, the walk would go back, without end
                raise ValueError
            length = int(digits, 8)
        except ValueError:
            raise Damaged(f"the member at byte {place:,} has no length") from None
        yield header[:100].rstrip(b"\0"), place + BLOCK, length
        place += BLOCK + -(-length // BLOCK) * BLOCK


def rows_of(shards: Sequence[Shard]) -> NDArray[np.int64]:
    """The first row of each shard, and behind the last one the number of all, int64 (s + 1,)."""
    return np.cumsum([0, *(shard.images for shard in shards)], dtype=np.int64)
