"""What 64 GPUs on a hundred million images would do, on paper: `python benchmarks/on_paper.py`.

Measures on this machine what a process costs (bytes and pace of images in shards, checksums, the
order of an epoch, a checkpoint), counts the weights and the arithmetic of r3gan at 256×256, and
writes what follows into docs/scale.md. Nothing of it was tried at that size: what is assumed of the
cluster stands in the constants below and in the table.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from data_tiers import DISTINCT, SIDE, write_files
from ranks import write

from zerosum.data.decode import Format
from zerosum.data.pack import pack
from zerosum.data.readahead import THREADS
from zerosum.data.shard_store import WINDOW, Folder, ShardImages
from zerosum.data.shards import verify
from zerosum.data.spec import DataSpec
from zerosum.game.core import Game
from zerosum.hardware import device_name
from zerosum.recipes import RECIPES
from zerosum.training.checkpoint import Checkpoints
from zerosum.training.ema import EMA
from zerosum.training.roofline import counting_work
from zerosum.training.round import play_round
from zerosum.training.state import State
from zerosum.training.step_stats import StepStats

IMAGES, GPUS, MACHINES = 100_000_000, 64, 8
BATCH = 2048
"""Images of a batch, of all GPUs."""
FLOPS = 100e12
"""Assumed: floating point operations that a GPU does in a second of such training."""
LINK = 25e9
"""Assumed: bytes a second out of, and into, each GPU in a sum over all: 200 Gbit/s."""
RECIPE = "r3gan"
PACKED, ORDERED, COUNTED = 1500, 10_000_000, 2


def game_on(device: torch.device) -> Game:
    """The recipe's game for RGB images of 256×256."""
    recipe = RECIPES[RECIPE]
    config = recipe.configure({"data": "mine", "size": f"{SIDE}"})
    spec = DataSpec(shape=(3, SIDE, SIDE))
    with device:
        return recipe.build(config.settled(IMAGES), spec, device=device)


def reading(folder: Path) -> tuple[float, float, float]:
    """Bytes of an image in shards, images read and bytes checked in a processor's second."""
    bytes_of_image = write_files(folder / "files", PACKED) / PACKED
    index = pack(folder / "files", folder / "shards", Format()).index
    images = ShardImages(index, "train", Folder(folder / "shards"), Format())
    rows = images.order(torch.Generator().manual_seed(0))
    images.take(rows[:8])
    began = time.thread_time()
    images.take(rows[: PACKED // 2])
    pace = PACKED // 2 / (time.thread_time() - began)
    shard = index.splits["train"].shards[0]
    began = time.thread_time()
    for _ in range(5):
        verify(folder / "shards" / shard.file, shard)
    return bytes_of_image, pace, 5 * shard.bytes / (time.thread_time() - began)


def ordering() -> float:
    """Seconds to draw an epoch's order of all images, in windows, by a process."""
    began = time.thread_time()
    windows = [torch.arange(WINDOW)[torch.randperm(WINDOW)] for _ in range(ORDERED // WINDOW)]
    torch.cat(windows)
    return (time.thread_time() - began) * IMAGES / ORDERED


def saving(folder: Path) -> tuple[float, float]:
    """Bytes of a checkpoint after a step, and the seconds that it takes."""
    game = game_on(torch.device("cpu"))
    for player in (game.G, game.D):
        for parameter in player.parameters:
            parameter.grad = torch.zeros_like(parameter)
        player.optimizer.step()
    state = State(game, EMA(game.G.net, half_life=1000))
    began = time.monotonic()
    path = Checkpoints(folder / "checkpoints").save(state.snapshot(), seen=1)
    seconds = time.monotonic() - began
    return sum(file.stat().st_size for file in path.iterdir()), seconds


def counting() -> tuple[int, float]:
    """Weights of both players, and operations of a round for each of its images."""
    game = game_on(torch.device("cpu"))
    images = torch.rand(COUNTED, 3, SIDE, SIDE) * 2 - 1
    how: dict[str, Any] = {"seed": 0, "turn_index": 0, "seen": 0, "bf16": False}
    with counting_work() as found:
        play_round(game, lambda: (images, None), stats=StepStats(), **how)
    return game.num_weights, sum(found.values()) / COUNTED


def main() -> None:
    """Measure, and write the table."""
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        bytes_of_image, pace, checked = reading(Path(folder))
        bytes_of_checkpoint, saved = saving(Path(folder))
    ordered = ordering()
    num_weights, flop = counting()
    epoch = IMAGES * flop / FLOPS / GPUS
    round_seconds = BATCH * flop / FLOPS / GPUS
    summed = 4 * num_weights
    sum_seconds = 2 * summed * (GPUS - 1) / GPUS / LINK
    read = IMAGES / (GPUS * THREADS * pace)
    whole = IMAGES * bytes_of_image
    rows = [
        ("an epoch's arithmetic", f"{flop / 1e9:,.0f} GFLOP an image, counted", in_hours(epoch)),
        ("a round of 2,048 images", "the same", f"{round_seconds:.2f} s"),
        (
            "sums of gradients in a round",
            f"4 bytes for each of {num_weights / 1e6:.1f} million weights: {summed / 1e6:.0f} MB",
            f"{1e3 * sum_seconds:.0f} ms, {100 * sum_seconds / round_seconds:.1f} % of it",
        ),
        (
            "decoding an epoch",
            f"{pace:,.0f} JPEG a processor's second from shards, {THREADS} threads a process",
            in_hours(read),
        ),
        (
            "checking an epoch's shards, each process all of them",
            f"{whole / 1e12:.1f} TB at {checked / 1e9:.1f} GB a processor's second",
            in_hours(whole / checked),
        ),
        (
            "bringing an epoch to each machine",
            f"{bytes_of_image / 1e3:.0f} kB an image: {whole / 1e12:.1f} TB",
            f"{whole / epoch / 1e6:,.0f} MB/s for as long as the arithmetic takes",
        ),
        (
            "an epoch's order, each process by itself",
            f"{16 * IMAGES / 1e9:.1f} GB a process for two epochs, and 0.8 GB of classes",
            f"{ordered:.0f} s",
        ),
        (
            "a checkpoint, by process 0 alone",
            f"{bytes_of_checkpoint / 1e6:.0f} MB",
            f"{saved:.1f} s",
        ),
    ]
    lines = [
        f"{device_name(torch.device('cpu'))}, {os.cpu_count()} processors, load {load:.1f} before; "
        f"{DISTINCT} pictures repeated, JPEG of 256×256:",
        "",
        "| what | bytes, or arithmetic | time |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    print("\n".join(lines))
    write("on paper", "\n".join(lines), by="on_paper.py")


def in_hours(seconds: float) -> str:
    """A time of that length."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


if __name__ == "__main__":
    main()
