"""Trains the nets behind `--features digits` and `--features fashion`.

    python tools/train_classifier.py digits      # 8 minutes on two free cores
    python tools/train_classifier.py fashion

Writes zerosum/metrics/weights/<name>.safetensors and prints its accuracy and sha256, which go into
weights/README.md and `zerosum/metrics/features.py`. On the same machine and torch the same file
comes out again; elsewhere, one that is as good. The test split decides nothing but whether the
result is good enough to ship.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import zerosum.metrics.classifier
from zerosum import data
from zerosum.data.images import to_float
from zerosum.data.loader import Loader
from zerosum.metrics.classifier import Classifier
from zerosum.seeds import enter_stream

WEIGHTS = Path(zerosum.metrics.classifier.__file__).parent / "weights"
CPU = torch.device("cpu")
SEED = 0
BATCH_SIZE = 256
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.02


@dataclass(frozen=True, kw_only=True)
class Task:
    """What differs between the two nets."""

    data: str
    epochs: int
    disturbance: float  # 1 for what `disturbed` does at most, 0 for images upright and centred
    average_decay: float  # of the weights' average: 0.99 forgets half in 69 steps
    flips: bool  # whether an image and its mirror image are of one class
    least_accuracy: float


TASKS = {
    "digits": Task(
        data="mnist",
        epochs=16,
        disturbance=1,
        average_decay=0.998,
        flips=False,
        least_accuracy=0.995,
    ),
    # Clothes were photographed alike: a net of this size that must also know them turned and
    # shifted knows them less well.
    "fashion": Task(
        data="fashion-mnist",
        epochs=12,
        disturbance=0,
        average_decay=0.99,
        flips=True,
        least_accuracy=0.92,
    ),
}


def main(name: str) -> None:
    """Train one net, judge it on the test split and write it."""
    task = TASKS[name]
    net = train(task)
    test = data.load(task.data, split="test")
    right = accuracy(net, test)
    print(f"test accuracy {right:.2%}")
    if right < task.least_accuracy:
        sys.exit(f"Expected at least {task.least_accuracy:.1%}: not written.")
    path = WEIGHTS / f"{name}.safetensors"
    # Counters of batches serve only training.
    tensors = {key: value for key, value in net.state_dict().items() if value.ndim}
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: {path.stat().st_size:,} bytes, sha256 {digest}")


def train(task: Task) -> Classifier:
    """Train on the train split, and return the average of the weights over the last steps."""
    enter_stream(CPU, "classifier", SEED)
    # With the channels last, bfloat16 convolutions are twice as fast on a CPU that has them.
    net = Classifier().to(memory_format=torch.channels_last)
    average = AveragedModel(
        net, multi_avg_fn=get_ema_multi_avg_fn(task.average_decay), use_buffers=True
    )
    loader = Loader(data.load(task.data), batch_size=BATCH_SIZE, seed=SEED, device=CPU)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=task.epochs * loader.num_batches
    )
    began = time.monotonic()
    for epoch in range(task.epochs):
        total = 0.0
        for _ in range(loader.num_batches):
            images, labels = loader.next_batch()
            with torch.autocast("cpu", torch.bfloat16):
                _, logits = net(disturbed(images, task))
                loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(net)
            total += loss.item()
        seconds = time.monotonic() - began
        print(
            f"epoch {epoch + 1} loss {total / loader.num_batches:.4f} {seconds:.0f} s", flush=True
        )
    return average.module.eval()


def disturbed(images: Tensor, task: Task) -> Tensor:
    """Shift by up to 2 pixels, turn by up to 10 degrees, scale by up to 10 %, and maybe mirror.

    Args:
        images: float (b, 1, 28, 28) in [-1, 1], of which -1 is the background.
        task: how much of this they get, and whether half of them are mirrored.
    """
    count, side = len(images), images.shape[-1]
    angle, log_scale, right, down = torch.empty(4, count).uniform_(-1, 1) * task.disturbance
    angle, scale = angle * math.radians(10), torch.exp(log_scale * math.log(1.1))
    mirror = torch.randint(0, 2, (count,)) * 2 - 1 if task.flips else torch.ones(count)
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    shift = 2 / (side / 2)  # affine_grid's coordinates run from -1 to 1
    rows = [cosine * mirror, -sine, right * shift, sine * mirror, cosine, down * shift]
    where = F.affine_grid(
        torch.stack(rows, dim=1).view(count, 2, 3), list(images.shape), align_corners=False
    )
    # Outside lies 0, so the background has to be 0 while images are moved.
    return F.grid_sample(images + 1, where, align_corners=False) - 1


@torch.no_grad()
def accuracy(net: Classifier, images: data.ImageSet) -> float:
    """The share of images whose class the net names."""
    assert images.labels is not None
    right = 0
    for pixels, labels in zip(images.images.split(500), images.labels.split(500), strict=True):
        _, logits = net(to_float(pixels))
        right += int((logits.argmax(1) == labels).sum())
    return right / len(images)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TASKS:
        sys.exit(f"Usage: python {sys.argv[0]} {'|'.join(TASKS)}")
    main(sys.argv[1])
