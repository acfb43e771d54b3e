"""What a second process gives: `python benchmarks/ranks.py [RECIPE…]`, on MNIST's shape.

Rounds of one process against those of two, each with one thread, in turns; bytes that a round adds
up over the processes, and the share of a round that is spent in that. Noise stands for the images:
they do not change how long a round takes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from zerosum.data.spec import DataSpec
from zerosum.recipes import RECIPES
from zerosum.training import distributed, torchrun
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

CPU = torch.device("cpu")
SECONDS, REPETITIONS = 4.0, 3


def measure(name: str) -> None:
    """Play rounds for some seconds as one of the processes, and print what came of it."""
    torch.set_num_threads(1)
    torchrun.meet(CPU)
    recipe = RECIPES[name]
    config = recipe.configure({"data": "mnist"})
    spec = DataSpec(shape=(1, 28, 28), classes=tuple("0123456789"))
    game = recipe.build(config.settled(1_000_000), spec, device=CPU)
    size = config.batch_size
    batch = torch.rand(size, 1, 28, 28) * 2 - 1, torch.arange(size) % 10
    spent = {"seconds": 0.0, "bytes": 0.0}
    dist.all_reduce = timed(dist.all_reduce, spent)
    rounds, began = 0, 0.0
    while not rounds or distributed.largest(int(time.monotonic() - began < SECONDS))[0]:
        play_round(
            game,
            lambda: batch,
            seed=0,
            turn_index=rounds,
            seen=0,
            bf16=False,
            stats=StepStats(),
        )
        rounds += 1
        if rounds == 1:  # which warms up
            began, spent["seconds"], spent["bytes"] = time.monotonic(), 0.0, 0.0
    passed, rounds = time.monotonic() - began, rounds - 1
    if distributed.rank() == 0:
        dealt = rounds * size * game.turns.count("D")
        print(dealt / passed, spent["bytes"] / rounds, spent["seconds"] / passed)


def timed(function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    """Note how long a sum over the processes takes, and of how many bytes it is."""

    def noted(tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        start = time.monotonic()
        found = function(tensor, *arguments, **options)
        spent["seconds"] += time.monotonic() - start
        spent["bytes"] += tensor.numel() * tensor.element_size()
        return found

    return noted


def started(name: str, world: int) -> list[float]:
    """Let so many processes measure, and give what process 0 has printed."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    where = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--rank", name],
            env={**os.environ, **where, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    first, *_ = [process.communicate()[0] for process in processes]
    return [float(number) for number in first.split()]


def main() -> None:
    """Print a line for each recipe."""
    if sys.argv[1:2] == ["--rank"]:
        measure(sys.argv[2])
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("recipe       1 process   2 processes   gain   MB a round   in the sum")
    for name in sys.argv[1:] or ["vanilla", "dcgan", "wgan-gp", "r3gan"]:
        turns = [(started(name, 1), started(name, 2)) for _ in range(REPETITIONS)]
        one, two = max(turn[0][0] for turn in turns), max(turn[1] for turn in turns)
        print(
            f"{name:12} {one:7.0f}/s {two[0]:11.0f}/s {two[0] / one:8.2f} {two[1] / 1e6:10.2f} "
            f"{100 * two[2]:10.0f} %"
        )


if __name__ == "__main__":
    main()
