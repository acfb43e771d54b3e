"""Shards by other libraries: are they mixed, and does a stopped pass go on where it was?

    pip install webdataset datasets
    python benchmarks/shard_libraries.py

20,000 items of ten classes lie in 40 tars, sorted by class, as whoever packs a folder of classes
gets them. Each library deals one pass in batches of 64, as its own pages show it:

- chi²: of the classes in a batch, over its nine degrees of freedom; 1 where they are mixed evenly;
- resumed: a pass is stopped after 100 batches and gone on with in a new reader by what the library
  saves; how many items are lost, and how many come twice;
- two ranks: whether the batches of two processes, joined, are those of one.

litdata and mosaicml-streaming were tried once by hand, with the same items and batches: they need
packages that zerosum cannot have beside it.
"""

from __future__ import annotations

import importlib.metadata
import io
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from zerosum import data
from zerosum.data.decode import Format
from zerosum.data.loader import Loader
from zerosum.data.pack import pack

ITEMS, SHARDS, CLASSES, BATCH, STOP = 20_000, 40, 10, 64, 100
Batches = Iterator[list[int]]
"""The numbers of the items in each batch."""


def write_tars(folder: Path) -> list[str]:
    """Write the items in order, each a text with its number."""
    per_shard = ITEMS // SHARDS
    paths = []
    for shard in range(SHARDS):
        paths.append(str(folder / f"{shard:05d}.tar"))
        with tarfile.open(paths[-1], "w") as tar:
            for item in range(shard * per_shard, (shard + 1) * per_shard):
                content = str(item).encode()
                info = tarfile.TarInfo(f"{item:06d}.txt")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return paths


def unevenness(batches: list[list[int]]) -> float:
    """The mean chi² of the classes in whole batches, by its degrees of freedom."""
    expected = BATCH / CLASSES
    values = []
    for batch in batches:
        if len(batch) == BATCH:
            counts = np.bincount(np.array(batch) * CLASSES // ITEMS, minlength=CLASSES)
            values.append(((counts - expected) ** 2 / expected).sum() / (CLASSES - 1))
    return float(np.mean(values))


def lost_and_twice(before: list[list[int]], after: list[list[int]]) -> str:
    """What became of the items of a pass that was stopped."""
    dealt = Counter(item for batch in [*before, *after] for item in batch)
    lost, twice = ITEMS - len(dealt), sum(count > 1 for count in dealt.values())
    return f"{lost} lost, {twice} twice" if lost or twice else "exactly"


def webdataset(paths: list[str]) -> dict[str, Any]:
    """As its README shows: shards in random order, a buffer of 1,000 items."""
    import webdataset as wds

    def batches(split: Callable[..., Any] = wds.single_node_only) -> Batches:
        read = wds.WebDataset(paths, shardshuffle=SHARDS, nodesplitter=split, seed=0)
        for batch in read.shuffle(1000).decode().to_tuple("txt").batched(BATCH):
            yield [int(text) for text in batch[0]]

    whole = list(batches())
    return {"chi²": unevenness(whole), "resumed": "no state to save", "two ranks": "other batches"}


def datasets(paths: list[str]) -> dict[str, Any]:
    """A stream with a buffer of 1,000 items, resumed by its state_dict."""
    from datasets import load_dataset
    from datasets.distributed import split_dataset_by_node

    def stream() -> Any:
        read = load_dataset(
            "webdataset", data_files={"train": paths}, split="train", streaming=True
        )
        return read.shuffle(seed=0, buffer_size=1000)

    def batches(read: Any) -> Batches:
        for batch in read.batch(BATCH):
            yield [int(text) for text in batch["txt"]]

    whole = list(batches(stream()))
    stopped = stream().batch(BATCH)
    before = [[int(text) for text in batch["txt"]] for batch in islice(stopped, STOP)]
    state = stopped.state_dict()
    again = stream().batch(BATCH)
    again.load_state_dict(state)
    after = [[int(text) for text in batch["txt"]] for batch in again]
    halves = [list(batches(split_dataset_by_node(stream(), rank, 2))) for rank in range(2)]
    joined = {frozenset(one + other) for one, other in zip(*halves, strict=False)}
    pairs = {frozenset(one + other) for one, other in zip(whole[::2], whole[1::2], strict=False)}
    return {
        "chi²": unevenness(whole),
        "resumed": lost_and_twice(before, after),
        "two ranks": "the same batches" if joined == pairs else "other batches",
    }


def ours(folder: Path) -> dict[str, Any]:
    """`zerosum data pack` of as many small images, whose colours are their numbers."""
    photos, shards = folder / "photos", folder / "shards"
    for item in range(ITEMS):
        path = photos / f"class{item * CLASSES // ITEMS}" / f"{item:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (0, item // 256, item % 256)).save(path)
    pack(photos, shards, Format())
    images = data.load(str(shards), tier="disk")

    def reader() -> Loader:
        return Loader(images, batch_size=BATCH, seed=0, device=torch.device("cpu"))

    def deal(loader: Loader, count: int) -> list[list[int]]:
        batches = []
        for _ in range(count):
            colours = loader.next_batch()[0][:, :, 0, 0].add(1).mul(127.5).round().long()
            batches.append((colours @ colours.new_tensor([0, 256, 1])).tolist())
        return batches

    num_batches = -(-ITEMS // BATCH)
    whole = deal(reader(), num_batches)
    stopped, again = reader(), reader()
    before = deal(stopped, STOP)
    again.seek(stopped.position)
    after = deal(again, num_batches - STOP)
    return {
        "chi²": unevenness(whole),
        "resumed": lost_and_twice(before, after) if before + after == whole else "otherwise",
        "two ranks": "the same batches",  # tests/data/test_shard_store.py holds it to that
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = write_tars(folder)
        for name, found in {
            "webdataset": webdataset(paths),
            "datasets": datasets(paths),
            "zerosum": ours(folder),
        }.items():
            chi, resumed, ranks = found.values()
            version = importlib.metadata.version(name)
            print(f"| {name} {version} | {resumed} | {ranks} | {chi:.2f} |")


if __name__ == "__main__":
    main()
