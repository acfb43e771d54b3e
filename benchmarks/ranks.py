"""What a second process gives, and what it changes: `python benchmarks/ranks.py`.

    python benchmarks/ranks.py                    # both tables, into docs/scale.md
    python benchmarks/ranks.py noise              # what it changes, after 20 rounds
    python benchmarks/ranks.py pace               # what it gives; wants a machine of its own
    python benchmarks/ranks.py pace dcgan r3gan   # some recipes, printed and not written

Noise: the weights after 20 rounds on MNIST in fp32, of two threads against one, in one process, and
of two processes of a thread each against that one. Both only add in another order. pix2pix and
cyclegan translate digits to their negatives, 32×32, in batches of 4.

Pace: rounds of one process against those of two, each with one thread, in turns; bytes that a round
adds up over the processes, and the share of a round that is spent in that. Noise stands for the
images: they do not change how long a round takes. And the seconds of an evaluation on MNIST.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from zerosum import data
from zerosum.callbacks.monitor import Monitor
from zerosum.config.base import Settings
from zerosum.data.images import to_float
from zerosum.data.spec import DataSpec
from zerosum.game.core import Game
from zerosum.hardware import device_name
from zerosum.metrics.features import feature_net
from zerosum.recipes import RECIPES
from zerosum.seeds import enter_stream
from zerosum.training import distributed, torchrun
from zerosum.training.ema import EMA
from zerosum.training.log import History
from zerosum.training.passes import own_rows
from zerosum.training.precision import arithmetic_in
from zerosum.training.round import play_round
from zerosum.training.state import State
from zerosum.training.step_stats import StepStats

CPU = torch.device("cpu")
SECONDS, REPETITIONS = 4.0, 3
ROUNDS = 20
PACED = ("vanilla", "dcgan", "wgan-gp", "r3gan")
LOOKS, NOTHING = 3, 1e-11
"""Rounds in float64 in which a gradient is looked at, and the share of the player's largest one
below which it is zero but for rounding."""
ROUNDING = 2.0**-24
"""Of one number in fp32, relative: what threads change, at least, where two add as one does."""
PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- made by benchmarks/{}, {}: begin -->", "<!-- end -->"


def build(name: str) -> tuple[Game, Settings, DataSpec]:
    """A recipe's game as on MNIST, or on pairs of the size of digits, with fresh weights."""
    recipe = RECIPES[name]
    if recipe.task == "generation":
        config = recipe.configure({"data": "mnist"})
        spec = DataSpec(shape=(1, 28, 28), classes=tuple("0123456789"))
    else:
        config = recipe.configure({"data": "mine", "size": "32", "batch_size": 4})
        spec = DataSpec(shape=(2, 32, 32), source_channels=1)
    enter_stream(CPU, "init", 0)
    return recipe.build(config.settled(1_000_000), spec, device=CPU), config, spec


def digits(spec: DataSpec, size: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Deals the digits in their order; to translate, each and its negative."""
    images = data.load("mnist")
    assert isinstance(images.images, Tensor)
    assert images.labels is not None
    pixels, labels = to_float(images.images), images.labels
    if spec.source_channels:
        padded = torch.nn.functional.pad(pixels[:2000], (2, 2, 2, 2), value=-1.0)
        pixels = torch.cat([padded, -padded], dim=1)
    place = 0

    def deal() -> tuple[Tensor, Tensor]:
        nonlocal place
        start, place = place, place + size
        return pixels[start:place], labels[start:place]

    return deal


def play(
    game: Game,
    deal: Callable[[], tuple[Tensor, Tensor]],
    rounds: int,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Play rounds, each process its own images."""

    def own() -> Any:
        images, labels = deal()
        if distributed.world() == 1:
            return images, labels
        start, stop = own_rows(game, len(images))
        return images[start:stop], labels[start:stop], start, len(images)

    seen = 0
    for number in range(rounds):
        turn = number * len(game.turns)
        stats = StepStats()
        seen += play_round(game, own, seed=0, turn_index=turn, seen=seen, bf16=False, stats=stats)
        after()


def weights_of(game: Game) -> dict[str, Tensor]:
    """All weights of both players."""
    return {
        f"{player}/{name}": parameter.detach()
        for player, net in (("G", game.G.net), ("D", game.D.net))
        for name, parameter in net.named_parameters()
    }


def keep_weights(name: str, threads: str, out: str) -> None:
    """Play the rounds as one of the processes, and write the weights."""
    torch.set_num_threads(int(threads))
    torchrun.meet(CPU)
    game, config, spec = build(name)
    play(game, digits(spec, config.batch_size), ROUNDS)
    if distributed.rank() == 0:
        safetensors.torch.save_file(weights_of(game), out)


def print_without_gradient(name: str) -> None:
    """Name the weights whose gradient is zero but for rounding, whatever the images are."""
    with arithmetic_in("fp64", CPU):
        game, config, spec = build(name)
        largest: dict[str, float] = {}

        def look() -> None:
            for player, net in (("G", game.G.net), ("D", game.D.net)):
                norms = {
                    f"{player}/{name}": float(parameter.grad.norm())
                    for name, parameter in net.named_parameters()
                    if parameter.grad is not None
                }
                most = (
                    max(norms.values()) or 1.0
                )  # a hinge loss may be 0, and all gradients with it
                for key, norm in norms.items():
                    largest[key] = max(largest.get(key, 0.0), norm / most)

        play(game, digits(spec, config.batch_size), LOOKS, look)
    print(json.dumps([name for name, share in largest.items() if share < NOTHING]))


def difference(one: dict[str, Tensor], other: dict[str, Tensor], names: Sequence[str]) -> float:
    """The relative difference over all weights of these names: of norms."""
    gaps = sum(float((one[name].double() - other[name].double()).square().sum()) for name in names)
    sizes = sum(float(one[name].double().square().sum()) for name in names)
    return float((gaps / sizes) ** 0.5)


def noise_of(name: str) -> str:
    """A recipe's row of the table of noise."""
    symmetric = json.loads(started(["--symmetric", name], 1))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for world, threads in ((1, 1), (1, 2), (2, 1)):
            out = f"{folder}/{world}-{threads}.safetensors"
            started(["--weights", name, str(threads), out], world, threads=threads)
            found.append(safetensors.torch.load_file(out))
    one, *others = found
    learning = [key for key in one if key not in symmetric]
    of_all = [difference(one, other, [*one]) for other in others]
    threads, processes = (difference(one, other, learning) for other in others)
    return (
        f"| `{name}` | {of_all[0]:.1e} | {of_all[1]:.1e} | {threads:.1e} | {processes:.1e} "
        f"| {processes / max(threads, ROUNDING):.1f} | {in_short(symmetric)} |"
    )


def in_short(names: Sequence[str]) -> str:
    """Weights by their names, those of the same kind together."""
    if len(names) <= 2:
        return ", ".join(f"`{name}`" for name in names)
    players = {player: sum(name.startswith(player) for name in names) for player in "GD"}
    counts = [f"{count} of {player}" for player, count in players.items() if count]
    return f"{' and '.join(counts)}, such as `{names[0]}`"


def noise(names: Sequence[str]) -> str:
    """The table of what a second process changes."""
    rows = [
        "| recipe | two threads | two processes | likewise, without those of no gradient | | ratio "
        "| weights of no gradient |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        rows.append(noise_of(name))
        print(rows[-1], flush=True)
    return "\n".join(rows)


def measure(name: str) -> None:
    """Play rounds for some seconds as one of the processes, and print what came of it."""
    torch.set_num_threads(1)
    torchrun.meet(CPU)
    game, config, spec = build(name)
    size = config.batch_size
    batch = torch.rand(size, *spec.shape) * 2 - 1, torch.arange(size) % 10
    spent = {"seconds": 0.0, "bytes": 0.0, "sums": 0.0}
    dist.all_reduce = timed(dist.all_reduce, spent)
    rounds, began = 0, 0.0
    while not rounds or distributed.largest(int(time.monotonic() - began < SECONDS))[0]:
        play(game, lambda: batch, 1)
        rounds += 1
        if rounds == 1:  # which warms up
            began = time.monotonic()
            spent.update(dict.fromkeys(spent, 0.0))
    passed, rounds = time.monotonic() - began, rounds - 1
    if distributed.rank() == 0:
        dealt = rounds * size * game.turns.count("D")
        each_round = spent["bytes"] / rounds, spent["sums"] / rounds
        print(dealt / passed, *each_round, spent["seconds"] / passed)
    looked = look(game)
    if distributed.rank() == 0:
        print(looked)


def look(game: Game) -> float:
    """Seconds of an evaluation on MNIST, once the real images have been looked at."""
    state = State(game, EMA(game.G.net, half_life=1000))
    held_out = data.load("mnist", split="test") if distributed.rank() == 0 else None
    net = feature_net("digits", device=CPU)
    monitor = Monitor(state, data.load("mnist"), held_out, net=net, seed=0)
    monitor(History())
    distributed.from_first(None)  # the others have had less to do
    began = time.monotonic()
    monitor(History())
    return time.monotonic() - began


def timed(function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    """Note how long a sum over the processes takes, and of how many bytes it is."""

    def noted(tensor: Tensor, *arguments: Any, **options: Any) -> Any:
        start = time.monotonic()
        found = function(tensor, *arguments, **options)
        spent["seconds"] += time.monotonic() - start
        spent["sums"] += 1
        spent["bytes"] += tensor.numel() * tensor.element_size()
        return found

    return noted


def paces(names: Sequence[str]) -> str:
    """The table of what a second process gives."""
    rows = [
        "| recipe | one process | two processes | gain | MB a round | in sums | of the time "
        "| evaluation by one | by two |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        turns = []
        for _ in range(REPETITIONS):
            found = [started(["--pace", name], world).split() for world in (1, 2)]
            turns.append([[float(number) for number in each] for each in found])
        one, two = max(turn[0][0] for turn in turns), max(turn[1] for turn in turns)
        looks = [min(turn[place][4] for turn in turns) for place in (0, 1)]
        rows.append(
            f"| `{name}` | {one:,.0f}/s | {two[0]:,.0f}/s | {two[0] / one:.2f} "
            f"| {two[1] / 1e6:.2f} | {two[2]:.0f} | {100 * two[3]:.0f} % "
            f"| {looks[0]:.1f} s | {looks[1]:.1f} s |"
        )
        print(rows[-1], flush=True)
    return "\n".join(rows)


def started(arguments: Sequence[str], world: int, *, threads: int = 1) -> str:
    """Let so many processes work, and give what process 0 has printed."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    where = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *arguments],
            env={**os.environ, **where, "RANK": str(rank), "OMP_NUM_THREADS": str(threads)}
            | {"GOMP_SPINCOUNT": "10000"},  # as the command has it
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{arguments} in {world} processes failed")
    return said[0]


def write(name: str, lines: str, *, by: str = "ranks.py") -> None:
    """Put a table into the page, between its marks."""
    begin = BEGIN.format(by, name)
    before, _, rest = PAGE.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n{lines}\n{END}{after or chr(10)}", "utf-8")


WORK = {"--weights": keep_weights, "--symmetric": print_without_gradient, "--pace": measure}
TABLES = {"noise": (noise, tuple(RECIPES)), "pace": (paces, PACED)}


def main() -> None:
    """Make the tables that are asked for, or work as one of the processes."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in WORK:
        WORK[arguments[0]](*arguments[1:])
        return
    names = arguments[1:]
    load = os.getloadavg()[0]
    where = f"{device_name(CPU)}, {os.cpu_count()} processors, load {load:.1f} before"
    print(where)
    for table in arguments[:1] or TABLES:
        make, all_of_them = TABLES[table]
        rows = make(names or all_of_them)
        if not names:
            write(table, f"{where}:\n\n{rows}")


if __name__ == "__main__":
    main()
