"""Images to translate between: two domains, A and B, stacked in one `ImageSet`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zerosum.config.specs import Fit, Tier
from zerosum.data.catalog import DATASETS
from zerosum.data.decode import (
    Decoded,
    Format,
    described,
    fit_array,
    read_image,
    size_mismatch,
)
from zerosum.data.domains import EXPECTED, find_domains, find_root, held_out_folders
from zerosum.data.folder import list_files, read_file, stamp_of
from zerosum.data.gather import (
    Decoder,
    Gathered,
    find_range,
    gather_pixels,
    no_disk_tier,
    one_image,
    require_range_read,
)
from zerosum.data.holdout import held_out_of, rows_held_out, splits_already
from zerosum.data.images import ImageSet, safe_name
from zerosum.data.inventory import Inventory, take_stock
from zerosum.data.matching import match_folders
from zerosum.data.named_pairs import load_named_pairs
from zerosum.data.names import natural_key, printable
from zerosum.data.report import Note, Report, ValueRange
from zerosum.data.store import Images, Stacked, in_memory, subset
from zerosum.errors import UserError, and_more
from zerosum.hardware import memory_bytes, require_memory

Direction = Literal["AtoB", "BtoA"]


def load_pairs(
    source: str | Path,
    *,
    split: str,
    size: tuple[int, int] | None,
    channels: int | None,
    direction: Direction,
    fit: Fit = "crop",
    value_range: ValueRange | None = None,
    matched: bool = True,
    hold_out: float = 0,
    strict: bool = False,
    tier: Tier = "auto",
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
        size: (height, width) of a source and of a target, to which each is brought by itself, once
            cut; None when all are of one size.
        channels: of a source and of a target: 1 gray, 3 RGB, 4 RGBA; None takes 1 for a domain
            whose images are all gray, else 3.
        fit: how images of another aspect get that size, see `Format`.
        value_range: what is black and white in images of more than 8 bits, see `Format`.
        hold_out: the share of images without splits that is kept from "train" and is "val" and
            "test", chosen by their content; of unmatched ones, of each domain.
        direction: "AtoB" makes A the source and B the target, "BtoA" the other way round.
        matched: whether a source and its target belong together.
        strict: whether a file that cannot be decoded is an error, and not skipped and noted. With
            a skipped file its partner is left out.
        tier: where the images are kept, see `zerosum.data.load`.

    Returns:
        Images (n, source channels + target channels, h, w), in the natural order of their names.

    Raises:
        UserError: there is no such folder, it has none of the layouts, an image to cut is of odd
            width, sizes differ while none is wanted, no pair is left, or strict forbids.
    """
    wanted = Format(size=size, channels=channels, fit=fit, value_range=value_range, tier=tier)
    if str(source) in DATASETS and DATASETS[str(source)].domains:
        if hold_out:
            raise splits_already(source)
        if tier == "disk":
            raise no_disk_tier(source)
        return load_named_pairs(
            str(source),
            split=split,
            wanted=wanted,
            reverse=direction == "BtoA",
            matched=matched,
        )
    root = find_root(source)
    if hold_out and held_out_folders(root):
        raise splits_already(root)
    reader = PairReader(root=root, wanted=wanted, strict=strict)
    step = {"AtoB": 1, "BtoA": -1}[direction]  # through A and B, so that the source comes first
    folders = find_domains(root, split)[::step]
    if value_range == "auto":
        to_train = find_domains(root, "train")[::step]
        reader = replace(reader, to_train=dict(zip(folders, to_train, strict=True)))
    if len(folders) == 1:
        pairs = _cut(reader, folders[0], step=step, matched=matched)
    elif matched:
        pairs = _match(reader, *folders)
    else:
        pairs = _cycle(reader, *folders, split=split, hold_out=hold_out)
    require_range_read(wanted, pairs.report.values, root)
    loaded = ImageSet(
        images=pairs.images,
        labels=None,
        classes=(),
        name=safe_name(root),
        skipped=pairs.skipped,
        content=pairs.content,
        report=pairs.report.with_more(
            origin=" and ".join(printable(str(folder)) for folder in folders),
            held_out=pairs.report.held_out
            or " and ".join(printable(str(folder)) for folder in held_out_folders(root)),
        ),
        source_channels=pairs.source_channels,
        matched=matched,
    )
    by_pair = hold_out and (matched or len(folders) == 1)
    return held_out_of(loaded, split=split, share=hold_out) if by_pair else loaded


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Both sides of one split, the target's channels behind the source's."""

    images: Images  # (n, c, h, w)
    source_channels: int
    skipped: tuple[str, ...]
    report: Report
    content: tuple[bytes, ...]  # a hash of the files of each


@dataclass(frozen=True, kw_only=True)
class PairReader:
    """Reads files of one source; their names are relative to its root."""

    root: Path
    wanted: Format
    strict: bool
    to_train: Mapping[Path, Path] = field(default_factory=dict)  # by folders of another split

    def name(self, path: Path) -> str:
        """A file's name in messages and lists."""
        return path.relative_to(self.root).as_posix()

    def list_images(self, folder: Path) -> list[str]:
        """List a folder's images, in natural order.

        Raises:
            UserError: there are none.
        """
        found = self.take_stock(folder)
        return sorted((self.name(folder / file) for file in found.images), key=natural_key)

    def take_stock(self, folder: Path) -> Inventory:
        """Tell a folder's images from all else in it.

        Raises:
            UserError: there are none.
        """
        try:
            return take_stock(
                list_files(folder), lambda name: read_file(folder / name), source=folder
            )
        except UserError as error:
            raise UserError(f"{error} {EXPECTED}") from None

    def gather(
        self, names: list[str], folder: Path, decoder: Decoder | None = None, kind: str = ""
    ) -> Gathered:
        """Decode files of a folder, each to one image unless a decoder says otherwise.

        Args:
            names: of the files.
            folder: where they lie, for messages and the range of values.
            decoder: brings a file to the wanted shape.
            kind: names the decoder, for the cache on disk.
        """
        return gather_pixels(
            names,
            lambda name: read_file(self.root / name),
            decoder or (lambda name, content, wanted: one_image(read_image(content, wanted))),
            source=folder,
            wanted=self.with_range_of(folder),
            strict=self.strict,
            stamp=lambda name: stamp_of(self.root / name),
            kind=kind,
        )

    def with_range_of(self, folder: Path) -> Format:
        """The wanted shape, with the values of a folder's images in the place of `--range auto`."""
        if self.wanted.value_range != "auto":
            return self.wanted
        names = self.list_images(self.to_train.get(folder, folder))
        found = find_range(names, lambda name: read_file(self.root / name))
        return replace(self.wanted, value_range=found)


def _cut(reader: PairReader, folder: Path, *, step: int, matched: bool) -> Pairs:
    """Load images that hold A and B side by side.

    Raises:
        UserError: they are not to be matched, and all lie in folders inside: these are two domains,
            rather, by other names than A and B.
    """
    inventory = reader.take_stock(folder)
    names = reader.list_images(folder)
    inside = {PurePosixPath(name).parts[0] for name in inventory.images if "/" in name}
    all_inside = all("/" in name for name in inventory.images)
    paired = all_inside and len(inside) == 2 and are_alike(inventory.images)
    if all_inside and (not matched or paired):
        folders = and_more([printable(name) for name in sorted(inside, key=natural_key)])
        raise UserError(
            f"The images of {folder} lie in folders inside it: {folders}. {EXPECTED} If these are "
            "the two domains, call them A and B."
        )

    def decode_halves(name: str, content: bytes, wanted: Format) -> Decoded:
        decoded = read_image(content, replace(wanted, size=None))
        whole = decoded.pixels
        height, width = whole.shape[:2]
        if width % 2:
            raise UserError(
                f"{printable(name)} in {reader.root} is {width} pixels wide, which has no middle "
                f"to cut at. {EXPECTED}"
            )
        halves = np.stack([whole[:, : width // 2], whole[:, width // 2 :]][::step])
        changes = (*decoded.changes, *described((height, width // 2), wanted))
        return replace(decoded, pixels=fit_array(halves, wanted), changes=changes)

    found = reader.gather(names, folder, decode_halves, kind=f"halves, {step}")
    sizes = [found.sizes[name] for name in found.names]
    odd = [name for name in found.names if found.sizes[name][1] != 2 * found.sizes[name][0]]
    if odd and not matched:
        height, width = found.sizes[odd[0]]
        raise UserError(
            f"{folder} is one folder of images such as {printable(odd[0])}, {height}×{width}, and "
            "two domains were expected: two folders of images, called A and B, of any number. "
            "(Images twice as wide as high would be taken for A and B side by side.)"
        )
    (height, width), _ = Counter(sizes).most_common(1)[0]
    several = len(set(sizes)) > 1
    cut = Note(
        what=f"cut into A and B of {height}×{width // 2}" + " or another size" * several,
        count=len(sizes),
        example=printable(found.names[0]),
    )
    warnings = []
    if odd or several:
        height, width = found.sizes[odd[0] if odd else found.names[0]]
        warnings.append(
            f"{len(odd) or len(sizes):,} of the {len(sizes):,} images, such as "
            f"{printable(odd[0] if odd else found.names[0])} of {height}×{width}, "
            + ("are not twice as wide as high" if odd else "differ in size")
            + ", as A and B side by side usually are. If these are single photographs, they are no "
            f"pairs. {EXPECTED}"
        )
    return Pairs(
        images=found.images,
        source_channels=found.images.shape[1] // 2,
        skipped=found.skipped,
        report=found.report.with_more(
            changed=[cut], warnings=warnings, left_out=inventory.left_out
        ),
        content=found.content,
    )


def are_alike(names: Sequence[str]) -> bool:
    """Whether the images of two folders go by the same names, at least half of them."""
    inside = [str(PurePosixPath(*PurePosixPath(name).with_suffix("").parts[1:])) for name in names]
    twice = sum(count > 1 for count in Counter(inside).values())
    return 2 * twice >= len(set(inside))


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
    require_one_aspect(reader, sources, targets, rows)
    skipped = (*sources.skipped, *targets.skipped)
    if not rows:
        raise UserError(
            f"No pair of images in {source} and {target} is left: of each one cannot be decoded, "
            f"such as {skipped[0]}."
        )
    alone = [
        f"{printable(reader.name(path))}: no partner in "
        f"{reader.name(target if path.is_relative_to(source) else source)}"
        for path in match.alone
    ]
    pairs = _stack(sources, targets, rows, skipped=(*skipped, *alone), tier=reader.wanted.tier)
    if alone:
        lone = Note(what="images without a partner", count=len(alone), example=alone[0])
        pairs = replace(pairs, report=pairs.report.with_more(left_out=[lone]))
    return pairs


def require_one_aspect(
    reader: PairReader, sources: Gathered, targets: Gathered, rows: Sequence[tuple[int, int]]
) -> None:
    """Refuse to crop the two images of a pair to different parts of what they show.

    Raises:
        UserError: a source and its target differ in aspect by more than a hundredth.
    """
    differing = []
    for one, other in ((sources.names[a], targets.names[b]) for a, b in rows):
        (h, w), (height, width) = sources.sizes[one], targets.sizes[other]
        if abs(h * width - w * height) > 0.01 * w * height:
            differing.append(f"{printable(one)} is {h}×{w}, its partner {height}×{width}")
    if differing and reader.wanted.fit != "squash":
        raise UserError(
            f"The images of {len(differing):,} of the {len(rows):,} pairs differ in aspect, and "
            f"would no longer lie on one another: {and_more(differing, shown=2)}. Cut them alike, "
            "or stretch them to one another with --fit squash."
        )


def _cycle(reader: PairReader, source: Path, target: Path, *, split: str, hold_out: float) -> Pairs:
    """Load sources and targets that have nothing to do with one another."""
    sources = _side(reader, source, split=split, hold_out=hold_out)
    targets = _side(reader, target, split=split, hold_out=hold_out)
    num_sources, num_targets = len(sources.names), len(targets.names)
    rows = [(row % num_sources, row % num_targets) for row in range(max(num_sources, num_targets))]
    skipped = (*sources.skipped, *targets.skipped)
    pairs = _stack(sources, targets, rows, skipped=skipped, tier=reader.wanted.tier)
    if num_sources == num_targets:
        return pairs
    fewer = min((num_sources, source), (num_targets, target))
    repeated = f"{fewer[0]:,} images of {reader.name(fewer[1])}, which come more often an epoch"
    note = Note(what=f"pairs a pass, of {repeated}", count=len(rows), example="")
    return replace(pairs, report=pairs.report.with_more(changed=[note]))


def _side(reader: PairReader, folder: Path, *, split: str, hold_out: float) -> Gathered:
    """Load one domain of two, or what of it is to train on, or held out."""
    found = reader.gather(reader.list_images(folder), folder)
    if not hold_out:
        return found
    held = rows_held_out(found.content, share=hold_out).numpy()
    chosen = ~held if split == "train" else held
    if not chosen.any():
        raise UserError(
            f"Of the {len(found.names):,} images of {folder} --hold-out {hold_out:g} leaves none "
            f"{'to train on' if split == 'train' else 'held out'}. Choose another share."
        )
    names = tuple(name for name, taken in zip(found.names, chosen, strict=True) if taken)
    note = f"{int(held.sum()):,} of {len(found.names):,} images of {folder}, by their content"
    report = found.report.with_more(held_out=note)
    content = tuple(each for each, taken in zip(found.content, chosen, strict=True) if taken)
    rows = torch.from_numpy(chosen.nonzero()[0])
    images = subset(found.images, rows)
    return replace(found, images=images, names=names, content=content, report=report)


def _stack(
    sources: Gathered,
    targets: Gathered,
    rows: Sequence[tuple[int, int]],
    *,
    skipped: tuple[str, ...],
    tier: Tier,
) -> Pairs:
    """Stack targets on sources, by pairs of their rows."""
    size, target_size = sources.images.shape[2:], targets.images.shape[2:]
    if size != target_size:
        raise size_mismatch(sources.names[0], size, targets.names[0], target_size)
    images: Images = Stacked(sources.images, targets.images, torch.tensor(rows))
    if isinstance(sources.images, Tensor) and isinstance(targets.images, Tensor):
        # Both copies, for a moment.
        needed = images.shape.numel() + sources.images.numel() + targets.images.numel()
        memory = memory_bytes()
        if tier != "auto":
            what = f"{len(rows):,} pairs of images of {size[0]}×{size[1]} pixels"
            require_memory(needed, memory=memory, what=what)
        if memory is None or needed <= memory:
            images = in_memory(images)
    return Pairs(
        images=images,
        source_channels=sources.images.shape[1],
        skipped=skipped,
        report=sources.report.joined(targets.report),
        content=tuple(
            hashlib.sha256(sources.content[one] + targets.content[other]).digest()[:8]
            for one, other in rows
        ),
    )
