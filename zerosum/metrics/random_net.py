"""Random features: a space to compare images in that needs no training, no weights and no labels.

A frozen net of random convolutions tells textures, strokes and colours apart, whatever the images
are of. It is no judge of meaning, but the same one for everybody: its weights follow from a seed.

Source: Naeem et al. 2020, arXiv 2002.09797, section 3.3, who take random embeddings for images far
from ImageNet's.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

SEED = 0
SIDE = 32
WIDTHS = (32, 48, 32)
NUM_FEATURES = WIDTHS[-1] * 2 * 2


class RandomNet(nn.Module):
    """Three convolutions with leaky ReLU, each halving the side, and the means over quarters."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        layers: list[nn.Module] = []
        inputs = 3
        for width in WIDTHS:
            # Without the usual initial values, which would draw from everybody's generator.
            layer = nn.Conv2d(inputs, width, 5, stride=2, padding=2, bias=False, device="meta")
            layer = layer.to_empty(device="cpu")
            # The gain of He et al. 2015 keeps the scale from layer to layer.
            nn.init.kaiming_normal_(layer.weight, a=0.2, generator=generator)
            layers += [layer, nn.LeakyReLU(0.2)]
            inputs = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Float (b, 3, 32, 32) in [-1, 1] -> features (b, 128)."""
        features: Tensor = self.body(images)
        return features

    def sha256(self) -> str:
        """The hash of all weights, in order."""
        digest = hashlib.sha256()
        for weight in self.parameters():
            digest.update(weight.detach().cpu().numpy().tobytes())
        return digest.hexdigest()
