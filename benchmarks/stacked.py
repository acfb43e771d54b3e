"""How well the net `stacked-digits` reads real images of Stacked MNIST.

    python benchmarks/stacked.py

Prints the modes found among the 26,000 real test images, KL against uniform shares, and the share
of images of which all three digits are read rightly.
"""

from __future__ import annotations

import math

import torch

from zerosum import data
from zerosum.metrics.embedding import embed
from zerosum.metrics.features import feature_net


def main() -> None:
    test = data.load("stacked-mnist", split="test")
    net = feature_net("stacked-digits", device=torch.device("cpu"))
    logits = embed(net, test.images, keep_features=False).logits
    assert logits is not None
    assert test.labels is not None
    read = logits.argmax(dim=1)
    shares = read.bincount(minlength=len(test.classes)).double() / len(read)
    divergence = torch.special.xlogy(shares, shares).sum().item() + math.log(len(shares))
    print(f"{len(read):,} images: {int(shares.count_nonzero()):,} modes, KL {divergence:.4f}")
    print(f"all three digits read rightly: {(read == test.labels).double().mean():.2%}")


if __name__ == "__main__":
    main()
