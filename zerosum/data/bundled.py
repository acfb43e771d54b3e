"""The named data sets of `catalog`, read from where they lie on this machine."""

from __future__ import annotations

from dataclasses import replace

from zerosum.data.catalog import DATASETS, Stack, folders, how_to_get, locate
from zerosum.data.cifar import is_cifar_folder, load_cifar_folder
from zerosum.data.decode import Format
from zerosum.data.idx import load_idx_folder
from zerosum.data.images import ImageSet
from zerosum.data.mixture import Mixture
from zerosum.data.stacked import stacked
from zerosum.data.toys import draw_points
from zerosum.errors import UserError
from zerosum.seeds import stream_seed


def load_bundled(name: str, *, split: str, wanted: Format) -> ImageSet:
    """Load one split of a named data set, labelled.

    Raises:
        UserError: it is not on this machine; the message says how to get it. Or it cannot be
            brought to that many channels, or has no pixels at all.
    """
    about = DATASETS[name]
    if about.mixture is not None:
        return _draw_points(name, about.mixture, split=split, wanted=wanted)
    if about.stack is None:
        loaded = _load_folder(name, split=split, wanted=wanted)
    else:
        loaded = _load_stack(name, about.stack, split=split, wanted=wanted)
    return replace(loaded, name=name, classes=about.classes)


def _load_folder(name: str, *, split: str, wanted: Format) -> ImageSet:
    folder = locate(name)
    if folder is None:
        about, looked = DATASETS[name], " and ".join(map(str, folders(name)))
        raise UserError(
            f"The data set '{name}' is not on this machine: looked for {', '.join(about.files)} in "
            f"{looked}. {how_to_get(name)}"
        )
    load = load_cifar_folder if is_cifar_folder(folder) else load_idx_folder
    return load(folder, split=split, wanted=wanted)


def _load_stack(name: str, stack: Stack, *, split: str, wanted: Format) -> ImageSet:
    if wanted.channels not in (None, stack.channels):
        raise UserError(
            f"The images of '{name}' hold one image of '{stack.of}' in each of their "
            f"{stack.channels} channels, and cannot be brought to {wanted.channels}. Leave "
            "--channels out."
        )
    base = load_bundled(stack.of, split=split, wanted=replace(wanted, channels=1))
    return stacked(
        base,
        channels=stack.channels,
        count=stack.counts[split],
        seed=stream_seed("stacked", name, split),
    )


def _draw_points(name: str, mixture: Mixture, *, split: str, wanted: Format) -> ImageSet:
    if wanted != Format():
        raise UserError(
            f"'{name}' is of points in the plane, which have no pixels. Leave --size and "
            "--channels out."
        )
    return draw_points(
        mixture, count=mixture.counts[split], seed=stream_seed("toys", name, split), name=name
    )
