"""How fast convolutional recipes train: zerosum's round against a plain PyTorch loop.

    OMP_NUM_THREADS=1 python benchmarks/family.py [dcgan wgan-gp r3gan] [--seconds 60] [--batch 16]

Both train the same nets, with the recipe's settings on MNIST, on the same images, in turns in one
process, so that a drifting machine slows both alike. The plain loop is what a good tutorial has:
fp32, Adam as torch chooses it on a CPU, D asked about real and fake images one after the other, an
average of G kept by a loop over its weights. As in the programs that such tutorials are taken from,
D is not frozen on G's turn in DCGAN (PyTorch's example), and is in WGAN-GP and R3GAN (their
authors'). It is spared the loading of data, which costs a tutorial's loop more than it does here.

Prints, for each recipe, the medians of images/s and the median of the ratios of neighbours, with
the quartiles, by processor time, which other jobs move less than wall time: take one thread.
`--write` puts the table into docs/scale.md.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from zerosum import recipes
from zerosum.config.gan import GanSettings
from zerosum.config.specs import parse_penalties
from zerosum.data import load
from zerosum.data.images import ImageSet, to_float
from zerosum.data.loader import Loader
from zerosum.hardware import device_name, tuned_processor
from zerosum.preparation import build_game, lies_channels_last
from zerosum.training.ema import EMA
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

RECIPES = ("dcgan", "wgan-gp", "r3gan")
CPU = torch.device("cpu")
DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- made by benchmarks/family.py -->", "<!-- end -->"
EMA_KEEPS = 0.999
LEAST_PAIRS = 5
Contestant = Callable[[], None]  # plays a round


def zerosum_round(name: str, config: GanSettings, images: ImageSet) -> Contestant:
    last = lies_channels_last(None, CPU)
    game = build_game(name, config, images, device=CPU, channels_last=last)
    average = EMA(game.G.net, half_life=config.ema_half_life)
    loader = Loader(images, batch_size=config.batch_size, seed=0, device=CPU)
    turns = seen = 0

    def play() -> None:
        nonlocal turns, seen
        stats = StepStats()
        dealt = play_round(
            game, loader.next_batch, seed=0, turn_index=turns, seen=seen, bf16=False, stats=stats
        )
        turns, seen = turns + len(game.turns), seen + dealt
        average.update(images=dealt, seen=seen)
        stats.means()

    return play


def plain_round(name: str, config: GanSettings, images: ImageSet) -> Contestant:
    game = build_game(name, config, images, device=CPU)
    G, D = game.G.net, game.D.net
    average = copy.deepcopy(G)
    betas = config.betas
    G_adam = torch.optim.Adam(G.parameters(), lr=config.learning_rate, betas=betas)
    D_adam = torch.optim.Adam(
        D.parameters(), lr=config.d_learning_rate or config.learning_rate, betas=betas
    )
    pixels = to_float(images.images[:4096]).contiguous()
    d_loss, g_loss, frozen = LOSSES[name](config)
    nothing = torch.empty(config.batch_size, 0)

    def judge(shown: Tensor) -> Tensor:
        return D(shown, nothing)

    def play() -> None:
        for _ in range(config.n_critic):
            real = pixels[torch.randint(len(pixels), (config.batch_size,))]
            with torch.no_grad():
                fake = G(torch.randn(len(real), config.latent_size), nothing)
            D_adam.zero_grad()
            loss = d_loss(judge, real, fake)
            loss.backward()
            D_adam.step()
        D.requires_grad_(not frozen)
        G_adam.zero_grad()
        of_G = g_loss(judge, real, G(torch.randn(len(real), config.latent_size), nothing))
        of_G.backward()
        G_adam.step()
        D.requires_grad_(True)
        with torch.no_grad():
            for ours, theirs in zip(average.parameters(), G.parameters(), strict=True):
                ours.mul_(EMA_KEEPS).add_(theirs, alpha=1 - EMA_KEEPS)
            for ours, theirs in zip(average.buffers(), G.buffers(), strict=True):
                ours.copy_(theirs)
        loss.item(), of_G.item()

    return play


Judge = Callable[[Tensor], Tensor]
Loss = Callable[[Judge, Tensor, Tensor], Tensor]


def dcgan(config: GanSettings) -> tuple[Loss, Loss, bool]:
    def d_loss(D: Judge, real: Tensor, fake: Tensor) -> Tensor:
        of_real, of_fake = D(real), D(fake)
        return binary_cross_entropy_with_logits(
            of_real, torch.ones_like(of_real)
        ) + binary_cross_entropy_with_logits(of_fake, torch.zeros_like(of_fake))

    def g_loss(D: Judge, real: Tensor, fake: Tensor) -> Tensor:
        logits = D(fake)
        return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    return d_loss, g_loss, False


def wgan_gp(config: GanSettings) -> tuple[Loss, Loss, bool]:
    (spec,) = parse_penalties(config.penalty)

    def d_loss(D: Judge, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), 1, 1, 1)
        mixed = (share * real + (1 - share) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
        penalty = ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        return D(fake).mean() - D(real).mean() + spec.weight * penalty

    def g_loss(D: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return -D(fake).mean()

    return d_loss, g_loss, True


def r3gan(config: GanSettings) -> tuple[Loss, Loss, bool]:
    gamma = {spec.name: spec.weight for spec in parse_penalties(config.penalty)}

    def d_loss(D: Judge, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        of_real, of_fake = D(real), D(fake)
        loss = softplus(of_fake - of_real).mean()
        for name, logits, images in (("r1", of_real, real), ("r2", of_fake, fake)):
            (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
            loss = loss + gamma[name] / 2 * gradient.square().sum([1, 2, 3]).mean()
        return loss

    def g_loss(D: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(D(real) - D(fake)).mean()

    return d_loss, g_loss, True


LOSSES: dict[str, Callable[[GanSettings], tuple[Loss, Loss, bool]]] = {
    "dcgan": dcgan,
    "wgan-gp": wgan_gp,
    "r3gan": r3gan,
}


def timed(play: Contestant) -> float:
    began = time.process_time()
    play()
    return time.process_time() - began


def row(name: str, images: ImageSet, *, seconds: float, batch: int | None) -> str:
    given = {"batch_size": batch} if batch else {}
    config = recipes.get(name).configure({"data": "mnist", **given})
    config = config.settled(config.budget(len(images)))
    assert isinstance(config, GanSettings)
    plain, ours = (make(name, config, images) for make in (plain_round, zerosum_round))
    for play in (plain, ours):
        play()
    pairs: list[tuple[float, float]] = []
    end = time.process_time() + seconds
    while time.process_time() < end or len(pairs) < LEAST_PAIRS:
        # Who goes first changes, so that neither is always the one that a busy moment hits.
        if len(pairs) % 2:
            second, first = timed(ours), timed(plain)
            pairs.append((first, second))
        else:
            pairs.append((timed(plain), timed(ours)))
    dealt = config.batch_size * config.n_critic
    paces = [dealt / statistics.median(times) for times in zip(*pairs, strict=True)]
    low, middle, high = statistics.quantiles([p / o for p, o in pairs], n=4)
    return (
        f"| `{name}` | {config.batch_size} | {paces[0]:,.0f} | {paces[1]:,.0f} "
        f"| {middle:.2f} ({low:.2f} to {high:.2f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES, metavar="recipe")
    parser.add_argument("--seconds", type=float, default=60, help="for each recipe")
    parser.add_argument("--batch", type=int, help="images in a batch, other than the recipe's")
    parser.add_argument("--write", action="store_true", help="put the table into docs/scale.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.recipes) - LOSSES.keys():
        parser.error(f"no plain loop is written for {', '.join(sorted(unknown))}")

    images = load("mnist")
    table = [
        "| recipe | batch | plain loop, images/s | zerosum, images/s | zerosum / plain |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(table), flush=True)
    for name in arguments.recipes:
        table.append(row(name, images, seconds=arguments.seconds, batch=arguments.batch))
        print(table[-1], flush=True)
    threads = torch.get_num_threads()
    where = f"{device_name(CPU)}, {threads} thread{'s' * (threads != 1)}, torch {torch.__version__}"
    print(f"\n{where}")
    if arguments.write:
        text = DOCUMENT.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        content = "\n".join([BEGIN, *table, "", f"On {where}.", END])
        DOCUMENT.write_text(before + content + after)


if __name__ == "__main__":
    with tuned_processor():
        main()
