"""How many of the modes of a data set a generator finds, and how evenly it visits them.

For data whose modes are known: MNIST's ten digits, or the 1,000 of Stacked MNIST, whose three
channels hold a digit each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.metrics.features import FeatureNet


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Modes found among samples, against the data's."""

    covered: int  # modes with at least one sample
    divergence: float  # KL(samples || data) in nats; 0 when each mode has the data's share


def count_modes(labels: Tensor, *, shares: Tensor) -> Modes:
    """Count the modes that samples cover, and compare their shares with the data's.

    Args:
        labels: int64 (n,), the mode of each sample, in [0, k).
        shares: (k,), each mode's share of the data, all positive.

    Source: the protocol of VEEGAN (Srivastava et al. 2017, arXiv 1705.07761) and PacGAN (Lin et
    al. 2018, arXiv 1712.04086), section 4: 1,000 modes, 26,000 samples, uniform shares.
    """
    counts = torch.bincount(labels, minlength=len(shares)).double()
    found = counts / counts.sum()
    # xlogy: a mode without samples adds 0.
    divergence = torch.special.xlogy(found, found) - torch.special.xlogy(found, shares.double())
    return Modes(covered=int((counts > 0).sum()), divergence=divergence.sum().item())


@torch.inference_mode()
def stacked_labels(net: FeatureNet, images: Tensor) -> Tensor:
    """Read the number in an image whose channels hold a digit each, the hundreds first.

    Args:
        net: the feature net `digits`.
        images: uint8 (n, c, h, w).

    Returns:
        int64 (n,) in [0, 10**c), on the CPU.
    """
    labels = torch.zeros(len(images), dtype=torch.int64)
    for channel in range(images.shape[1]):
        _, logits = net.look(images[:, channel : channel + 1])
        assert logits is not None
        labels = 10 * labels + logits.argmax(dim=1).cpu()
    return labels
