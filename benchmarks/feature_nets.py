"""How fast the feature nets look at images, by how many are shown at a time.

    python benchmarks/feature_nets.py [--threads 1] [--rounds 3] [--nets inception digits]

All take turns, so that other jobs on the machine disturb them alike, and the fastest of some rounds
counts. Beside Inception as it is stands the file's own network shown 100 images at a time, which is
what version 0.1 did. On a busy machine take one thread, and read the images a second of processor
time. The agreement of Inception's features with the file's is printed too.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from zerosum.hardware import device_name, processor_share, tuned_processor
from zerosum.metrics import inception
from zerosum.metrics.features import feature_net
from zerosum.metrics.lpips import lpips_net
from zerosum.metrics.weight_files import INCEPTION, LPIPS

CPU = torch.device("cpu")
BATCHES = (4, 8, 16, 32, 100)
LPIPS_NETS = ("alex", "vgg")
Look = Callable[[Tensor], object]


def lookers(nets: list[str]) -> dict[str, tuple[Look, int]]:
    """What is timed, by what to call it, and the images that it is shown at a time."""
    found: dict[str, tuple[Look, int]] = {}
    for name in nets:
        if name == "inception":
            found["inception of 0.1"] = published(), 100
            look: Look = feature_net(name, device=CPU).look
            sizes: tuple[int, ...] = BATCHES[:-1]
        elif name in LPIPS_NETS:
            look, sizes = partial(apart, lpips_net(name, device=CPU)), BATCHES
        else:
            look, sizes = feature_net(name, device=CPU).look, BATCHES
        found |= {f"{name}, {batch} at a time": (look, batch) for batch in sizes}
    return found


def published() -> Look:
    """Inception by the file's own network."""
    net = inception.as_published(INCEPTION.read(*INCEPTION.files))
    return lambda images: net(inception.prepare(images))


def apart(net: object, images: Tensor) -> Tensor:
    """The distances of images from one another."""
    return net.distance(images, images.flip(0))


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=processor_share())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nets", nargs="+", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    nets = ["digits", "random"]
    nets += ["inception"] * (INCEPTION.locate() is not None)
    nets += list(LPIPS_NETS) * (LPIPS.locate() is not None)
    looks = lookers(arguments.nets or nets)
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(256, (max(BATCHES), 1, 28, 28), dtype=torch.uint8, generator=numbers)
    print(f"{device_name(CPU)}, {arguments.threads} threads, torch {torch.__version__}")
    best = dict.fromkeys(looks, (math.inf, math.inf))
    for _ in range(arguments.rounds + 1):
        for name, (look, batch) in looks.items():
            wall, busy = time.perf_counter(), time.process_time()
            look(images[:batch])
            took = time.perf_counter() - wall, time.process_time() - busy
            best[name] = tuple(
                min(old, new / batch) for old, new in zip(best[name], took, strict=True)
            )
    print(f"{'':28}{'images/s':>10}{'a processor-second':>20}")
    for name, (wall, busy) in best.items():
        print(f"{name:28}{1 / wall:10,.1f}{1 / busy:20,.1f}")
    if "inception of 0.1" in best:
        before = best["inception of 0.1"]
        after = best[f"inception, {inception.BATCH} at a time"]
        ratios = [old / new for old, new in zip(before, after, strict=True)]
        print(f"Inception is {ratios[0]:.2f} times as fast; in processor time {ratios[1]:.2f}.")
        expected = looks["inception of 0.1"][0](images[:8])
        given = feature_net("inception", device=CPU).look(images[:8])[0]
        error = ((given - expected).norm() / expected.norm()).item()
        print(f"Its features differ from the file's by {error:.1e} of their length.")


if __name__ == "__main__":
    with tuned_processor():
        main()
