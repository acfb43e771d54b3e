"""Where a round of the vanilla GAN spends its time on the CPU.

    python benchmarks/where_time_goes.py [--bf16]

Prints the milliseconds that each of torch's operations takes in a round, by torch's own profiler,
the costliest first. The profiler slows what it watches: speeds are `vanilla.py`'s to say.
"""

from __future__ import annotations

import argparse

from torch.profiler import ProfilerActivity, profile
from vanilla import zerosum_rounds

from zerosum.data import load
from zerosum.hardware import tuned_processor

ROUNDS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bf16", action="store_true")
    play = zerosum_rounds(load("mnist"), bf16=parser.parse_args().bf16)
    play(20)
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        play(ROUNDS)
    by_cost = sorted(watched.key_averages(), key=lambda event: -event.self_cpu_time_total)
    for event in by_cost[:12]:
        print(f"{event.self_cpu_time_total / 1000 / ROUNDS:7.3f} ms  {event.key}")
    total = sum(event.self_cpu_time_total for event in by_cost)
    print(f"{total / 1000 / ROUNDS:7.3f} ms  in all")


if __name__ == "__main__":
    with tuned_processor():
        main()
