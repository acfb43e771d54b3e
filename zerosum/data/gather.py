"""Many image files to one `ImageSet`: what folders and archives share.

Order, classes and what is skipped follow from the files' names and contents alone, so that a
folder and an archive of it give the same set. Each image goes into the final array as soon as it
is decoded: full-size photographs are never held but for the few being decoded.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from zerosum.data.arrays import Pixels
from zerosum.data.decode import SUFFIXES, Format, Undecodable, decode
from zerosum.data.images import ImageSet, safe_name
from zerosum.errors import UserError, and_more
from zerosum.hardware import memory_bytes, require_memory

MAX_THREADS = 4  # beyond it Python's own lock leaves little to gain
MAX_FILE_BYTES = 256 * 2**20  # more than an uncompressed image of the largest safe pixel count

Decoder = Callable[[str, bytes], Pixels]
"""A file's name and content -> the k images in it, (k, c, h, w), or `Undecodable` is raised. Called
in threads. Every file of a source has the same k; c may be 1 for some, which become RGB."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What could be decoded of a source's files, in their names' natural order."""

    images: Pixels  # (n, k * c, h, w): the k images of a file stacked on the channels
    names: tuple[str, ...]  # of the n files
    skipped: tuple[str, ...]  # "file: reason" for all others


def gather(
    files: Iterable[str],
    read: Callable[[str], bytes],
    *,
    source: Path,
    wanted: Format,
    strict: bool,
) -> ImageSet:
    """Decode all image files of a source, skipping and noting what cannot be decoded.

    Args:
        files: names relative to the source, with "/" between folders, in the order in which they
            are cheapest to read. Hidden files and such without an image's suffix are ignored.
        read: gives a file's content, or raises `Undecodable`. Called from this thread only.
        source: the folder or archive, for the set's name and for messages.
        wanted: the shape to bring the images to.
        strict: whether a file that cannot be decoded is an error.

    Raises:
        UserError: there is no image, sizes differ while none is wanted, or strict forbids.
    """
    names = [name for name in files if is_image(name)]
    if not names:
        raise UserError(f"{source} holds no images: expected files ending in {' '.join(SUFFIXES)}.")

    def decode_one(_name: str, content: bytes) -> Pixels:
        return decode(content, wanted).transpose(2, 0, 1)[np.newaxis]

    found = gather_pixels(names, read, decode_one, source=source, wanted=wanted, strict=strict)
    ordered = sorted(names, key=natural_key)
    classes, labels = find_classes(ordered)
    label_of = dict(zip(ordered, labels, strict=False))  # no labels when there are no classes
    return ImageSet(
        images=torch.from_numpy(found.images),
        labels=torch.tensor([label_of[name] for name in found.names]) if classes else None,
        classes=classes,
        name=safe_name(source),
        skipped=found.skipped,
    )


def gather_pixels(
    names: Sequence[str],
    read: Callable[[str], bytes],
    decode: Decoder,
    *,
    source: Path,
    wanted: Format,
    strict: bool,
) -> Gathered:
    """Decode files, at least one and all of them images by name, into one array.

    See `gather` for the arguments and for what is raised; `decode` brings to the wanted shape.
    """
    if wanted.size is not None:
        # Before the first one is decoded: a single image of that size may be too much.
        _require_memory(len(names), wanted.channels or 1, *wanted.size)
    canvas = Canvas(sorted(names, key=natural_key))
    reasons = _fill(canvas, names, read=read, decode=decode)
    skipped = tuple(
        f"{printable(name)}: {reasons[name]}" for name in canvas.names if name in reasons
    )
    if skipped and (strict or len(skipped) == len(names)):
        raise UserError(
            f"{len(skipped)} of the {len(names)} images in {source} cannot be decoded: "
            f"{and_more(skipped)}."
        )
    kept = [slot for slot, name in enumerate(canvas.names) if name not in reasons]
    return Gathered(
        images=canvas.keep(kept), names=tuple(canvas.names[slot] for slot in kept), skipped=skipped
    )


def find_classes(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Read classes off the folders that files lie in.

    Folders that all files share say nothing and are dropped; the first folder after them is the
    class, however deep a file lies in it. A file outside any class leaves the whole set
    unlabelled: half a labelling cannot be trained on.

    Returns:
        The classes in natural order and each file's index into them; both empty when unlabelled.
    """
    folders = [PurePosixPath(name).parent.parts for name in names]
    num_shared = 0
    for level in zip(*folders, strict=False):  # no deeper than the shallowest file
        if len(set(level)) > 1:
            break
        num_shared += 1
    if any(len(folder) == num_shared for folder in folders):
        return (), []
    tops = [folder[num_shared] for folder in folders]
    classes = sorted(set(tops), key=natural_key)
    index = {name: label for label, name in enumerate(classes)}
    return tuple(map(printable, classes)), [index[top] for top in tops]


def natural_key(name: str) -> tuple[str, str]:
    """Sort key that puts "2.png" before "10.png"."""
    return re.sub(r"\d+", lambda digits: digits.group().zfill(20), name), name


def printable(name: str) -> str:
    """Escape what a file name from a stranger could do to a terminal or to a JSON file."""
    return name if name.isprintable() else ascii(name)[1:-1]


def is_image(name: str) -> bool:
    """Whether a file's name, with "/" between folders, is an image's and not a hidden one's."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _fill(
    canvas: Canvas, names: Sequence[str], *, read: Callable[[str], bytes], decode: Decoder
) -> dict[str, str]:
    """Decode every file onto the canvas; return the reasons of those that cannot be."""
    reasons: dict[str, str] = {}
    pending: deque[tuple[str, Future[Pixels]]] = deque()

    def settle_oldest() -> None:
        name, decoded = pending.popleft()
        try:
            canvas.put(name, decoded.result())
        except Undecodable as problem:
            reasons[name] = printable(str(problem))

    num_threads = _num_threads()
    # Pillow's warnings are either about damage, which the reasons tell, or of no concern. The
    # filter is global to the process, so it is set here, once, around all threads.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(num_threads) as pool:
        for name in names:
            try:
                content = read(name)
            except Undecodable as problem:
                reasons[name] = printable(str(problem))
                continue
            pending.append((name, pool.submit(decode, name, content)))
            if len(pending) > num_threads:
                settle_oldest()
        while pending:
            settle_oldest()
    return reasons


def _num_threads() -> int:
    """Count the threads worth decoding on; more than the CPUs granted to us would be slower."""
    granted = getattr(os, "sched_getaffinity", None)  # Linux only
    return min(MAX_THREADS, len(granted(0)) if granted else os.cpu_count() or 1)


class Canvas:
    """The final array (n, k, c, h, w), filled in any order, whose shape the first images decide."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._slots = {name: slot for slot, name in enumerate(names)}
        self._pixels: Pixels | None = None
        self._first = ""  # the image that decided the size

    def put(self, name: str, images: Pixels) -> None:
        """Take a file's images (k, c, h, w); the first colour turns all gray ones into RGB."""
        if self._pixels is None:
            self._first = name
            self._pixels = _allocate(len(self.names), *images.shape)
        elif self._pixels.shape[3:] != images.shape[2:]:
            raise size_mismatch(self._first, self._pixels.shape[3:], name, images.shape[2:])
        if self._pixels.shape[2] < images.shape[1]:
            gray = self._pixels
            self._pixels = _allocate(len(gray), *images.shape)
            self._pixels[:] = gray
        self._pixels[self._slots[name]] = images

    def keep(self, slots: list[int]) -> Pixels:
        """Close the gaps, in place; return the slots', which must ascend, as (n, k * c, h, w)."""
        assert self._pixels is not None
        for target, slot in enumerate(slots):
            if target != slot:
                self._pixels[target] = self._pixels[slot]
        return self._pixels[: len(slots)].reshape(len(slots), -1, *self._pixels.shape[3:])


def size_mismatch(one: str, size: Sequence[int], two: str, other: Sequence[int]) -> UserError:
    """Build the error for two files, one and two, whose images differ in (height, width)."""
    return UserError(
        f"The images differ in size (height×width): {printable(one)} is {size[0]}×{size[1]}, "
        f"{printable(two)} is {other[0]}×{other[1]}. Choose one size for all with --size N."
    )


def _allocate(num_images: int, num_stacked: int, channels: int, height: int, width: int) -> Pixels:
    _require_memory(num_images, num_stacked * channels, height, width)
    return np.empty((num_images, num_stacked, channels, height, width), np.uint8)


def _require_memory(num_images: int, channels: int, height: int, width: int) -> None:
    require_memory(
        num_images * channels * height * width,
        memory=memory_bytes(),
        what=f"{num_images:,} images of {height}×{width} pixels",
    )
