"""Draws the figures of docs/how-a-gan-works.md and docs/path/, each by the function of its name.

    zerosum train vanilla --epochs 50 --sample-every 1 --seed 0 --out RUNS/seed0
    zerosum train vanilla --epochs 20 --sample-every 1 --seed 2 --out RUNS/seed2
    python tools/docs_figures.py RUNS

The first takes about ten minutes of one processor, the second four; all else takes seconds. The
diagram of a round, docs/images/path/round.svg, is drawn by hand.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import zerosum
from zerosum.game.core import Play
from zerosum.game.losses import OBJECTIVES
from zerosum.game.penalties import clip, gradient_penalty
from zerosum.plots.charts import COLOURS, DASHES, Line, curves, matplotlib_alone, new_figure, to_svg

FIGURES = Path(__file__).parent.parent / "docs" / "images" / "path"
GAP = 8


def epochs(runs: Path) -> None:
    """The same 16 z after 1, 5, 20 and 50 epochs."""
    beside(runs / "seed0", (1, 5, 20, 50), "epochs.png")


def collapse(runs: Path) -> None:
    """A run in which D wins: the same 16 z after 10, 14, 16 and 20 epochs."""
    beside(runs / "seed2", (10, 14, 16, 20), "collapse.png")


def beside(run: Path, when: tuple[int, ...], name: str) -> None:
    """Put the pictures of some epochs beside one another, on nothing."""
    pictures = [Image.open(run / f"generated_epoch_{epoch}.png").convert("LA") for epoch in when]
    width, height = pictures[0].size
    row = Image.new("LA", ((width + GAP) * len(when) - GAP, height), (0, 0))
    for index, picture in enumerate(pictures):
        row.paste(picture, (index * (width + GAP), 0))
    row.resize((row.width * 2 // 3, row.height * 2 // 3), Image.Resampling.BOX).save(
        FIGURES / name, optimize=True
    )


def opinions(runs: Path) -> None:
    """What D says of real and of fake images, in the run that trains and in the one that fails."""
    panels = {}
    for seed, title in ((0, "D(x) and D(G(z)), seed 0"), (2, "D(x) and D(G(z)), seed 2")):
        log = (runs / f"seed{seed}" / "log.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in log]
        panels[title] = [
            Line(name=name, points=[(r["epoch"], round(r[name], 3)) for r in records], style=style)
            for style, name in enumerate(("D(x)", "D(G(z))"))
        ]
    (FIGURES / "opinions.svg").write_text(curves(panels), "utf-8")


def walk(runs: Path) -> None:
    """Twelve steps on a circle through z."""
    frames = zerosum.load(runs / "seed0").interpolate(12, count=3, seed=4)  # (12, 3, 28, 28, 1)
    rows = np.concatenate([np.concatenate(list(frames[:, row, :, :, 0]), 1) for row in range(3)])
    picture = Image.fromarray(rows)
    size = (picture.width * 2, picture.height * 2)
    picture.resize(size, Image.Resampling.NEAREST).save(FIGURES / "walk.png", optimize=True)


def pulls(runs: Path) -> None:
    """How hard each loss pulls at a fake to which D gives a logit: |dL/dlogit| of G's loss."""
    names = ("minimax", "non-saturating", "least-squares", "wasserstein")
    logits = torch.linspace(-6, 6, 121)
    with matplotlib_alone():
        figure, (axes,) = new_figure([2.8])
        for style, name in enumerate(names):
            leaf = logits.clone().requires_grad_()
            loss = sum(generator_loss(name, value) for value in leaf)
            (gradient,) = torch.autograd.grad(loss, leaf)
            axes.plot(logits, gradient.abs(), color=COLOURS[style], ls=DASHES[style], label=name)
        axes.set(ylim=(0, 3.1), xlim=(-6, 6))
        axes.set_title("how hard G's loss pulls at a fake")
        axes.set_xlabel("D's logit for the fake: left, D is sure that it is fake", loc="right")
        axes.grid(axis="y")
        axes.legend(ncols=4, loc="upper left", bbox_to_anchor=(0, -0.2))
        text = to_svg(figure, title="Gradient of G's loss by D's logit, for four losses")
    (FIGURES / "pulls.svg").write_text(text, "utf-8")


def generator_loss(name: str, logit: torch.Tensor) -> torch.Tensor:
    """G's loss where D gives one fake this logit."""
    image, none = torch.zeros(1, 1), torch.zeros(1, 0)
    play = Play(critic=lambda x: logit.view(1, 1), real=image, fake=image, condition=none, seen=0)
    (term,) = OBJECTIVES[name].G.values()
    return term(play)


CRITICS = {
    "minimax": ("minimax", None, None),
    "non-saturating": ("non-saturating", None, None),
    "wasserstein, clipped": ("wasserstein", None, 0.01),
    "wasserstein, gradient penalty": ("wasserstein", 10.0, None),
}


def slopes(runs: Path) -> None:
    """The slope that four D's give a fake on a line, after 3,000 steps against a G that waits.

    Real numbers are N(2, 0.5²), fakes N(-2, 0.5²): they have nothing in common, as the manifolds of
    real and fake images mostly have. D is an MLP of two layers of 64.
    """
    line = torch.linspace(-4, 4, 161)[:, None]
    with matplotlib_alone():
        figure, (axes,) = new_figure([3.0])
        for style, (name, (loss, penalty, bound)) in enumerate(CRITICS.items()):
            D = trained_critic(loss, penalty, bound)
            gradient = given_slope(D, loss, line)
            at_fakes = gradient[(line[:, 0] + 2).abs() < 0.5].median()
            weights = torch.cat([p.detach().flatten() for p in D.parameters()])
            told = f"{name}: {at_fakes:.1e} at the fakes"
            if bound:
                share = (weights.abs() > 0.99 * bound).float().mean()
                told += f"; {share:.0%} of its weights are at the clip"
            print(told)
            floor = gradient.clamp_min(1e-9)
            axes.plot(line, floor, color=COLOURS[style], ls=DASHES[style], label=name)
        axes.set(yscale="log", xlim=(-4, 4), ylim=(1e-9, 30))
        axes.set_title("the slope that G is given")
        axes.set_title("log scale", loc="right", fontsize=8)
        axes.yaxis.set_major_formatter("{x:.0e}")
        axes.grid(axis="y")
        axes.set_xticks([-2, 2], ["fakes", "real"])
        axes.legend(ncols=2, loc="upper left", bbox_to_anchor=(0, -0.1))
        text = to_svg(figure, title="The slope that G is given by four trained D's")
    (FIGURES / "slopes.svg").write_text(text, "utf-8")


def trained_critic(loss: str, penalty: float | None, bound: float | None) -> nn.Module:
    """Train D alone on the two heaps of numbers, by the library's own terms."""
    torch.manual_seed(0)
    D = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    adam = torch.optim.Adam(D.parameters(), lr=1e-3)
    terms = [*OBJECTIVES[loss].D.values(), *([gradient_penalty(penalty)] if penalty else [])]
    for _ in range(3000):
        real, fake = 2 + 0.5 * torch.randn(256, 1), -2 + 0.5 * torch.randn(256, 1)
        play = Play(critic=D, real=real, fake=fake, condition=torch.zeros(256, 0), seen=0)
        adam.zero_grad()
        torch.stack([term(play) for term in terms]).sum().backward()
        adam.step()
        if bound:
            clip(bound)(D)
    return D


def given_slope(D: nn.Module, loss: str, line: torch.Tensor) -> torch.Tensor:
    """|d G's loss / d fake| where a fake stands on the line."""
    fakes = line.clone().requires_grad_()
    total = sum(generator_loss(loss, logit) for logit in D(fakes)[:, 0])
    (gradient,) = torch.autograd.grad(total, fakes)
    return gradient.abs()[:, 0]


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description="Draw the figures of the docs.")
    parser.add_argument("runs", type=Path, help="the folder with seed0 and seed2")
    runs = parser.parse_args().runs
    FIGURES.mkdir(parents=True, exist_ok=True)
    for draw in (epochs, collapse, opinions, walk, pulls, slopes):
        draw(runs)


if __name__ == "__main__":
    main()
