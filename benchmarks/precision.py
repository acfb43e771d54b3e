"""Whether bf16 trains the vanilla GAN as well as fp32 does.

    python benchmarks/precision.py [--epochs 50] [--seeds 3]

Trains the recipe on MNIST with both precisions from the same seeds, and judges each run by the
Fréchet distance between 10,000 samples of the average of G and MNIST's 10,000 test images, in the
features of the shipped `digits` classifier. The difference is paired by seed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch
from torch import Tensor

import zerosum
from zerosum.data import load
from zerosum.metrics.features import FeatureNet, feature_net
from zerosum.metrics.frechet import frechet_distance

IMAGES = 10_000


@torch.no_grad()
def features(net: FeatureNet, pixels: Tensor) -> Tensor:
    return torch.cat([net.look(chunk)[0] for chunk in pixels.split(500)])


def judged(net: FeatureNet, reference: Tensor, **settings: object) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = zerosum.train(out=Path(folder) / "run", sample_every=1000, quiet=True, **settings)
        images = torch.from_numpy(run.sample(IMAGES)).permute(0, 3, 1, 2)
    return frechet_distance(features(net, images), reference)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()

    net = feature_net("digits", device=torch.device("cpu"))
    reference = features(net, load("mnist", split="test").images)
    floor = frechet_distance(features(net, load("mnist").images[:IMAGES]), reference)
    print(f"floor, 10,000 training images against the test images: {floor:.2f}", flush=True)
    differences = []
    for seed in range(arguments.seeds):
        fp32, bf16 = (
            judged(net, reference, epochs=arguments.epochs, seed=seed, precision=precision)
            for precision in ("fp32", "bf16")
        )
        print(f"seed {seed}: fp32 {fp32:.2f}, bf16 {bf16:.2f}", flush=True)
        differences.append(bf16 - fp32)
    spread = statistics.stdev(differences) if len(differences) > 1 else float("nan")
    print(f"bf16 - fp32: mean {statistics.mean(differences):+.2f}, deviation {spread:.2f}")


if __name__ == "__main__":
    main()
