"""Few images of one kind: starting from a run on the other kinds, against starting from nothing.

    python benchmarks/start_from.py                        # three seeds; the other kinds first
    python benchmarks/start_from.py --images 60000 --freeze-d 1

The kind is a digit of MNIST, of which 300 training images are taken; the other kinds are the nine
other digits. Either way has the same budget, settings and seeds, and is compared with the held-out
images of the digit by `zerosum compare`. Every command is printed before it is run, and a run that
was begun goes on. Data and runs are in runs/start_from/.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
import torch

from zerosum import data
from zerosum.cli.main import run
from zerosum.data.images import ImageSet

FILES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
RECIPE = ["dcgan", "--width", "32", "--batch-size", "64", "--d-norm", "none", "--penalty", "r1:0.1"]


def write_classes(
    folder: Path, classes: set[int], *, of: str = "mnist", count: int | None = None
) -> None:
    """Write the images of some classes as a folder of IDX files, which has both splits.

    Args:
        folder: where to.
        classes: which.
        of: the data set, of gray images.
        count: how many of the training images; None for all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in FILES.items():
        images: ImageSet = data.load(of, split=split)
        assert images.labels is not None
        rows = torch.isin(images.labels, torch.tensor(sorted(classes))).nonzero().flatten()
        chosen = images.images[rows[: count if split == "train" else None]]
        pixels = chosen[:, 0].numpy()
        header = np.array([0x803, *pixels.shape], ">u4").tobytes()
        (folder / name).write_bytes(header + pixels.tobytes())


def zerosum(*tokens: str | Path | int) -> None:
    """Print a command line and run it; leave where it fails."""
    words = [str(token) for token in tokens]
    print(f"$ zerosum {shlex.join(words)}", flush=True)
    if code := run(words):
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--digit", type=int, choices=range(10), default=7)
    parser.add_argument("--count", type=int, default=300, help="training images of it")
    parser.add_argument("--source-images", type=int, default=720_000, help="budget of the source")
    parser.add_argument("--images", type=int, default=30_000, help="budget of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--freeze-d", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/start_from"))
    wish = parser.parse_args()

    others, few = wish.out / "others", wish.out / "few"
    write_classes(others, {*range(10)} - {wish.digit})
    write_classes(few, {wish.digit}, count=wish.count)

    source, scratch, warm = (wish.out / name for name in ("source", "scratch", "warm"))
    train = ["train", *RECIPE, "--data"]
    zerosum(*train, others, "--images", wish.source_images, "--out", source)
    begun = [*train, few, "--images", wish.images, "--seeds", wish.seeds]
    frozen = ["--freeze-d", wish.freeze_d] if wish.freeze_d else []
    zerosum(*begun, "--out", scratch)
    zerosum(*begun, "--from", source, *frozen, "--out", warm)
    runs = [f"{stem}-seed-{seed}" for stem in (scratch, warm) for seed in range(wish.seeds)]
    zerosum("compare", *runs)


if __name__ == "__main__":
    main()
