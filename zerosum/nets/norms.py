"""The norms that follow the convolutions of Pix2Pix's nets, by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Norm = Literal["batch", "instance", "none"]
"""What a convolution's maps are normalised by: over a batch, over each image alone, not at all."""


def norm_layers(norm: Norm, channels: int) -> list[nn.Module]:
    """The layer that normalises maps (b, channels, h, w), or none.

    Instance norm (Ulyanov et al. 2016, arXiv 1607.08022) has gains and shifts as BatchNorm has,
    and no running averages: it is the same in training and afterwards. Its gains are drawn here
    from N(1, 0.02²), as `initialise_normal` draws those of BatchNorm. It needs maps of more than
    one pixel.
    """
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "instance":
        layer = nn.InstanceNorm2d(channels, affine=True)
        nn.init.normal_(layer.weight, 1.0, 0.02)
        return [layer]
    return []
