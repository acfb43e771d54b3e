"""Few images of one kind: what augmentation is worth, and starting from a run on other kinds.

    python benchmarks/few_images.py boots                       # what docs/few_images.json lacks
    python benchmarks/few_images.py photographs --facades FOLDER
    python benchmarks/few_images.py boots --count 300 --seeds 1   # a part of it

`boots` are ankle boots of Fashion-MNIST, of which 300 or 1,000 training images are taken; the other
kinds are its nine other classes. `photographs` are 300 of the facades at 64 pixels, the folder of
`benchmarks/facades.py`; there are no others to start from. All ways to train have the same budget,
settings and seeds. The command of each is printed; a run that was begun goes on.

Each run's best and last checkpoint are compared with the held-out images of the kind, and its
samples' distances to their nearest training images with those of held-out ones. The metrics of a
run go to docs/few_images.json as soon as there are any, and tables made of them all into
docs/few-images.md. Data and runs are in runs/few_images/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from start_from import write_classes
from start_from import zerosum as run_command

import zerosum
from zerosum.comparison.significance import estimate
from zerosum.inference.run import Run
from zerosum.training.early_stopping import best_record

DOCS = Path(__file__).parent.parent / "docs"
FOUND, PAGE = DOCS / "few_images.json", DOCS / "few-images.md"
PICTURES = DOCS / "images" / "few_images"
BEGIN, END = "<!-- made by benchmarks/few_images.py, {}: begin -->", "<!-- end -->"
RUNS = Path("runs") / "few_images"
KINDS, BOOT, CLASSES = "fashion-mnist", 9, 10
SIDE = 256
"""Of a photograph in the facades' files, which lies left of its labels."""
WAYS = {
    "plain": ("--augment none", "not augmented"),
    "fixed": ("--augment {all}", "each image augmented"),
    "adaptive": ("--augment {all} --augment-target 0.6", "as often as D is too sure: the default"),
    "from": (
        "--augment {all} --augment-target 0.6 --from {source}",
        "the default, from a run on others",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Study:
    """Images of one kind, and how they are trained on.

    Attributes:
        counts: of training images, and the budget of images with each.
        flags: all runs have them.
        augment: what `--augment` is where there is any.
        features: of the net that judges.
        source: the budget of the run on the other kinds; None where there are none.
        write: puts so many of its training images into a folder, beside all that are held out.
    """

    counts: dict[int, int]
    flags: str
    augment: str
    features: str
    source: int | None
    write: Callable[[Path, int], None]


def write_boots(folder: Path, count: int) -> None:
    """Write the first training images of boots, and their test images."""
    write_classes(folder, {BOOT}, of=KINDS, count=count)


def photographs(facades: Path | None) -> Callable[[Path, int], None]:
    """What writes the facades' photographs: those of train/, and all others as held out."""

    def write(folder: Path, count: int) -> None:
        if facades is None:
            sys.exit("Say where the facades are: --facades FOLDER.")
        chosen = {
            "train": sorted((facades / "train").glob("*.jpg"))[:count],
            "test": sorted([*(facades / "val").glob("*.jpg"), *(facades / "test").glob("*.jpg")]),
        }
        for split, paths in chosen.items():
            (folder / split).mkdir(parents=True, exist_ok=True)
            for path in paths:
                with Image.open(path) as image:
                    half = image.crop((0, 0, SIDE, SIDE))
                    half.save(folder / split / f"{path.parent.name}-{path.stem}.png")

    return write


def studies(facades: Path | None) -> dict[str, Study]:
    """The kinds of images."""
    return {
        "boots": Study(
            counts={300: 48_000, 1000: 96_000},
            flags="--width 32 --batch-size 64 --precision bf16",
            augment="translation,cutout",
            features="fashion",
            source=240_000,
            write=write_boots,
        ),
        "photographs": Study(
            counts={300: 36_000},
            flags="--size 64 --width 32 --batch-size 32 --hflip --precision bf16",
            augment="color,translation,cutout",
            features="random",
            source=None,
            write=photographs(facades),
        ),
    }


def train(name: str, study: Study, count: int, way: str, seed: int) -> Path:
    """Train one run, and that which it starts from, if they are not complete."""
    here = RUNS / name
    images = here / f"{count}"
    if not images.exists():
        study.write(images, count)
    source = here / "source"
    if way == "from":
        others = here / "others"
        if not others.exists():
            write_classes(others, {*range(CLASSES)} - {BOOT}, of=KINDS)
        told = ["--data", str(others), "--images", str(study.source)]
        run_command("train", "dcgan", *study.flags.split(), *told, "--out", source)
    flags = WAYS[way][0].format(all=study.augment, source=source).split()
    out = here / f"{way}-{count}-seed-{seed}"
    told = ["--data", str(images), "--images", str(study.counts[count]), *flags]
    every = ["--evaluate-every", "16", "--on-collapse", "continue"]
    run_command("train", "dcgan", *study.flags.split(), *told, *every, "--seed", seed, "--out", out)
    return out


def judged(path: Path, features: str) -> dict[str, Any]:
    """The metrics of a run's best and last checkpoint, and where the best was."""
    found: dict[str, Any] = {}
    for checkpoint in ("best", "newest"):
        pairs = path / f"pairs-{checkpoint}.png"
        results = zerosum.evaluate(
            path,
            checkpoint=checkpoint,
            features=features,
            metrics=["fid", "precision", "recall"],
            neighbours=pairs,
        )
        found[checkpoint] = {name: result.value for name, result in results.items()}
        # The share of samples that are nearer to a training image than 99 % of held-out ones.
        found[checkpoint]["near"] = found[checkpoint].pop("memorization_features")["near"]
        found[checkpoint].pop("memorization_pixels")
    best = best_record(Run(path).log())
    return found | {"best_seen": best["seen"] if best else None}


def tables(name: str, found: dict[str, Any]) -> Iterator[str]:
    """A table a number of images: a line a way to train."""
    for count, ways in found.items():
        first = next(iter(next(iter(ways.values())).values()))["newest"]
        distance = next(key for key in first if key.startswith(("frechet_", "fid")))
        yield (
            f"| {int(count):,} {name} | {distance}, best of every seed | last of every seed "
            "| mean of the last (95 %) | precision | recall | near |"
        )
        yield "|---|---|---|---|---|---|---|"
        for way, seeds in ways.items():
            rows = list(seeds.values())
            best, last = (
                [row[checkpoint][distance] for row in rows] for checkpoint in ("best", "newest")
            )
            middle = estimate(last)
            between = middle.interval
            interval = f" ({between.low:.1f} to {between.high:.1f})" if between else ""
            shares = " | ".join(
                f"{sum(row['newest'][metric] for row in rows) / len(rows):.2f}"
                for metric in ("precision", "recall", "near")
            )
            yield (
                f"| {WAYS[way][1]} | {listed(best)} | {listed(last)} "
                f"| {middle.mean:.1f}{interval} | {shares} |"
            )
        yield ""


def listed(values: list[float]) -> str:
    """Values of the seeds."""
    return ", ".join(f"{value:.1f}" for value in values)


def read() -> dict[str, Any]:
    """What is known: kind, number of images, way, seed."""
    known: dict[str, Any] = json.loads(FOUND.read_text("utf-8")) if FOUND.exists() else {}
    return known


def keep(name: str, count: int, way: str, seed: int, found: dict[str, Any]) -> None:
    """Add a run's metrics, and make the tables anew."""
    known = read()
    ways = known.setdefault(name, {}).setdefault(str(count), {})
    ways.setdefault(way, {})[str(seed)] = found
    FOUND.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    begin = BEGIN.format(name)
    before, _, rest = PAGE.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(END)
    lines = "\n".join(tables(name, known[name])).rstrip()
    PAGE.write_text(f"{before}{begin}\n{lines}\n{END}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=("boots", "photographs"))
    parser.add_argument("--facades", type=Path, help="the folder that holds train/, val/ and test/")
    parser.add_argument("--count", type=int, help="of training images; all that the kind has")
    parser.add_argument("--way", choices=WAYS, help="one way to train alone")
    parser.add_argument("--seeds", type=int, default=3)
    wish = parser.parse_args()
    study = studies(wish.facades)[wish.kind]
    for count in [wish.count] if wish.count else study.counts:
        for seed in range(wish.seeds):
            for way in [wish.way] if wish.way else WAYS:
                known = read().get(wish.kind, {}).get(str(count), {}).get(way, {})
                if str(seed) in known or (way == "from" and study.source is None):
                    continue
                path = train(wish.kind, study, count, way, seed)
                keep(wish.kind, count, way, seed, judged(path, study.features))
                if seed == 0:
                    PICTURES.mkdir(parents=True, exist_ok=True)
                    picture = PICTURES / f"{wish.kind}-{count}-{way}.png"
                    run_command("sample", path, "-n", 16, "--out", picture)


if __name__ == "__main__":
    main()
