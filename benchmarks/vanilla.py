"""How fast the vanilla GAN trains: against the plain script, and against the hardware's floor.

    python benchmarks/vanilla.py [--rounds 100] [--repeats 5]

Four things run in turns in one process, so that a drifting machine slows them alike:

- the plain script, as the tutorials write it: a DataLoader that decodes and transforms one sample
  at a time, BCELoss on a sigmoid, Adam as torch chooses it on a CPU, G's graph kept on D's turn,
  losses read back every round;
- a bare loop: the same arithmetic as zerosum's round with nothing around it, no callables, no
  random streams, no schedules: what a library could add at the least is nothing to this;
- zerosum's round, in fp32 and, where the CPU multiplies it natively, in bf16;
- the floor: nothing but the matrix products of one round, in fp32.

Prints images/s (medians), the ratio to the plain script and the multiple of the floor's time.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from zerosum import recipes
from zerosum.data import load
from zerosum.data.images import ImageSet
from zerosum.data.loader import Loader
from zerosum.hardware import tuned_processor
from zerosum.seeds import enter_stream
from zerosum.training.ema import EMA
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

BATCH, LATENT = 128, 100
G_LAYERS = ((100, 256), (256, 512), (512, 784))
D_LAYERS = ((784, 512), (512, 256), (256, 1))
Contestant = Callable[[int], None]  # plays so many rounds


class PerSampleMnist(torch.utils.data.Dataset):
    """MNIST as torchvision serves it: array to picture, ToTensor, Normalize(0.5, 0.5), a sample.

    torchvision is not imported (it may not be there); the same operations are written out.
    """

    def __init__(self, images: ImageSet) -> None:
        self.images, self.labels = images.images.squeeze(1), images.labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images[index].numpy())
        tensor = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        tensor = tensor.view(picture.size[1], picture.size[0], 1).permute(2, 0, 1).contiguous()
        tensor = tensor.to(dtype=torch.get_default_dtype()).div(255).clone()
        mean, std = (torch.as_tensor([0.5], dtype=tensor.dtype) for _ in range(2))
        if (std == 0).any():
            raise ValueError("std is zero")
        return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1)), int(self.labels[index])


def plain_nets() -> tuple[nn.Sequential, nn.Sequential]:
    G = nn.Sequential(
        nn.Linear(100, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(),
        nn.Linear(512, 784), nn.Tanh(),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Linear(784, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256), nn.LeakyReLU(0.2),
        nn.Linear(256, 1), nn.Sigmoid(),
    )  # fmt: skip
    return G, D


def plain_script(images: ImageSet) -> Contestant:
    G, D = plain_nets()
    criterion = nn.BCELoss()
    G_adam = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    D_adam = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    loader = torch.utils.data.DataLoader(PerSampleMnist(images), BATCH, shuffle=True)
    batches = (batch for _ in itertools.count() for batch in loader)

    def play(rounds: int) -> None:
        for _ in range(rounds):
            real = next(batches)[0].view(-1, 784)
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            D_loss = criterion(D(real), ones)
            D_loss = D_loss + criterion(D(G(torch.randn(len(real), LATENT))), zeros)
            D_adam.zero_grad()
            D_loss.backward()
            D_adam.step()
            G_loss = criterion(D(G(torch.randn(len(real), LATENT))), ones)
            G_adam.zero_grad()
            G_loss.backward()
            G_adam.step()
            D_loss.item(), G_loss.item()

    return play


def zerosum_rounds(images: ImageSet, *, bf16: bool) -> Contestant:
    device = torch.device("cpu")
    config = recipes.get("vanilla").configure({})
    enter_stream(device, "init", 0)
    game = recipes.build("vanilla", config, images.spec, device=device)
    average = EMA(game.G.net, half_life=config.ema_half_life)
    loader = Loader(images, batch_size=BATCH, seed=0, device=device)
    turns = seen = 0

    def play(rounds: int) -> None:
        nonlocal turns, seen
        stats = StepStats()
        for _ in range(rounds):
            dealt = play_round(
                game, loader.next_batch, seed=0, turn_index=turns, seen=seen, bf16=bf16, stats=stats
            )
            turns, seen = turns + 2, seen + dealt
            average.update(images=dealt, seen=seen)
        stats.means()

    return play


def bare_loop(images: ImageSet) -> Contestant:
    """Zerosum's round written out: one pass of D, no gradients that nobody wants, fused Adam."""
    G, D = plain_nets()
    D = D[:-1]  # logits
    average = copy.deepcopy(G).requires_grad_(False)
    ours, theirs = [*average.parameters()], [*G.parameters()]
    G_weights, D_weights = [*G.parameters()], [*D.parameters()]
    G_adam, D_adam = (
        torch.optim.Adam(weights, lr=2e-4, betas=(0.5, 0.999), fused=True)
        for weights in (G_weights, D_weights)
    )
    loader = Loader(images, batch_size=BATCH, seed=0, device=torch.device("cpu"))
    softplus = nn.functional.softplus

    def play(rounds: int) -> None:
        kept = []
        for _ in range(rounds):
            real = loader.next_batch()[0].flatten(1)
            D_adam.zero_grad()
            with torch.no_grad():
                fake = G(torch.randn(len(real), LATENT))
            of_real, of_fake = D(torch.cat([real, fake])).chunk(2)
            D_loss = softplus(-of_real).mean() + softplus(of_fake).mean()
            D_loss.backward(inputs=D_weights)
            D_adam.step()
            G_adam.zero_grad()
            G_loss = softplus(-D(G(torch.randn(len(real), LATENT)))).mean()
            G_loss.backward(inputs=G_weights)
            G_adam.step()
            with torch.no_grad():
                torch._foreach_lerp_(ours, theirs, weight=0.004)
            kept += [D_loss.detach(), G_loss.detach()]
        torch.stack(kept).tolist()

    return play


def products_of_a_round() -> list[tuple[int, int, int]]:
    """The matrix products (m, k) @ (k, n) that no implementation of a round can do without."""

    def forward(b: int, layers: tuple[tuple[int, int], ...]) -> list[tuple[int, int, int]]:
        return [(b, i, o) for i, o in layers]

    def weights(b: int, layers: tuple[tuple[int, int], ...]) -> list[tuple[int, int, int]]:
        return [(i, b, o) for i, o in layers]

    def inputs(b: int, layers: tuple[tuple[int, int], ...]) -> list[tuple[int, int, int]]:
        return [(b, o, i) for i, o in layers]

    both = 2 * BATCH
    D_turn = forward(BATCH, G_LAYERS) + forward(both, D_LAYERS)
    D_turn += weights(both, D_LAYERS) + inputs(both, D_LAYERS[1:])
    G_turn = forward(BATCH, G_LAYERS) + forward(BATCH, D_LAYERS) + inputs(BATCH, D_LAYERS)
    G_turn += weights(BATCH, G_LAYERS) + inputs(BATCH, G_LAYERS[1:])
    return D_turn + G_turn


def floor() -> Contestant:
    operands = [
        (torch.randn(m, k), torch.randn(k, n), torch.empty(m, n))
        for m, k, n in products_of_a_round()
    ]

    def play(rounds: int) -> None:
        for _ in range(rounds):
            for left, right, product in operands:
                torch.mm(left, right, out=product)

    return play


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=80, help="rounds of 128 images a measurement")
    parser.add_argument("--repeats", type=int, default=5, help="measurements")
    arguments = parser.parse_args()

    images = load("mnist")
    contestants = {
        "plain script": plain_script(images),
        "bare loop": bare_loop(images),
        "zerosum fp32": zerosum_rounds(images, bf16=False),
        "zerosum bf16": zerosum_rounds(images, bf16=True),
        "floor (fp32 products)": floor(),
    }

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for play in contestants.values():
        play(5)
    for _ in range(arguments.repeats):
        for name, play in contestants.items():
            started = time.perf_counter()
            play(arguments.rounds)
            seconds[name].append((time.perf_counter() - started) / arguments.rounds)

    plain, bare = (seconds[name] for name in ("plain script", "floor (fp32 products)"))
    flop = sum(2 * m * k * n for m, k, n in products_of_a_round())
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, batch {BATCH}")
    speed = flop / statistics.median(bare) / 1e9
    print(f"{flop / 1e9:.2f} GFLOP a round, {speed:.0f} GFLOP/s at the floor\n")
    print(f"{'':22} {'images/s':>9} {'s an epoch':>11} {'× plain':>8} {'× floor':>8}")
    for name, times in seconds.items():
        faster = statistics.median(p / t for p, t in zip(plain, times, strict=True))
        slower = statistics.median(t / f for t, f in zip(times, bare, strict=True))
        middle = statistics.median(times)
        pace, epoch = BATCH / middle, 60_000 / BATCH * middle
        print(f"{name:22} {pace:9,.0f} {epoch:11.2f} {faster:8.2f} {slower:8.2f}")
    added = [
        ours / bare_one - 1
        for ours, bare_one in zip(seconds["zerosum fp32"], seconds["bare loop"], strict=True)
    ]
    print(f"\nadded to the bare loop: {statistics.median(added):.1%}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process, all contestants together: {peak:.2f} GiB")


if __name__ == "__main__":
    with tuned_processor():
        main()
