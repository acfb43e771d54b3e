"""Does the vanilla recipe train as the plain script of the tutorials does? Ten seeds of each.

    python benchmarks/plain_script.py             # what docs/plain_script.json lacks: hours
    python benchmarks/plain_script.py --seeds 2   # of the first two seeds only
    python benchmarks/plain_script.py --side plain   # of one side only, beside the other

The plain script: Sigmoid at the end of D and BCELoss, Adam as torch makes it, `torch.manual_seed`
and torch's one stream of random numbers, G's graph kept on D's turn. zerosum's recipe: logits and
the loss on them, fused Adam, a stream of random numbers for each turn, one pass of D over real and
fake. In exact arithmetic both play the same game with other random numbers, so what can be compared
is how their seeds are distributed, and how many collapse.

Both are judged alike: 10,000 samples of G's raw weights, and of their moving average (the plain
script has none; here one watches and changes nothing), against the 10,000 test images in the
features of the `digits` classifier. A seed whose figures are in the JSON file is not trained again,
and the table in docs/results.md is made of it anew; zerosum's runs are in runs/plain_script/, and
go on where they were stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from vanilla import plain_nets

import zerosum
from zerosum import data, recipes
from zerosum.data.arrays import Pixels
from zerosum.training.ema import EMA

DOCS = Path(__file__).parent.parent / "docs"
FOUND, PAGE = DOCS / "plain_script.json", DOCS / "results.md"
BEGIN, END = (f"<!-- made by benchmarks/plain_script.py: {mark} -->" for mark in ("begin", "end"))
RUNS = Path("runs") / "plain_script"
EPOCHS, SEEDS, BATCH, SAMPLES = 50, 10, 128, 10_000
METRICS = ("frechet_digits", "precision", "recall", "modes")
COLLAPSED_BELOW = 9
"""Fewer of the ten digits than this, and a run has collapsed."""
TITLES = {"plain": "plain script", "zerosum": "`zerosum train --epochs 50`"}


def load_pixels() -> Tensor:
    """MNIST's training images, (60000, 784) in [-1, 1], for one who trains as fast as torch can."""
    torch.set_flush_denormal(True)
    return data.load("mnist").images.view(-1, 784).float().div(127.5).sub(1)


def play_plainly(G: nn.Module, D: nn.Module, pixels: Tensor) -> Iterator[int]:
    """Train as the tutorials do, without end.

    Args:
        G: z (b, 100) -> images (b, 784).
        D: images (b, 784) -> what they are, (b, 1) in [0, 1].
        pixels: (n, 784) in [-1, 1].

    Yields:
        The real images of each round, when it is over.
    """
    criterion = nn.BCELoss()
    G_adam = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    D_adam = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    while True:
        for indices in torch.randperm(len(pixels)).split(BATCH):
            real = pixels[indices]
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            D_loss = criterion(D(real), ones)
            D_loss = D_loss + criterion(D(G(torch.randn(len(real), 100))), zeros)
            D_adam.zero_grad()
            D_loss.backward()
            D_adam.step()
            G_loss = criterion(D(G(torch.randn(len(real), 100))), ones)
            G_adam.zero_grad()
            G_loss.backward()
            G_adam.step()
            yield len(real)


def plain_script(pixels: Tensor, *, seed: int) -> dict[str, Pixels]:
    """Train as the tutorials do, and sample the raw weights and their average.

    Args:
        pixels: (n, 784) in [-1, 1].
        seed: of `torch.manual_seed`.

    Returns:
        By the name of the weights, uint8 (10000, 28, 28, 1).
    """
    torch.manual_seed(seed)
    G, D = plain_nets()
    average = EMA(G, half_life=recipes.get("vanilla").configure({}).ema_half_life)
    seen = 0
    for num_images in play_plainly(G, D, pixels):
        seen += num_images
        average.update(images=num_images, seen=seen)
        if seen == EPOCHS * len(pixels):
            break
    return {"raw": sample(G), "average": sample(average.net)}


@torch.no_grad()
def sample(G: nn.Module) -> Pixels:
    """Let a plain G make 10,000 images, uint8 (10000, 28, 28, 1)."""
    torch.manual_seed(0)
    images = torch.cat([G(torch.randn(1000, 100)) for _ in range(SAMPLES // 1000)])
    return images.mul(127.5).add(127.5).round().byte().view(-1, 28, 28, 1).numpy()


def recipe(*, seed: int) -> dict[str, Pixels]:
    """Train the recipe, and sample the raw weights and their average as `plain_script` does."""
    run = zerosum.train("vanilla", epochs=EPOCHS, seed=seed, out=RUNS / f"seed-{seed}", quiet=True)
    return {
        name: np.asarray(run.sample(SAMPLES, ema=ema))
        for name, ema in (("raw", False), ("average", True))
    }


def judged(images: Pixels) -> dict[str, float]:
    """The metrics of samples."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.npz"
        np.savez(path, images=images)
        found = zerosum.evaluate(
            path, reference="mnist", split="test", features="digits", metrics=list(METRICS)
        )
    return {name: found[name].value for name in METRICS}


def table(known: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> list[str]:
    """Lines of a table, and what two tests say of the seeds that did not collapse."""
    from scipy.stats import mannwhitneyu, ttest_ind

    lines = [
        "| | weights | Fréchet distance of every seed | collapsed | median of all | "
        "range of the others |",
        "|---|---|---|---|---|---|",
    ]
    healthy: dict[tuple[str, str], list[float]] = {}
    for side, title in TITLES.items():
        for weights in ("raw", "average"):
            rows = [each[weights] for _, each in sorted(known.get(side, {}).items(), key=by_seed)]
            if not rows:
                continue
            values = [row["frechet_digits"] for row in rows]
            sound = [row["frechet_digits"] for row in rows if row["modes"] >= COLLAPSED_BELOW]
            healthy[side, weights] = sound
            shown = ", ".join(f"{value:.1f}" for value in values)
            spread = f"{min(sound):.1f} to {max(sound):.1f}" if sound else ""
            lines.append(
                f"| {title} | {weights} | {shown} | {len(rows) - len(sound)} of {len(rows)} | "
                f"{statistics.median(values):.1f} | {spread} |"
            )
    lines.append("")
    for weights in ("raw", "average"):
        pair = [healthy.get((side, weights), []) for side in TITLES]
        if min(map(len, pair)) < 3:
            continue
        welch = ttest_ind(*pair, equal_var=False).confidence_interval()
        ranks = mannwhitneyu(*pair).pvalue
        lines.append(
            f"Of the healthy seeds' {weights} weights, the plain script's mean less the recipe's "
            f"lies in {welch.low:.1f} to {welch.high:.1f} (Welch, 95 %); Mann-Whitney's "
            f"p is {ranks:.2f}.  "
        )
    return lines


def by_seed(item: tuple[str, Any]) -> int:
    """What seeds are sorted by: JSON's keys are text."""
    return int(item[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds 0 to one below this")
    parser.add_argument("--side", choices=TITLES, help="train this one only")
    arguments = parser.parse_args()
    pixels = load_pixels()
    for seed in range(arguments.seeds):
        for side in [arguments.side] if arguments.side else TITLES:
            if str(seed) in read_found().get(side, {}):
                continue
            samples = recipe(seed=seed) if side == "zerosum" else plain_script(pixels, seed=seed)
            found = {weights: judged(images) for weights, images in samples.items()}
            known = read_found()  # anew: the other side may have been written meanwhile
            known.setdefault(side, {})[str(seed)] = found
            FOUND.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
            print(f"{TITLES[side]}, seed {seed}: {found}", flush=True)
    lines = "\n".join(table(read_found())).rstrip()
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", "utf-8")
    print(lines)


def read_found() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """What is known: side, seed, weights, metric."""
    known: dict[str, Any] = json.loads(FOUND.read_text("utf-8")) if FOUND.exists() else {}
    return known


if __name__ == "__main__":
    main()
