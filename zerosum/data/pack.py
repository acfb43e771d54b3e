"""A folder of images to shards, which can be read from far away and without being in memory.

What an image is, its class and its split are as `load_folder` has them. Files that need no change
are kept byte for byte; others are resized and stored as they then are, without compression, since
every epoch decodes them anew. They are shuffled once, here: a shard is a fair sample of all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from zerosum.data.arrays import Pixels
from zerosum.data.cache_entries import locked
from zerosum.data.checked_files import whole_lines
from zerosum.data.decode import (
    MODES,
    Decoded,
    Format,
    OwnSheet,
    Undecodable,
    read_image,
    size_mismatch,
)
from zerosum.data.folder import list_files, read_file, stamp_of
from zerosum.data.gather import find_frames, find_range, require_range_read
from zerosum.data.inventory import read_label_file, take_stock
from zerosum.data.labels import label_files
from zerosum.data.names import natural_key, printable
from zerosum.data.progress import progress
from zerosum.data.shards import CLASS, INDEX, File, Index, Shard, SplitShards
from zerosum.data.splits import choose_split, split_of
from zerosum.errors import UserError, and_more
from zerosum.files import WRITING, flush_folder, write_whole
from zerosum.hardware import processor_share

SHARD_BYTES = 256 * 2**20
"""Of pixels in a shard, at most: files that were compressed take a tenth of it."""
SHARD_IMAGES = 8192
"""Images in a shard, at most."""
JOURNAL, LOCK = ".packing.jsonl", ".packing.lock"
HEIF = (".heic", ".heif")
"""Files that only machines with another package could decode."""
EXAMPLES = 3
"""Of the files that were left out, whose names are kept of each shard."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What was packed, to be told.

    Attributes:
        index: of the shards.
        skipped: how many files were left out, because they cannot be decoded or are samples.
        examples: some of them, "file: reason".
    """

    index: Index
    skipped: int
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What goes into one shard: files by their names, and the classes that they are of."""

    split: str
    file: str
    names: tuple[str, ...]
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Stored:
    """An image as it lies in a shard."""

    content: bytes
    suffix: str
    channels: int
    deep: bool  # whether it had more than 8 bits


@dataclass(frozen=True, kw_only=True)
class Done:
    """A shard that is written, as a line of the journal says."""

    shard: Shard
    labels: tuple[int, ...]
    channels: int
    deep: bool  # whether images of more than 8 bits were among them
    num_skipped: int
    examples: tuple[str, ...]

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Done:
        """Read a line of the journal."""
        return cls(
            shard=Shard(**line["shard"]),
            labels=tuple(line["labels"]),
            channels=line["channels"],
            deep=line["deep"],
            num_skipped=line["num_skipped"],
            examples=tuple(line["examples"]),
        )


def pack(folder: Path, out: Path, wanted: Format, *, strict: bool = False) -> Packed:
    """Write the images of a folder as shards; where this was broken off, go on.

    Args:
        folder: holds them, maybe in folders of splits and of classes.
        out: a folder that is empty or not there, or where the same was begun.
        wanted: the shape to bring them to; without a size all must be of one.
        strict: whether a file that cannot be decoded is an error.

    Raises:
        UserError: there is something else in `out`, it cannot be written, or the images are not
            what `load_folder` could read.
    """
    with storage(out):
        require_room_in(out)
    if out.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"'{out}' lies in '{folder}', whose images it would be counted among. Choose another "
            "folder with --out."
        )
    packer = Packer(folder, wanted, strict=strict)
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        with locked(out / LOCK, waiting="Another process packs into it. Waiting for it."):
            require_room_in(out)  # another process may have come first
            return packer.into(out)


@contextmanager
def storage(out: Path) -> Iterator[None]:
    """Turn what the disk refuses inside into one message."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Could not write shards to '{out}': {error.strerror or error}. Make room and give the "
            "same command again, which goes on where it was; or choose another place with --out."
        ) from error


def require_room_in(out: Path) -> None:
    """Refuse a folder where shards would replace something, or lie among something else.

    Raises:
        UserError: it is such a folder.
    """
    if (out / INDEX).exists():
        raise UserError(
            f"There are shards in '{out}' already, and they are never overwritten. Choose another "
            "folder with --out, or remove this one."
        )
    if not out.exists() or (out / JOURNAL).exists():
        return
    if not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir()):
        raise UserError(
            f"'{out}' is {'not empty' if out.is_dir() else 'a file'}: shards want a folder of "
            "their own. Choose another with --out."
        )


class Packer:
    """Knows a folder's images, and writes them shard by shard."""

    def __init__(self, folder: Path, wanted: Format, *, strict: bool) -> None:
        """Look at the names of all files, and decode the first one.

        Raises:
            UserError: as `load_folder`.
        """
        self.folder = folder
        self.strict = strict
        self.frames: dict[str, tuple[str, int]] = {}  # the file that a frame is in, and which
        files = list_files(folder)
        inventory = take_stock(files, self.read, source=folder)
        to_train = choose_split(inventory.images, "train", source=folder)
        if wanted.value_range == "auto":
            wanted = replace(wanted, value_range=find_range(to_train.names, self.read))
        self.wanted = wanted
        self.classes: dict[str, tuple[str, ...]] = {}
        known: tuple[str, ...] = ()
        names_of: dict[str, tuple[list[str], Mapping[str, int]]] = {}
        folders = set()
        for kind in ("train", "val", "test"):
            chosen = choose_split(inventory.images, kind)
            if chosen.folder in folders:  # it serves for two, or there are no splits
                continue
            folders.add(chosen.folder)
            told = read_label_file(inventory.companions, self.read, chosen.names, inventory.images)
            labelling = label_files(chosen.names, told, known=known)
            names = [name for name in chosen.names if name not in set(labelling.strays)]
            if wanted.all_frames:
                frames = find_frames(names, self.read)
                self.frames |= frames
                names = list(frames)
            split = split_of(PurePosixPath(chosen.folder).name) or "train"
            names_of[split] = sorted(names, key=natural_key), labelling.labels
            self.classes[split] = labelling.classes
            known = known or labelling.classes
        self.first, self.size, channels = self.look(names_of["train"][0])
        share = SHARD_BYTES // (channels * self.size[0] * self.size[1])
        most = max(1, min(SHARD_IMAGES, share))
        self.parts = [
            part
            for split, (names, labels) in names_of.items()
            for part in parts_of(split, names, labels, most=most)
        ]

    def read(self, name: str) -> bytes:
        """Read a file, or the file that a frame is in.

        Raises:
            Undecodable: it cannot be read.
        """
        return read_file(self.folder / self.file_of(name))

    def file_of(self, name: str) -> str:
        """The file that a frame is in; of all else the name is the file's."""
        return self.frames[name][0] if name in self.frames else name

    def decode(self, name: str, content: bytes) -> Decoded:
        """Decode an image to the wanted shape.

        Raises:
            Undecodable: it cannot be.
        """
        return read_image(content, self.wanted, frame=self.frames.get(name, ("", 0))[1])

    def look(self, names: Sequence[str]) -> tuple[str, tuple[int, int], int]:
        """The first image that can be decoded, its size (height, width), and its channels."""
        reasons = []
        with warnings.catch_warnings(action="ignore"):
            for name in names:
                try:
                    pixels = self.decode(name, self.read(name)).pixels
                except Undecodable as problem:
                    reasons.append(f"{printable(name)}: {printable(str(problem))}")
                    continue
                height, width, channels = pixels.shape
                return name, (height, width), channels
        raise UserError(
            f"None of the {len(names):,} images in {self.folder} can be decoded: "
            f"{and_more(reasons)}."
        )

    @property
    def key(self) -> str:
        """Names all that decides what the shards hold: a folder that has changed is another."""
        digest = hashlib.sha256(repr((asdict(self.wanted), self.strict)).encode())
        for part in self.parts:
            for name in part.names:
                stamp = stamp_of(self.folder / self.file_of(name))
                digest.update(json.dumps([part.file, name, stamp]).encode())
        return digest.hexdigest()

    def into(self, out: Path) -> Packed:
        """Write all shards that are not there, and then the index.

        Raises:
            UserError: something else was begun there; and as `pack`.
            OSError: it cannot be written.
        """
        key = self.key
        journal = out / JOURNAL
        lines = whole_lines(journal)
        if lines and lines[0].get("key") != key:
            raise UserError(
                f"In '{out}' other shards were begun: of other images, files that have changed "
                "since, or with other settings. Choose another folder with --out, or remove it."
            )
        done = {line["shard"]["file"]: Done.from_json(line) for line in lines[1:]}
        done = {
            file: shard
            for file, shard in done.items()
            if (out / file).exists() and (out / file).stat().st_size == shard.shard.bytes
        }
        for abandoned in out.glob(f".*{WRITING}"):
            abandoned.unlink()
        kept = [json.dumps(each) for each in ({"key": key}, *map(asdict, done.values()))]
        write_whole(journal, "".join(f"{line}\n" for line in kept), durable=True)
        total = sum(len(part.names) for part in self.parts)
        with journal.open("a") as notes, progress("Packing images", total) as advance:
            for part in self.parts:
                if part.file in done:
                    advance(len(part.names))
                    continue
                written = self.write(part, out, advance)
                done[part.file] = written
                notes.write(json.dumps(asdict(written)) + "\n")
                notes.flush()
                os.fsync(notes.fileno())
        packed = self.finish(done, out)
        journal.unlink()
        (out / LOCK).unlink()
        return packed

    def write(self, part: Part, out: Path, advance: Callable[[int], None]) -> Done:
        """Write one shard, whole or not at all.

        Raises:
            UserError: an image is of another size; or cannot be decoded, and strict forbids.
            OSError: it cannot be written.
        """
        temporary = out / f".{part.file}{WRITING}"
        try:
            done = self.write_to(temporary, part, advance)
            temporary.replace(out / part.file)
        finally:
            temporary.unlink(missing_ok=True)
        flush_folder(out)
        return done

    def write_to(self, temporary: Path, part: Part, advance: Callable[[int], None]) -> Done:
        """Write one shard to a file of another name."""
        labels: list[int] = []
        skipped: list[str] = []
        channels, deep = 1, False
        stem = part.file.removesuffix(".tar")
        with (
            temporary.open("wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for name, stored in self.stored(part.names):
                advance(1)
                if isinstance(stored, str):
                    skipped.append(f"{printable(name)}: {stored}")
                    continue
                key = f"{stem}-{len(labels):06d}"
                add(tar, key + stored.suffix, stored.content)
                label = part.labels.get(self.file_of(name), 0)
                if part.labels:
                    add(tar, key + CLASS, str(label).encode())
                labels.append(label)
                channels, deep = max(channels, stored.channels), deep or stored.deep
            tar.close()
            file.flush()
            os.fsync(file.fileno())
        if self.strict and skipped:
            raise UserError(
                f"{len(skipped)} images in {self.folder} cannot be decoded: {and_more(skipped)}."
            )
        return Done(
            shard=Shard(images=len(labels), **asdict(facts_of(temporary, part.file))),
            labels=tuple(labels) if part.labels else (),
            channels=channels,
            deep=deep,
            num_skipped=len(skipped),
            examples=tuple(skipped[:EXAMPLES]),
        )

    def stored(self, names: Sequence[str]) -> Iterator[tuple[str, Stored | str]]:
        """Each file with what is stored of it, or why nothing is."""
        num_threads = processor_share()
        pending: deque[tuple[str, Future[Stored]]] = deque()

        def settle() -> tuple[str, Stored | str]:
            name, future = pending.popleft()
            try:
                return name, future.result()
            except Undecodable as problem:
                return name, printable(str(problem))

        # As in gather: the filter is global to the process, so it is set around all threads.
        with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(num_threads) as pool:
            try:
                for name in names:
                    pending.append((name, pool.submit(self.store, name)))
                    if len(pending) > 2 * num_threads:
                        yield settle()
                while pending:
                    yield settle()
            finally:
                pool.shutdown(cancel_futures=True)

    def store(self, name: str) -> Stored:
        """Decode a file, and choose what is stored of it.

        Raises:
            Undecodable: there is no image in it.
            UserError: it is of another size.
        """
        content = self.read(name)
        decoded = self.decode(name, content)
        pixels = decoded.pixels
        if pixels.shape[:2] != self.size:
            raise size_mismatch(self.first, self.size, name, pixels.shape[:2])
        if decoded.is_sample:
            raise OwnSheet("a sample that zerosum made, and no data")
        untouched = decoded.size == self.size and not decoded.changes and decoded.values is None
        suffix = PurePosixPath(name).suffix.lower()
        if not untouched or name in self.frames or suffix in HEIF:
            content, suffix = plain(pixels)
        return Stored(content, suffix, pixels.shape[2], decoded.values is not None)

    def finish(self, done: Mapping[str, Done], out: Path) -> Packed:
        """Write the labels and the index."""
        deep = any(part.deep for part in done.values())
        require_range_read(self.wanted, "more than 8 bits" * deep, self.folder)
        splits = {}
        for split, classes in self.classes.items():
            parts = [done[part.file] for part in self.parts if part.split == split]
            parts = [part for part in parts if part.shard.images]
            if not parts:
                raise UserError(
                    f"None of the images of the split '{split}' in {self.folder} can be used: "
                    f"{and_more([example for part in done.values() for example in part.examples])}."
                )
            labels = None
            if classes:
                found = np.array([label for part in parts for label in part.labels], np.int32)
                file = f"{split}-labels.npy"
                content = io.BytesIO()
                np.save(content, found)
                write_whole(out / file, content.getvalue(), durable=True)
                labels = facts_of(out / file, file)
            splits[split] = SplitShards(
                shards=tuple(part.shard for part in parts), classes=classes, labels=labels
            )
        channels = self.wanted.channels or max(part.channels for part in done.values())
        index = Index(shape=(channels, *self.size), splits=splits)
        write_whole(out / INDEX, index.to_json(), durable=True)
        flush_folder(out)
        examples = [example for part in done.values() for example in part.examples]
        return Packed(
            index=index,
            skipped=sum(part.num_skipped for part in done.values()),
            examples=tuple(examples),
        )


def parts_of(
    split: str, names: Sequence[str], labels: Mapping[str, int], *, most: int
) -> Iterator[Part]:
    """Deal the files of a split out to shards of equal size, shuffled, the same at every try."""
    shuffled = [names[row] for row in np.random.default_rng(0).permutation(len(names))]
    count = -(-len(names) // most)
    edges = [len(names) * number // count for number in range(count + 1)]
    for number in range(count):
        part = tuple(shuffled[edges[number] : edges[number + 1]])
        yield Part(split=split, file=f"{split}-{number:05d}.tar", names=part, labels=labels)


def plain(pixels: Pixels) -> tuple[bytes, str]:
    """Store pixels (h, w, c) so that they are decoded in no time; and the suffix of that."""
    channels = pixels.shape[2]
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels, MODES[channels])
    kind, suffix = {1: ("PPM", ".pgm"), 3: ("PPM", ".ppm"), 4: ("PNG", ".png")}[channels]
    content = io.BytesIO()
    image.save(content, format=kind)
    return content.getvalue(), suffix


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member that says nothing of when, where and by whom it was made."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def facts_of(path: Path, name: str) -> File:
    """What the index says of a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(file=name, bytes=path.stat().st_size, sha256=sha256)
