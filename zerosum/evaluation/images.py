"""The two sides of a comparison: where samples and real images come from, and which are taken."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from zerosum.data.catalog import DATASETS
from zerosum.data.decode import Format
from zerosum.data.images import ImageSet
from zerosum.data.report import Report
from zerosum.data.sources import has_splits, load
from zerosum.data.store import Images, subset
from zerosum.errors import UserError
from zerosum.evaluation.stores import open_store
from zerosum.metrics.evaluate import ImageCollection
from zerosum.metrics.protocols import Protocol
from zerosum.metrics.registry import LEAST_IMAGES
from zerosum.seeds import stream_seed

Notice = Callable[[str], None]


class RealImages(typing.Protocol):
    """Real images that can be loaded, split by split."""

    @property
    def name(self) -> str:
        """What cards call them: a data set's name, a path, or what of it."""
        ...

    @property
    def has_splits(self) -> bool:
        """Whether the splits differ; if not, each is all there is."""
        ...

    def load(self, split: str) -> ImageCollection:
        """Load a split."""
        ...

    def fingerprint(self, split: str) -> str:
        """Name all that a comparison takes from a split, by its content."""
        ...


@dataclass(frozen=True)
class Source:
    """Images as they can be loaded: a data set's name or a path, and the shape to bring them to."""

    name: str
    loading: Mapping[str, Any]  # as `zerosum.data.load` takes it
    notice: Notice

    @property
    def has_splits(self) -> bool:
        """Whether train and test images differ."""
        if self._store is not None:
            return False
        return bool(self.loading.get("hold_out")) or has_splits(self.name)

    def load(self, split: str) -> ImageCollection:
        """Load a split, or all there is of a source that has none; what is large is only opened."""
        if self._store is not None:
            images, report = self._store
        else:
            loaded = self._load(split)
            images, report = loaded.images, loaded.report
        for what, notes in (("Left out", report.left_out), ("Changed", report.changed)):
            if notes:
                self.notice(f"{what} of {self.name}: {'; '.join(map(str, notes))}.")
        for warning in report.warnings:
            self.notice(f"WARNING: {warning}")
        split_name = split if self.has_splits else None
        return ImageCollection(name=self.name, split=split_name, images=images)

    def fingerprint(self, split: str) -> str:
        """Hash a split's images and labels."""
        return self._load(split).fingerprint()

    @cached_property
    def _store(self) -> tuple[Images, Report] | None:
        """Images that are read as they are evaluated, where they are so many."""
        path = Path(self.name).expanduser()
        if self.name in DATASETS or self.loading.get("hold_out") or not path.exists():
            return None
        how = {name: value for name, value in self.loading.items() if name != "hold_out"}
        return open_store(path, Format(**how))

    def _load(self, split: str) -> ImageSet:
        return load(self.name, split=split, **self.loading)


def agreed_counts(
    protocol: Protocol, fakes: int, reals: int, notice: Notice, *, least: int = LEAST_IMAGES
) -> tuple[int, int]:
    """Choose how many samples and reference images to compare, of those that are there.

    Without a protocol as many on either side: as asked for, but no more than are there.

    Raises:
        UserError: there are fewer than `least`, too few for any metric, or for the protocol.
    """
    there = min(fakes, reals)
    if there < least:
        raise UserError(
            f"There are {there} images to compare: expected at least {least} on either "
            "side, and thousands for metrics to rely on."
        )
    num_fakes, num_reals = protocol.counts(reals)
    protocol.require_samples(num_fakes, fakes)
    if protocol.protocol is not None:
        return num_fakes, num_reals
    if there < (protocol.samples or there):
        notice(f"Comparing {there:,} images on either side: there are no more.")
    return min(num_fakes, there), min(num_reals, there)


def draw_others(
    source: RealImages,
    reals: ImageCollection,
    protocol: Protocol,
    *,
    seed: int,
    taken: int,
    count: int,
) -> ImageCollection | None:
    """Choose other real images for the floor, if there are enough.

    Args:
        source: the reference.
        reals: what was loaded of it.
        protocol: which split that was.
        seed: decided which of them are the reference.
        taken: how many of them are the reference.
        count: how many others to choose.
    """
    if not source.has_splits:
        there = len(reals.images) >= taken + count
        return draw(reals, count, "reference", seed, skip=taken) if there else None
    try:
        others = source.load("test" if protocol.split == "train" else "train")
    except UserError:  # a folder of IDX files may hold one split only
        return None
    return draw(others, count, "floor", seed) if len(others.images) >= count else None


def draw(
    whole: ImageCollection, count: int, purpose: str, seed: int, *, skip: int = 0
) -> ImageCollection:
    """Choose images at random, in an order that purpose and seed decide, after `skip` others."""
    generator = torch.Generator().manual_seed(stream_seed("evaluate", purpose, seed))
    if count == len(whole.images) and not skip:
        return whole
    order = torch.randperm(len(whole.images), generator=generator)
    # In the set's own order, so that all of its images are the set, whatever the seed.
    chosen = order[skip : skip + count].sort().values
    return replace(whole, images=subset(whole.images, chosen))
