"""Images to translate between: two domains, A and B, stacked in one `ImageSet`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from zerosum.data.arrays import Pixels
from zerosum.data.catalog import DATASETS
from zerosum.data.decode import SUFFIXES, Format, decode, fit_array
from zerosum.data.domains import EXPECTED, find_domains, find_root
from zerosum.data.folder import list_files, read_file
from zerosum.data.gather import (
    Decoder,
    Gathered,
    gather_pixels,
    is_image,
    natural_key,
    printable,
    size_mismatch,
)
from zerosum.data.images import ImageSet, safe_name
from zerosum.data.matching import match_folders
from zerosum.data.named_pairs import load_named_pairs
from zerosum.errors import UserError
from zerosum.hardware import memory_bytes, require_memory

Direction = Literal["AtoB", "BtoA"]


def load_pairs(
    source: str | Path,
    *,
    split: str,
    size: tuple[int, int] | None,
    channels: int | None,
    direction: Direction,
    matched: bool = True,
    strict: bool = False,
) -> ImageSet:
    """Load images of two domains, each source with a target stacked on its channels.

    The folder has one of these layouts:

    - Images that each hold A in their left half and B in their right one, in it and in its
      subfolders. Each is cut at the middle of its width.
    - Two folders, `A/` and `B/`. Matched, an image of A belongs to that of B with the same path
      inside its folder but for the suffix; images without a partner are left out and noted. Not
      matched, names mean nothing: there are as many pairs as images in the larger domain, and
      those of the smaller one repeat in turn.

    Either may have splits, `train/` and one of `val/`, `valid/`, `validation/` and `test/`: around
    the two folders (`train/A/`), inside them (`A/train/`), or as part of their names (`trainA/`,
    as CycleGAN's authors have it). "val" takes test/ where there is nothing else, and "test" the
    others. Without splits "train" takes all images, and where none are held out "val" and "test"
    are the training set itself: `has_validation` tells.

    Or it is the name of a data set that is made to translate between, `mnist-edges` or
    `mnist-colors`.

    Args:
        source: the folder, or the name.
        split: "train", "val" or "test".
        size: (height, width) of a source and of a target, each cropped and resized by itself, once
            cut; None when all are of one size.
        channels: of a source and of a target: 1 gray, 3 RGB, 4 RGBA; None takes 1 for a domain
            whose images are all gray, else 3.
        direction: "AtoB" makes A the source and B the target, "BtoA" the other way round.
        matched: whether a source and its target belong together.
        strict: whether a file that cannot be decoded is an error, and not skipped and noted. With
            a skipped file its partner is left out.

    Returns:
        Images (n, source channels + target channels, h, w), in the natural order of their names.

    Raises:
        UserError: there is no such folder, it has none of the layouts, an image to cut is of odd
            width, sizes differ while none is wanted, no pair is left, or strict forbids.
    """
    if str(source) in DATASETS and DATASETS[str(source)].domains:
        return load_named_pairs(
            str(source),
            split=split,
            wanted=Format(size=size, channels=channels),
            reverse=direction == "BtoA",
            matched=matched,
        )
    root = find_root(source)
    reader = PairReader(root=root, wanted=Format(size=size, channels=channels), strict=strict)
    step = {"AtoB": 1, "BtoA": -1}[direction]  # through A and B, so that the source comes first
    folders = find_domains(root, split)[::step]
    if len(folders) == 1:
        pairs = _cut(reader, folders[0], step=step, matched=matched)
    else:
        pairs = (_match if matched else _cycle)(reader, *folders)
    return ImageSet(
        images=torch.from_numpy(pairs.images),
        labels=None,
        classes=(),
        name=safe_name(root),
        skipped=pairs.skipped,
        source_channels=pairs.source_channels,
        matched=matched,
    )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Both sides of one split, the target's channels behind the source's."""

    images: Pixels  # (n, c, h, w)
    source_channels: int
    skipped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PairReader:
    """Reads files of one source; their names are relative to its root."""

    root: Path
    wanted: Format
    strict: bool

    def name(self, path: Path) -> str:
        """A file's name in messages and lists."""
        return path.relative_to(self.root).as_posix()

    def list_images(self, folder: Path) -> list[str]:
        """List a folder's images, in natural order.

        Raises:
            UserError: there are none.
        """
        files = [file for file in list_files(folder) if is_image(file)]
        if not files:
            raise UserError(
                f"{folder} holds no images: expected files ending in {' '.join(SUFFIXES)}. "
                f"{EXPECTED}"
            )
        return sorted((self.name(folder / file) for file in files), key=natural_key)

    def gather(self, names: list[str], folder: Path, decoder: Decoder | None = None) -> Gathered:
        """Decode files of a folder, each to one image unless a decoder says otherwise."""
        return gather_pixels(
            names,
            lambda name: read_file(self.root / name),
            decoder or self._decode,
            source=folder,
            wanted=self.wanted,
            strict=self.strict,
        )

    def _decode(self, _name: str, content: bytes) -> Pixels:
        return decode(content, self.wanted).transpose(2, 0, 1)[np.newaxis]


def _cut(reader: PairReader, folder: Path, *, step: int, matched: bool) -> Pairs:
    """Load images that hold A and B side by side.

    Raises:
        UserError: they are not to be matched, and all lie in folders inside: these are two domains,
            rather, by other names than A and B.
    """
    names = reader.list_images(folder)
    if not matched and all((reader.root / name).parent != folder for name in names):
        raise UserError(
            f"The images of {folder} lie in folders inside it, such as {printable(names[0])}. "
            f"{EXPECTED}"
        )

    def decode_halves(name: str, content: bytes) -> Pixels:
        whole = decode(content, Format(channels=reader.wanted.channels))
        width = whole.shape[1]
        if width % 2:
            raise UserError(
                f"{printable(name)} in {reader.root} is {width} pixels wide, which has no middle "
                f"to cut at. {EXPECTED}"
            )
        halves = [whole[:, : width // 2], whole[:, width // 2 :]]
        return fit_array(np.stack(halves[::step]), reader.wanted)

    found = reader.gather(names, folder, decode_halves)
    return Pairs(
        images=found.images, source_channels=found.images.shape[1] // 2, skipped=found.skipped
    )


def _match(reader: PairReader, source: Path, target: Path) -> Pairs:
    """Load sources and the targets that go by the same names."""
    match = match_folders(source, target)
    names = [(reader.name(one), reader.name(other)) for one, other in match.pairs]
    sources = reader.gather([one for one, _ in names], source)
    targets = reader.gather([other for _, other in names], target)
    source_rows = {name: row for row, name in enumerate(sources.names)}
    target_rows = {name: row for row, name in enumerate(targets.names)}
    rows = [
        (source_rows[one], target_rows[other])
        for one, other in names
        if one in source_rows and other in target_rows
    ]
    skipped = (*sources.skipped, *targets.skipped)
    if not rows:
        raise UserError(
            f"No pair of images in {source} and {target} is left: of each one cannot be decoded, "
            f"such as {skipped[0]}."
        )
    alone = (
        f"{printable(reader.name(path))}: no partner in "
        f"{reader.name(target if path.is_relative_to(source) else source)}"
        for path in match.alone
    )
    return _stack(sources, targets, rows, skipped=(*skipped, *alone))


def _cycle(reader: PairReader, source: Path, target: Path) -> Pairs:
    """Load sources and targets that have nothing to do with one another."""
    sources = reader.gather(reader.list_images(source), source)
    targets = reader.gather(reader.list_images(target), target)
    num_sources, num_targets = len(sources.names), len(targets.names)
    rows = [(row % num_sources, row % num_targets) for row in range(max(num_sources, num_targets))]
    return _stack(sources, targets, rows, skipped=(*sources.skipped, *targets.skipped))


def _stack(
    sources: Gathered,
    targets: Gathered,
    rows: Sequence[tuple[int, int]],
    *,
    skipped: tuple[str, ...],
) -> Pairs:
    """Stack targets on sources, by pairs of their rows."""
    size, target_size = sources.images.shape[2:], targets.images.shape[2:]
    if size != target_size:
        raise size_mismatch(sources.names[0], size, targets.names[0], target_size)
    num_pairs = len(rows)
    source_channels = sources.images.shape[1]
    shape = (num_pairs, source_channels + targets.images.shape[1], *size)
    require_memory(
        math.prod(shape) + sources.images.size + targets.images.size,  # both copies, for a moment
        memory=memory_bytes(),
        what=f"{num_pairs:,} pairs of images of {size[0]}×{size[1]} pixels",
    )
    images = np.empty(shape, np.uint8)
    for pair, (source_row, target_row) in enumerate(rows):
        images[pair, :source_channels] = sources.images[source_row]
        images[pair, source_channels:] = targets.images[target_row]
    return Pairs(images=images, source_channels=source_channels, skipped=skipped)
