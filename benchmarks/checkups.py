"""What a checkup costs, and what its rules say of runs.

    python benchmarks/checkups.py                     # seconds of one processor, vanilla on MNIST
    python benchmarks/checkups.py runs/results/*      # a verdict for each look in these runs' logs

Verdicts are drawn anew from the signs in the logs, by today's rules, whichever were in force when
the runs were trained.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from zerosum import data
from zerosum.callbacks.monitor import Monitor
from zerosum.data.spec import DataSpec
from zerosum.hardware import tuned_processor
from zerosum.metrics.features import cheap_net, feature_net
from zerosum.metrics.health import HealthSignals, diagnose
from zerosum.recipes import get
from zerosum.recipes.gan import build
from zerosum.training.ema import EMA
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State


def vanilla(**settings):
    return get("vanilla").configure(settings)


CPU = torch.device("cpu")


def seconds() -> Iterator[float]:
    """Seconds of processor time of one checkup after another."""
    game = build(vanilla(), DataSpec(shape=(1, 28, 28)), device=CPU)
    state = State(game, EMA(game.G.net, half_life=0))
    net = feature_net(cheap_net("mnist"), device=CPU)
    checkup = Monitor(state, data.load("mnist"), data.load("mnist", split="test"), net=net, seed=0)
    while True:
        began = time.process_time()
        checkup(History())
        yield time.process_time() - began


def verdicts(path: Path) -> Iterator[str]:
    """The verdict of each look at a run, alarms in capitals."""
    looks: list[HealthSignals] = []
    for record in RunDirectory(path).history().records:
        if "health" in record:
            # Runs from before these two were signs: the record says the one, nothing the other.
            looks.append(
                HealthSignals(
                    **{"seen": record["seen"], "modes": None, **record["health"]["signs"]}
                )
            )
            verdict = diagnose(looks)
            name = verdict.name.upper() if verdict.alarm else verdict.name
            yield f"{record['epoch']} {name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    runs = parser.parse_args().runs
    for run in runs:
        print(f"{run}: {', '.join(verdicts(run))}")
    if not runs:
        torch.set_num_threads(1)
        with tuned_processor():
            torch.set_num_threads(1)
            first, *others = (cost for cost, _ in zip(seconds(), range(4), strict=False))
        print(f"first look {first:.1f} s, further ones {', '.join(f'{s:.2f}' for s in others)} s")


if __name__ == "__main__":
    main()
