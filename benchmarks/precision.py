"""Whether bf16 trains the vanilla GAN as well as fp32 does.

    python benchmarks/precision.py [--epochs 50] [--seeds 3]

Trains the recipe on MNIST with both precisions from the same seeds, and judges each run by the
Fréchet distance between 10,000 samples (of the average of G) and MNIST's 10,000 test images, in
the features of a small digit classifier that this script trains first (seed 0, its accuracy is
printed). The features are this script's own: compare figures of one call only. The difference is
paired by seed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zerosum
from zerosum.data import load
from zerosum.data.images import ImageSet, to_float
from zerosum.data.loader import Loader
from zerosum.metrics.frechet import frechet_distance
from zerosum.training.machine import tuned_processor

CPU = torch.device("cpu")


class Digits(nn.Module):
    """Images (b, 1, 28, 28) -> features (b, 128), and logits (b, 10) of them."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 49, 128), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images))


def train_classifier(images: ImageSet, epochs: int = 4) -> Digits:
    torch.manual_seed(0)
    net = Digits().train()
    loader = Loader(images, batch_size=128, seed=0, device=CPU)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    steps = epochs * loader.num_batches
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        real, labels = loader.next_batch()
        adam.zero_grad()
        cross_entropy(net(real), labels).backward()
        adam.step()
        decay.step()
    return net.eval()


@torch.no_grad()
def features(net: Digits, pixels: Tensor) -> Tensor:
    return torch.cat([net.trunk(to_float(chunk)) for chunk in pixels.split(1000)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()

    train, test = load("mnist"), load("mnist", split="test")
    net = train_classifier(train)
    with torch.no_grad():
        guesses = torch.cat([net(to_float(c)) for c in test.images.split(1000)]).argmax(1)
    print(f"classifier: {(guesses == test.labels).float().mean():.2%} of the test images right")
    reference = features(net, test.images)
    floor = frechet_distance(features(net, train.images[:10_000]), reference)
    print(f"floor: {floor:.2f}, 10,000 training images against the test images", flush=True)

    differences = []
    for seed in range(arguments.seeds):
        distances = {}
        for precision in ("fp32", "bf16"):
            with tempfile.TemporaryDirectory() as folder:
                run = zerosum.train(
                    epochs=arguments.epochs, seed=seed, precision=precision, out=Path(folder) / "r",
                    checkpoint_every=1000, sample_every=1000, watcher=Silence(),
                )  # fmt: skip
                for raw in (False, True):
                    images = torch.from_numpy(run.sample(10_000, raw=raw)).permute(0, 3, 1, 2)
                    distances[precision, raw] = frechet_distance(features(net, images), reference)
        figures = {f"{p}{' raw' * raw}": f"{d:.2f}" for (p, raw), d in distances.items()}
        print(f"seed {seed}: {figures}", flush=True)
        differences.append(distances["bf16", False] - distances["fp32", False])
    spread = statistics.stdev(differences) if len(differences) > 1 else float("nan")
    print(f"bf16 - fp32: {statistics.mean(differences):+.2f}, standard deviation {spread:.2f}")


class Silence:
    """A watcher that shows nothing."""

    def begin(self, **_: object) -> None: ...
    def update(self, **_: object) -> None: ...
    def epoch(self, record: object) -> None: ...
    def notice(self, text: str) -> None: ...
    def end(self) -> None: ...


if __name__ == "__main__":
    with tuned_processor():
        main()
