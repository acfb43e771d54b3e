"""BatchNorm whose statistics are those of the images of all processes.

Plain operations and one differentiable sum, so that it can be differentiated twice, which torch's
SyncBatchNorm cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from zerosum.game.share import Share


def batch_norm_over_all(
    share: Share,
    maps: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Compute as `torch.nn.functional.batch_norm`, with the maps (b, c, ...) of all processes.

    Running statistics become what they would in one process.
    """
    if not training:
        return F.batch_norm(maps, running_mean, running_var, weight, bias, training, momentum, eps)
    dtype = maps.dtype
    maps = maps if dtype == torch.float64 else maps.float()
    place, processes = share.place
    own = moments_of(maps)
    row = own.new_zeros(processes, 1)
    row[place] = 1
    found = share.summed(row * own)
    channels = maps.shape[1]
    means, variances, counts = found[:, :channels], found[:, channels:-1], found[:, -1:]
    # Chan's way to put moments together: no difference of large squares.
    total = counts.sum()
    mean = (counts * means).sum(0) / total
    variance = (counts * (variances + (means - mean).square())).sum(0) / total
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            unbiased = variance * (total / (total - 1).clamp(min=1))
            running_var.lerp_(unbiased.to(running_var), momentum)
    scale = (variance + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    shape = [1, -1] + [1] * (maps.dim() - 2)
    return torch.addcmul(shift.view(shape), maps, scale.view(shape)).to(dtype)


def moments_of(maps: Tensor) -> Tensor:
    """The means, variances and number of values of a channel of maps (b, c, ...): (2 c + 1,)."""
    over = [axis for axis in range(maps.dim()) if axis != 1]
    variance, mean = torch.var_mean(maps, dim=over, correction=0)
    return torch.cat([mean, variance, mean.new_full((1,), maps.numel() // maps.shape[1])])
