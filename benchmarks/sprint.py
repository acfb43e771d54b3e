"""How long until the digits are as good as the vanilla recipe's: `sprint` against the plain script.

    python benchmarks/sprint.py             # three seeds of each, in turns: half an hour
    python benchmarks/sprint.py --seeds 1

The goal is the Fréchet distance of the vanilla recipe's median seed, by its curve, in
docs/results.json. The time of `zerosum train sprint` is that of the whole command, from the start
of Python to its last file; its last checkpoint is then judged by 10,000 samples. The plain script
is that of `benchmarks/plain_script.py`, its data in memory: the clock stops whenever it is judged,
after each epoch, by as many samples, and it ends where it reaches the goal, or after 50 epochs.
Both have all threads. What is found goes to docs/sprint.json, and the table into docs/recipes.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from plain_script import EPOCHS, judged, load_pixels, play_plainly, sample
from vanilla import plain_nets

import zerosum
from zerosum.hardware import device_name

DOCS = Path(__file__).parent.parent / "docs"
FOUND, RESULTS, PAGE = DOCS / "sprint.json", DOCS / "results.json", DOCS / "recipes.md"
BEGIN, END = (f"<!-- made by benchmarks/sprint.py: {mark} -->" for mark in ("begin", "end"))


def find_goal() -> float:
    """The Fréchet distance of the vanilla recipe's median seed."""
    seeds = json.loads(RESULTS.read_text("utf-8"))["vanilla-mnist"]["seeds"].values()
    return statistics.median(seed["best"]["frechet_digits"]["value"] for seed in seeds)


def sprint(seed: int) -> dict[str, Any]:
    """Run the command, and judge where it ended."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/run"
        command = [sys.executable, "-m", "zerosum", "train", "sprint"]
        begun = time.perf_counter()
        subprocess.run(
            [*command, "--seed", str(seed), "--out", out], check=True, stdout=subprocess.DEVNULL
        )
        seconds = time.perf_counter() - begun
        metrics = zerosum.evaluate(zerosum.load(out), features="digits", metrics=["fid"])
    (distance,) = metrics.values()
    return {"seconds": seconds, "frechet_digits": distance.value}


def plain(seed: int, goal: float) -> dict[str, Any]:
    """Train plainly until the goal is reached, or no longer."""
    seconds, epochs, values = 0.0, 0, []
    begun = time.perf_counter()
    pixels = load_pixels()
    torch.manual_seed(seed)
    G, D = plain_nets()
    seen = 0
    for num_images in play_plainly(G, D, pixels):
        seen += num_images
        if seen % len(pixels):
            continue
        seconds += time.perf_counter() - begun
        epochs += 1
        with torch.random.fork_rng():
            values.append(judged(sample(G))["frechet_digits"])
        if values[-1] <= goal or epochs == EPOCHS:
            break
        begun = time.perf_counter()
    return {"seconds": seconds, "epochs": epochs, "frechet_digits": min(values)}


def table(known: dict[str, Any]) -> list[str]:
    """Lines of a table, a row for each of the two."""
    goal = known["goal"]
    lines = [
        f"To a Fréchet distance of {goal:.2f}, on {known['device']}:",
        "",
        "| | seconds, every seed | Fréchet distance, every seed | median seconds |",
        "|---|---|---|---|",
    ]
    medians = {}
    for side, title in (
        ("plain", f"the plain script, in at most {EPOCHS} epochs"),
        ("sprint", "`zerosum train sprint`, the whole command"),
    ):
        found = [each for _, each in sorted(known[side].items(), key=lambda item: int(item[0]))]
        medians[side] = statistics.median(each["seconds"] for each in found)
        seconds, values = (
            ", ".join(f"{each[name]:{form}}" for each in found)
            for name, form in (("seconds", ".0f"), ("frechet_digits", ".2f"))
        )
        lines.append(f"| {title} | {seconds} | {values} | {medians[side]:.0f} |")
    times = medians["plain"] / medians["sprint"]
    short = sum(each["frechet_digits"] > goal for each in known["plain"].values())
    lines += ["", f"The ratio of the medians is {times:.1f}."]
    if short:
        lines[-1] += (
            f" {short} of the plain script's {len(known['plain'])} seeds did not get there in "
            f"{EPOCHS} epochs, whose time counts."
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to one below this")
    arguments = parser.parse_args()
    goal = find_goal()
    device = f"{device_name(torch.device('cpu'))}, {torch.get_num_threads()} threads"
    known: dict[str, Any] = {"goal": goal, "device": device, "plain": {}, "sprint": {}}
    for seed in range(arguments.seeds):
        known["sprint"][str(seed)] = sprint(seed)
        print(f"sprint, seed {seed}: {known['sprint'][str(seed)]}", flush=True)
        known["plain"][str(seed)] = plain(seed, goal)
        print(f"plain script, seed {seed}: {known['plain'][str(seed)]}", flush=True)
    FOUND.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    lines = "\n".join(table(known))
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", "utf-8")
    print(lines)


if __name__ == "__main__":
    main()
