"""Training on more images than memory holds: decoding, private memory, and the pace by tier.

Writes JPEG files of 256×256, decodes them into a cache on disk, trains on it in a process of its
own whose private memory is limited, and then deals and trains in turns from disk and from memory
(of as many of the images as fit there), each pair of turns giving one ratio:

    python benchmarks/data_tiers.py --gigabytes 20
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zerosum import recipes
from zerosum.data.cache_entries import PIXELS, entries
from zerosum.data.images import ImageSet
from zerosum.data.loader import Loader
from zerosum.data.sources import load
from zerosum.data.store import in_memory, subset
from zerosum.game.core import Game
from zerosum.hardware import GIB
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

SIDE = 256
BYTES = 3 * SIDE**2
DISTINCT = 300
"""Pictures that are drawn; the files repeat them, each with a comment of its own."""
BATCH = 16
TURNS, SECONDS = 9, 4.0
"""Pairs of turns, and how long a turn takes at least."""
LIMIT = 2 * GIB
"""Private memory that the training on all images may take."""


def write_files(folder: Path, count: int) -> int:
    """Write so many JPEG files; return the bytes of all of them."""
    numbers = np.random.default_rng(0)
    contents = []
    for _ in range(DISTINCT):
        coarse = Image.fromarray(numbers.integers(0, 256, (16, 16, 3), np.uint8))
        image = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        grain = numbers.normal(0, 6, (SIDE, SIDE, 3))
        pixels = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format="JPEG", quality=90)
        contents.append(stream.getvalue())
    for number in range(count):
        part = folder / f"{number // 1000:03d}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"{number}.jpg").write_bytes(contents[number % DISTINCT] + number.to_bytes(4))
    return sum(len(contents[number % DISTINCT]) for number in range(count))


def limited_training(folder: Path, out: Path) -> tuple[int, int]:
    """Train for a while within the limit; return the peak of its private memory, and images."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))

    command = [sys.executable, "-m", "zerosum", "train", "dcgan", "--data", str(folder)]
    flags = ["--data-tier", "disk", "--width", "8", "--batch-size", str(BATCH), "--images", "320"]
    flags += ["--evaluate-every", "0", "--device", "cpu", "--out", str(out)]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL, preexec_fn=limit)
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(errors="replace")
        found = [line for line in status.splitlines() if line.startswith("RssAnon")]
        peak = max([peak, *(int(line.split()[1]) * 1024 for line in found)])
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit("the training failed within its limit")
    return peak, int(json.loads((out / "progress.json").read_text())["seen"])


Pace = tuple[float, float]
"""Images a second by the clock, and of a processor's time, which neighbours do not change."""


def deal(loader: Loader) -> Pace:
    """Deal for a turn."""
    dealt, start, busy = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - start) < SECONDS / 2:
        dealt += len(loader.next_batch()[0])
    return dealt / seconds, dealt / (time.process_time() - busy)


def train(loader: Loader, game: Game) -> Pace:
    """Train for a turn."""
    dealt, start, busy = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - start) < SECONDS:
        dealt += play_round(
            game, loader.next_batch, seed=0, turn_index=0, seen=0, bf16=False, stats=StepStats()
        )
    return dealt / seconds, dealt / (time.process_time() - busy)


def forget(path: Path) -> None:
    """Let the system drop what it has in memory of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of decoded images")
    parser.add_argument("--resident", type=float, default=1.0, help="of them from memory")
    parser.add_argument("--folder", type=Path, help="where there is room; by default /tmp")
    asked = parser.parse_args()
    count = int(asked.gigabytes * 1e9 / BYTES)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        root = Path(name)
        os.environ["ZEROSUM_CACHE"] = str(root / "cache")
        num_bytes = write_files(root / "files", count)
        print(f"{count:,} JPEG of {SIDE}×{SIDE}, {num_bytes / 1e9:.2f} GB; {os.cpu_count()} cores")

        start, busy = time.perf_counter(), time.process_time()
        images = load(root / "files", tier="disk")
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        print(
            f"decoded onto the disk in {seconds:.0f} s: {count / seconds:,.0f} images/s; of a "
            f"processor {busy:.0f} s, {count / busy:,.0f} images/s of each"
        )
        start = time.perf_counter()
        images = load(root / "files", tier="disk")
        print(f"opened and checked in {time.perf_counter() - start:.1f} s")

        peak, seen = limited_training(root / "files", root / "run")
        print(f"private memory at most {peak / GIB:.2f} GiB, of {LIMIT / GIB:.0f}; {seen:,} images")

        few = torch.arange(min(count, int(asked.resident * 1e9 / BYTES)))
        resident = replace(images, images=in_memory(subset(images.images, few)), labels=None)
        compare(replace(images, labels=None), resident, entries()[0].path / PIXELS)


def compare(disk: ImageSet, memory: ImageSet, pixels: Path) -> None:
    """Deal and train in turns from both, and print the paces."""
    device = torch.device("cpu")
    loaders = [Loader(each, batch_size=BATCH, seed=0, device=device) for each in (disk, memory)]
    # Nets that cost little: what reading costs shows all the more.
    how = {"nets": "mlp", "hidden": (64,), "latent_size": 16}
    config = recipes.get("dcgan").configure(how | {"batch_size": BATCH, "device": "cpu"})
    game = recipes.build("dcgan", config, disk.spec, device=device)
    forget(pixels)
    print(f"dealt alone, cold: {deal(loaders[0])[0]:,.0f} images/s from disk")
    for what, turn in (
        ("dealt alone", deal),
        ("trained", lambda loader: train(loader, game)),
    ):
        paces = []
        for number in range(TURNS):
            order = (0, 1) if number % 2 else (1, 0)
            found = {index: turn(loaders[index]) for index in order}
            paces.append((found[0], found[1]))
        for measure, unit in enumerate(("images/s", "images a processor's second")):
            from_disk, from_memory = (
                statistics.median(pair[tier][measure] for pair in paces) for tier in (0, 1)
            )
            ratio = statistics.median(disk[measure] / memory[measure] for disk, memory in paces)
            print(
                f"{what}: {from_disk:,.1f} {unit} from disk, {from_memory:,.1f} from memory; "
                f"ratio {ratio:.3f} (median of {TURNS} pairs)"
            )


if __name__ == "__main__":
    main()
