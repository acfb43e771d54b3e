"""`zerosum data`: which data sets and weights have a name, and getting those that are not here."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from zerosum.cli.show import show
from zerosum.config.specs import Fit
from zerosum.data.catalog import DATASETS, folders, is_here, locate
from zerosum.errors import UserError, unknown_name

if TYPE_CHECKING:
    from rich.table import Table

    from zerosum.data.cache_entries import Entry

data = App(
    name="data", help="List the named data sets, and say which are on this machine; or get one."
)


@data.default
def list_data() -> None:
    """List the named data sets, and say which are on this machine."""
    show(data_table())


@data.command
def get(name: str) -> None:
    """Get a data set that is not on this machine, checked by its sha256.

    A download that broke off is gone on with by the same command. Files go to
    ~/.cache/zerosum, or to the folder in the environment variable ZEROSUM_CACHE.

    Args:
        name: fashion-mnist or cifar10; of the weights inception and lpips it says how to get them.
    """
    if name not in DATASETS:
        from zerosum.metrics.weight_files import ON_REQUEST  # with torch, which takes a while

        if name not in ON_REQUEST:
            raise unknown_name("data set", name, (*DATASETS, *ON_REQUEST))
        weights = ON_REQUEST[name]
        if (path := weights.locate()) is None:
            raise UserError(weights.how_to_get)
        print(f"The {weights.name} weights are here already: {path}")
        return
    about = DATASETS[name]
    if about.mixture is not None:
        print(f"There is nothing to get of '{name}'. {about.origin}")
    elif (folder := locate(name)) is not None:
        downloaded = about.distribution is not None and folder == folders(name)[0]
        anew = " Remove it to get it anew." if downloaded else ""
        print(f"'{name}' is here already, in {folder}.{anew}")
    elif about.distribution is None:
        raise UserError(f"'{name}' is not on this machine. {about.origin}")
    else:
        get_with_bar(name)


@data.command
def inspect(
    path: str,
    *,
    recipe: str = "dcgan",
    split: str = "train",
    size: str | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    range: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,  # noqa: A002
    all_frames: bool = False,
    hold_out: float | None = None,
    strict: bool = False,
    out: Path | None = None,
) -> None:
    """Say what training would understand of images, without training.

    Args:
        path: A folder, an archive or a file of images, or a data set's name.
        recipe: Whose reading is meant: pix2pix reads pairs, cyclegan two domains.
        split: train, val or test.
        size: As for train, and so the others.
        channels: 1 for gray, 3 for RGB, 4 for RGBA.
        fit: crop, pad, squash or short-side.
        range: LOW:HIGH, or auto.
        all_frames: Take every frame and page.
        hold_out: Share of the images to keep from training.
        strict: Stop at an undecodable image.
        out: FILE.png for a contact sheet of images from all over the set.
    """
    from zerosum.tasks.inspection import inspect_data

    asked = {
        "size": size,
        "channels": channels,
        "fit": fit,
        "range": range,
        "all_frames": all_frames or None,
        "hold_out": hold_out,
        "strict": strict or None,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    print("\n".join(inspect_data(path, recipe=recipe, split=split, given=given, out=out)))


@data.command
def pack(
    folder: Path,
    *,
    out: Path,
    size: str | None = None,
    channels: int | None = None,
    fit: Fit = "crop",
    range: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,  # noqa: A002
    all_frames: bool = False,
    strict: bool = False,
) -> None:
    """Write a folder of images as shards, to be read from far away or without being in memory.

    Shards are tars in the layout of WebDataset beside an index.json. `--data` takes their folder,
    or the address at which a web server has it. What was broken off is gone on with by the same
    command.

    Args:
        folder: Images, maybe in folders of splits and of classes.
        out: A new folder for the shards.
        size: Crop and resize images to N or HEIGHTxWIDTH pixels.
        channels: 1 for gray, 3 for RGB, 4 for RGBA.
        fit: crop, pad, squash or short-side.
        range: LOW:HIGH, or auto.
        all_frames: Take every frame and page.
        strict: Stop at an undecodable image.
    """
    from zerosum.config.specs import read_range, read_size
    from zerosum.data.decode import Format  # with torch, which takes a while
    from zerosum.data.loader import in_bytes
    from zerosum.data.names import printable
    from zerosum.data.pack import pack as write_shards

    if not folder.is_dir():
        raise UserError(f"There is no folder '{folder}': expected one of images.")
    wanted = Format(
        size=read_size(size),
        channels=channels,
        fit=fit,
        value_range=read_range(range),
        all_frames=all_frames,
    )
    packed = write_shards(folder, out, wanted, strict=strict)
    colours, height, width = packed.index.shape
    for name, about in packed.index.splits.items():
        classes = f", {len(about.classes)} classes" if about.classes else ""
        size_of_all = in_bytes(sum(shard.bytes for shard in about.shards))
        kind = {1: "gray", 3: "RGB", 4: "RGBA"}[colours]
        print(
            f"{name}: {len(about):,} images of {height}×{width} {kind}{classes}, in "
            f"{len(about.shards):,} shard{'s' * (len(about.shards) != 1)} ({size_of_all})"
        )
    if packed.skipped:
        print(f"Left out {packed.skipped:,} files, such as {printable(packed.examples[0])}")
    print(f"Wrote {out}. Train on it: zerosum train dcgan --data {shlex.quote(str(out))}")


@data.command
def cache(*, prune: bool = False) -> None:
    """List the decoded images that are kept on disk, with their size and when they were used last.

    They lie in ~/.cache/zerosum/decoded, or in the folder in the environment variable
    ZEROSUM_CACHE, and shards from other machines beside them. Removing them loses nothing: they
    are decoded, or got, anew when they are needed.

    Args:
        prune: Remove all that no process uses, and all shards from other machines.
    """
    from zerosum.data import cache_entries as decoded  # with torch, which takes a while
    from zerosum.data import shard_cache
    from zerosum.data.loader import in_bytes

    if prune:
        removed, kept = decoded.prune()
        freed = in_bytes(sum(entry.num_bytes for entry in removed))
        in_use = f"; {len(kept)} in use {'is' if len(kept) == 1 else 'are'} kept" if kept else ""
        print(f"Removed {len(removed)}, {freed}{in_use}.")
        if num_bytes := shard_cache.clear():
            print(f"Removed {in_bytes(num_bytes)} of shards from other machines.")
        return
    if num_bytes := shard_cache.kept_bytes():
        print(f"{in_bytes(num_bytes)} of shards from other machines in {shard_cache.folder()}")
    found = decoded.entries()
    if not found:
        print(f"There are no decoded images in {decoded.folder()}.")
        return
    show(cache_table(found))
    print(f"{in_bytes(sum(entry.num_bytes for entry in found))} in {decoded.folder()}")


def cache_table(found: list[Entry]) -> Table:
    """One row an entry of the cache, what was used last first."""
    from rich.markup import escape

    from zerosum.data.loader import in_bytes
    from zerosum.data.names import printable
    from zerosum.plots.tables import table

    made = table("decoded", "images", "size", "last used")
    for entry in found:
        shape = "×".join(map(str, entry.shape[1:]))
        made.add_row(
            escape(printable(entry.source)) or "(not finished)",
            f"{entry.shape[0]:,} of {shape}" if entry.shape else "",
            in_bytes(entry.num_bytes),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)),
        )
    return made


def get_with_bar(name: str) -> None:
    """Download a data set, and show how far it is on standard error, a bar only to a person."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from zerosum.data.download import download

    console = Console(stderr=True)
    columns = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        *(TextColumn("Getting {task.description}"), BarColumn(), *columns),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(name, total=None)
        try:
            folder = download(
                name, report=lambda done, total: bar.update(task, completed=done, total=total)
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "Interrupted: the same command goes on where this one was."
            ) from None
    print(f"'{name}' is in {folder}.")


def data_table() -> Table:
    """One row a data set, with where it is or how to get it; and what else can be trained on."""
    from zerosum.plots.tables import table

    made = table("data", "what it is", "licence", "here")
    for name, about in DATASETS.items():
        here = "yes" if is_here(name) else f"no. {about.origin}"
        made.add_row(name, about.description, about.licence, here)
    made.add_row(
        "PATH",
        "a folder of images (subfolders are classes), a .zip or .tar of images, an .npz, or a "
        "folder of IDX files or of CIFAR-10's, or shards of `zerosum data pack`",
        "yours",
        "",
    )
    made.add_row("https://HOST/FOLDER", "shards of `zerosum data pack`, streamed", "theirs", "")
    made.add_row("hf:owner/name", "a data set of Hugging Face", "theirs", "")
    return made
