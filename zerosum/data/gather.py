"""Many image files to one `ImageSet`: what folders and archives share.

Order, classes and what is skipped follow from the files' names and contents alone, so that a
folder and an archive of it give the same set. Each image goes into its final place as soon as it
is decoded, in memory or on disk: full-size photographs are never held but for the few being
decoded.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from zerosum.data.cache import DiskCanvas
from zerosum.data.canvas import Canvas, DoesNotFit
from zerosum.data.decode import (
    Decoded,
    Format,
    OwnSheet,
    Undecodable,
    num_frames,
    read_image,
    values_in,
)
from zerosum.data.images import ImageSet, safe_name
from zerosum.data.inventory import read_label_file, take_stock
from zerosum.data.labels import label_files
from zerosum.data.names import natural_key, printable
from zerosum.data.outcome import Outcome
from zerosum.data.progress import progress
from zerosum.data.report import Note, Report, Size, Tally, few_levels, values_in_words
from zerosum.data.splits import choose_split
from zerosum.data.store import Images, subset
from zerosum.errors import UserError, and_more
from zerosum.hardware import memory_bytes, processor_share, require_memory

MAX_THREADS = 16  # photographs keep so many busy; of 256×256 Python's own lock lets about 4 work
MAX_FILE_BYTES = 256 * 2**20  # more than an uncompressed image of the largest safe pixel count
Stamp = Callable[[str], str]
"""A file's name -> what changes whenever the file does, such as its size and time."""
Decoder = Callable[[str, bytes, Format], Decoded]
"""A file's name, its content and the shape to bring it to -> the k images in it, their pixels
(k, c, h, w), or `Undecodable` is raised. Called in threads. Every file of a source has the same k;
c may be 1 for some, which become RGB."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What could be decoded of a source's files, in their names' natural order."""

    images: Images  # (n, k * c, h, w): the k images of a file stacked on the channels
    names: tuple[str, ...]  # of the n files
    content: tuple[bytes, ...]  # a hash of each file
    sizes: Mapping[str, Size]  # of each before it was brought to its shape
    skipped: tuple[str, ...]  # "file: reason" for all others
    report: Report


def gather(
    files: Iterable[str],
    read: Callable[[str], bytes],
    *,
    source: Path,
    split: str,
    wanted: Format,
    strict: bool,
    stamp: Stamp | None = None,
) -> ImageSet:
    """Decode all image files of a source's split, skipping and noting what cannot be decoded.

    Args:
        files: names relative to the source, with "/" between folders, in the order in which they
            are cheapest to read. Hidden files, such without an image's suffix and what lies in run
            directories are left out.
        read: gives a file's content, or raises `Undecodable`. Called from this thread only.
        source: the folder or archive, for the set's name and for messages.
        split: which one, see `choose_split`.
        wanted: the shape to bring the images to.
        strict: whether a file that cannot be decoded is an error.
        stamp: see `gather_pixels`.

    Raises:
        UserError: there is no image, sizes differ while none is wanted, or strict forbids.
    """
    inventory = take_stock(files, read, source=source)
    chosen = choose_split(inventory.images, split, source=source)
    told = read_label_file(inventory.companions, read, chosen.names, inventory.images)
    known: tuple[str, ...] = ()
    to_train = chosen.names
    if chosen.folder and split != "train":
        to_train = choose_split(inventory.images, "train").names
        known = label_files(to_train).classes
    if wanted.value_range == "auto":  # of what is trained on, for every split
        wanted = replace(wanted, value_range=find_range(to_train, read))
    astray = label_files(chosen.names, told, known=known).strays
    names = [name for name in chosen.names if name not in set(astray)]
    frames = find_frames(names, read) if wanted.all_frames else {}

    def read_file_of(name: str) -> bytes:
        return read(frames[name][0] if name in frames else name)

    def decode_one(name: str, content: bytes, wanted: Format) -> Decoded:
        frame = frames[name][1] if name in frames else 0
        return one_image(read_image(content, wanted, frame=frame))

    found = gather_pixels(
        list(frames) or names,
        read_file_of,
        decode_one,
        source=source,
        wanted=wanted,
        strict=strict,
        stamp=stamp and (lambda name: stamp(frames[name][0] if name in frames else name)),
    )
    require_range_read(wanted, found.report.values, source)
    files_of = [frames[name][0] if name in frames else name for name in found.names]
    labelling = label_files(list(dict.fromkeys(files_of)), told, known=known)
    strays = set(labelling.strays)
    rows = [row for row, name in enumerate(files_of) if name not in strays]
    labels = [labelling.labels[files_of[row]] for row in rows] if labelling.classes else []
    beside = [
        Note(what=what, count=len(names), example=printable(min(names, key=natural_key)))
        for what, names in (
            ("images without a class", (*astray, *labelling.strays)),
            ("images beside the folders of the splits", chosen.beside),
        )
        if names
    ]
    return ImageSet(
        images=subset(found.images, torch.tensor(rows)) if strays else found.images,
        content=tuple(found.content[row] for row in rows),
        labels=torch.tensor(labels) if labelling.classes else None,
        classes=labelling.classes,
        name=safe_name(source),
        skipped=found.skipped,
        report=found.report.with_more(
            origin=printable(f"{source}/{chosen.folder}".rstrip("/")),
            held_out=printable(f"{source}/{chosen.held_out}") if chosen.held_out else "",
            left_out=(*beside, *inventory.left_out),
            warnings=[labelling.warning] if labelling.warning else [],
        ),
    )


def one_image(decoded: Decoded) -> Decoded:
    """Give a file's only image the form that a `Decoder` gives: (1, c, h, w)."""
    return replace(decoded, pixels=decoded.pixels.transpose(2, 0, 1)[np.newaxis])


def find_frames(names: Sequence[str], read: Callable[[str], bytes]) -> dict[str, tuple[str, int]]:
    """List every frame of every file, by a name of its own: the file's, and from which frame."""
    found: dict[str, tuple[str, int]] = {}
    for name in names:
        count = 1  # of what is damaged, too, which is noted when it is decoded
        with suppress(Undecodable), warnings.catch_warnings(action="ignore"):
            count = num_frames(read(name))
        found |= {f"{name}#{frame}": (name, frame) for frame in range(count)}
    return found


def require_range_read(wanted: Format, values: str, source: object) -> None:
    """Refuse a range of values where there are none that it could be of.

    Raises:
        UserError: it would change nothing.
    """
    if wanted.value_range is not None and not values:
        raise UserError(
            f"--range would change nothing: it is read for gray images of more than 8 bits, and "
            f"{source} holds none. Leave it out."
        )


def gather_pixels(
    names: Sequence[str],
    read: Callable[[str], bytes],
    decode: Decoder,
    *,
    source: Path,
    wanted: Format,
    strict: bool,
    stamp: Stamp | None = None,
    kind: str = "",
) -> Gathered:
    """Decode files, at least one and all of them images by name, to one array, or to the disk.

    See `gather` for the other arguments and for what is raised.

    Args:
        names: of the files.
        read: gives a file's content.
        decode: brings a file's content to the wanted shape.
        source: the folder or archive.
        wanted: the shape, and where they are kept.
        strict: whether a file that cannot be decoded is an error.
        stamp: what tells whether a file has changed; without, nothing can be kept on disk.
        kind: names the decoder, for the cache on disk, where a source has several.
    """
    ordered = sorted(names, key=natural_key)
    onto = partial(_gather_onto, names, read, decode, source=source, wanted=wanted, strict=strict)
    if wanted.tier != "disk":
        may_spill = wanted.tier == "auto" and stamp is not None and DiskCanvas.possible()
        try:
            return onto(Canvas(ordered, wanted, may_spill=may_spill))
        except DoesNotFit:
            pass
    if stamp is None or not DiskCanvas.possible():
        raise no_disk_tier(source)
    if wanted.size is not None:  # however many there are, a few are in memory at a time
        (height, width), held = wanted.size, 2 * processor_share()
        require_memory(
            held * (wanted.channels or 1) * height * width,
            memory=memory_bytes(),
            what=f"Decoding {held} images of {height}×{width} pixels at a time",
        )
    stamped = partial(_stamps, ordered, stamp)
    with DiskCanvas(ordered, source=source, stamp=stamped, wanted=wanted, kind=kind) as canvas:
        return onto(canvas)


def _stamps(names: Sequence[str], stamp: Stamp) -> list[tuple[str, str]]:
    return [(name, stamp(name)) for name in names]


def no_disk_tier(source: object) -> UserError:
    """Build the error for images that cannot be kept on disk."""
    return UserError(
        f"--data-tier disk is for folders and archives of image files, on Linux and macOS; "
        f"'{source}' is read as a whole. Leave it out."
    )


def _gather_onto(
    names: Sequence[str],
    read: Callable[[str], bytes],
    decode: Decoder,
    canvas: Canvas | DiskCanvas,
    *,
    source: Path,
    wanted: Format,
    strict: bool,
) -> Gathered:
    """Decode files onto a canvas, and say what came of them."""
    facts = Facts()
    for outcome in canvas.known():
        facts.take(outcome)
    new = [name for name in names if name not in facts.names]
    _fill(canvas, new, read=read, decode=decode, wanted=wanted, facts=facts)
    skipped = tuple(
        f"{printable(name)}: {facts.reasons[name]}"
        for name in canvas.names
        if name in facts.reasons
    )
    if skipped and (strict or len(skipped) == len(names)):
        raise UserError(
            f"{len(skipped)} of the {len(names)} images in {source} cannot be decoded: "
            f"{and_more(skipped)}."
        )
    lacking, samples = {**facts.reasons, **facts.sheets.names()}, facts.samples.names()
    kept = [slot for slot, name in enumerate(canvas.names) if name not in {**lacking, **samples}]
    if samples and not kept:  # a folder of nothing else is meant, to be evaluated
        kept = [slot for slot, name in enumerate(canvas.names) if name not in lacking]
        facts.samples = Tally()
    if not kept:
        raise UserError(
            f"The {len(names)} images in {source} are pictures of samples that zerosum made, such "
            f"as {printable(names[0])}, and no data."
        )
    images = canvas.keep(kept)
    used = {canvas.names[slot] for slot in kept}
    report = facts.report(images.shape, canvas.levels, wanted, used)
    if skipped:
        unusable = Note(what="files that cannot be decoded", count=len(skipped), example=skipped[0])
        report = report.with_more(left_out=[unusable])
    return Gathered(
        images=images,
        names=tuple(canvas.names[slot] for slot in kept),
        content=tuple(facts.content[canvas.names[slot]] for slot in kept),
        sizes=facts.sizes,
        skipped=skipped,
        report=report,
    )


def find_range(names: Sequence[str], read: Callable[[str], bytes]) -> tuple[float, float] | None:
    """Find the lowest and the highest value of all images that have more than 8 bits."""
    found = []
    for name in names:
        # What is damaged is skipped, and noted, when it is decoded.
        with suppress(Undecodable), warnings.catch_warnings(action="ignore"):
            found.append(values_in(read(name)))
    values = [each for each in found if each is not None]
    if not values:
        return None
    return min(low for low, _, _ in values), max(high for _, high, _ in values)


@dataclass
class Facts:
    """What is known of decoded files, taken one by one."""

    names: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    samples: Tally = field(default_factory=Tally)
    of_eight_bits: int = 0
    changes: Tally = field(default_factory=Tally)
    sheets: Tally = field(default_factory=Tally)
    values: list[tuple[float, float, float]] = field(default_factory=list)

    def take(self, outcome: Outcome) -> None:
        """Take those of one more file."""
        name, decoded = outcome.name, outcome.decoded
        self.names.add(name)
        if outcome.content:
            self.content[name] = outcome.content
        if decoded is None and outcome.reason:
            self.reasons[name] = outcome.reason
        elif decoded is None:
            self.sheets.add("pictures of samples that zerosum made", name)
        else:
            self.sizes[name] = decoded.size
            self.of_eight_bits += decoded.values is None
            if decoded.is_sample:
                self.samples.add("samples that zerosum made", name)
            for change in decoded.changes:
                self.changes.add(change, name)
            if decoded.values is not None:
                self.values.append(decoded.values)

    def report(
        self,
        shape: Sequence[int],
        levels: tuple[int, int],
        wanted: Format,
        used: Collection[str],
    ) -> Report:
        """Say what is known of those that are used, of the pixels that they have become too.

        Args:
            shape: of the images, (n, c, h, w).
            levels: their lowest and their highest value.
            wanted: the shape that they were brought to.
            used: the names of their files.
        """
        sizes = sorted(
            {self.sizes[name] for name in used}, key=lambda size: (size[0] * size[1], size)
        )
        values = ""
        if self.values:
            lowest = min(low for low, _, _ in self.values)
            highest = max(high for _, high, _ in self.values)
            most = max(most for _, _, most in self.values)
            values = values_in_words(
                lowest, highest, most, wanted.value_range, of_eight_bits=self.of_eight_bits
            )
        lowest_level, brightest = levels
        warning = few_levels(shape[0], brightest, brightest - lowest_level + 1, values)
        as_they_are = [(shape[2], shape[3])] == sizes
        return Report(
            sizes=() if as_they_are else tuple(dict.fromkeys((sizes[0], sizes[-1]))),
            values=values,
            changed=self.changes.notes(used),
            left_out=(*self.sheets.notes(), *self.samples.notes()),
            warnings=(warning,) if warning else (),
        )


def _fill(
    canvas: Canvas | DiskCanvas,
    names: Sequence[str],
    *,
    read: Callable[[str], bytes],
    decode: Decoder,
    wanted: Format,
    facts: Facts,
) -> None:
    """Decode every file onto the canvas, noting what came of it."""
    pending: deque[Future[tuple[Outcome, str | None]]] = deque()

    def work(name: str, content: bytes) -> tuple[Outcome, str | None]:
        digest = hashlib.sha256(content).digest()[:8]
        try:
            decoded = decode(name, content, wanted)
        except OwnSheet:
            return Outcome(name=name, content=digest, decoded=None), None
        except Undecodable as problem:
            reason = printable(str(problem))
            return Outcome(name=name, content=digest, decoded=None, reason=reason), None
        written = canvas.write(name, decoded.pixels)
        return Outcome(name=name, content=digest, decoded=decoded), written

    def settle(outcome: Outcome, written: str | None) -> None:
        canvas.put(outcome, written)
        facts.take(outcome)
        advance(1)

    num_threads = _num_threads()
    # Pillow's warnings are either about damage, which the reasons tell, or of no concern. The
    # filter is global to the process, so it is set here, once, around all threads.
    with (
        warnings.catch_warnings(action="ignore"),
        progress("Decoding images", len(names)) as advance,
        ThreadPoolExecutor(num_threads) as pool,
    ):
        try:
            for name in names:
                try:
                    content = read(name)
                except Undecodable as problem:
                    reason = printable(str(problem))
                    settle(Outcome(name=name, content=b"", decoded=None, reason=reason), None)
                    continue
                pending.append(pool.submit(work, name, content))
                if len(pending) > num_threads:
                    settle(*pending.popleft().result())
            while pending:
                settle(*pending.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)


def _num_threads() -> int:
    """Count the threads worth decoding on; more than the CPUs granted to us would be slower."""
    return min(MAX_THREADS, processor_share())
