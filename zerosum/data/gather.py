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
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from zerosum.arrays import Pixels
from zerosum.data.decode import SUFFIXES, Format, Undecodable, decode
from zerosum.data.images import ImageSet, safe_name
from zerosum.errors import UserError
from zerosum.memory import insist_on_memory, memory_bytes

MAX_THREADS = 4  # beyond it Python's own lock leaves little to gain
MAX_FILE_BYTES = 256 * 2**20  # more than an uncompressed image of the largest safe pixel count
NUM_EXAMPLES = 3  # of undecodable files in an error's message


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
    if wanted.size is not None:
        # Before the first one is decoded: a single image of that size may be too much.
        _insist_on_memory(len(names), wanted.channels or 1, *wanted.size)
    canvas = _Canvas(sorted(names, key=natural_key))
    reasons = _fill(canvas, names, read=read, wanted=wanted)
    skipped = tuple(
        f"{printable(name)}: {reasons[name]}" for name in canvas.names if name in reasons
    )
    if skipped and (strict or len(skipped) == len(names)):
        more = f"; and {len(skipped) - NUM_EXAMPLES} more" * (len(skipped) > NUM_EXAMPLES)
        raise UserError(
            f"{len(skipped)} of the {len(names)} images in {source} cannot be decoded: "
            f"{'; '.join(skipped[:NUM_EXAMPLES])}{more}."
        )
    classes, labels = find_classes(canvas.names)
    kept = [slot for slot, name in enumerate(canvas.names) if name not in reasons]
    return ImageSet(
        images=torch.from_numpy(canvas.keep(kept)),
        labels=torch.tensor([labels[slot] for slot in kept]) if classes else None,
        classes=classes,
        name=safe_name(source),
        skipped=skipped,
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
    canvas: _Canvas, names: Sequence[str], *, read: Callable[[str], bytes], wanted: Format
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
            pending.append((name, pool.submit(decode, content, wanted)))
            if len(pending) > num_threads:
                settle_oldest()
        while pending:
            settle_oldest()
    return reasons


def _num_threads() -> int:
    """Count the threads worth decoding on; more than the CPUs granted to us would be slower."""
    granted = getattr(os, "sched_getaffinity", None)  # Linux only
    return min(MAX_THREADS, len(granted(0)) if granted else os.cpu_count() or 1)


class _Canvas:
    """The final array (n, c, h, w), filled in any order, whose shape the first images decide."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._slots = {name: slot for slot, name in enumerate(names)}
        self._pixels: Pixels | None = None
        self._first = ""  # the image that decided the size

    def put(self, name: str, image: Pixels) -> None:
        """Take one image (h, w, c); the first colour image turns all gray ones into RGB."""
        height, width, channels = image.shape
        if self._pixels is None:
            self._first = name
            self._pixels = _allocate(len(self.names), channels, height, width)
        elif self._pixels.shape[2:] != (height, width):
            raise self._size_mismatch(name, height, width)
        if self._pixels.shape[1] < channels:
            gray = self._pixels
            self._pixels = _allocate(len(gray), channels, height, width)
            self._pixels[:] = gray
        self._pixels[self._slots[name]] = image.transpose(2, 0, 1)

    def keep(self, slots: list[int]) -> Pixels:
        """Close the gaps, in place, and return the images of the slots, which must ascend."""
        assert self._pixels is not None
        for target, slot in enumerate(slots):
            if target != slot:
                self._pixels[target] = self._pixels[slot]
        return self._pixels[: len(slots)]

    def _size_mismatch(self, name: str, height: int, width: int) -> UserError:
        assert self._pixels is not None
        first_height, first_width = self._pixels.shape[2:]
        return UserError(
            "The images differ in size (height×width): "
            f"{printable(self._first)} is {first_height}×{first_width}, "
            f"{printable(name)} is {height}×{width}. Choose one size for all with --size N."
        )


def _allocate(num_images: int, channels: int, height: int, width: int) -> Pixels:
    _insist_on_memory(num_images, channels, height, width)
    return np.empty((num_images, channels, height, width), np.uint8)


def _insist_on_memory(num_images: int, channels: int, height: int, width: int) -> None:
    insist_on_memory(
        num_images * channels * height * width,
        memory=memory_bytes(),
        what=f"{num_images:,} images of {height}×{width} pixels",
    )
