"""Multilayer perceptrons: the G and D of the GAN that everybody meets first.

Both take a condition (b, k) beside their input; with k = 0 there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from zerosum.nets.layers import blocks_in, with_spectral_norm


class Generator(nn.Module):
    """z (b, latent_size) and condition (b, k) -> images (b, c, h, w) in [-1, 1].

    Linear layers with ReLU between them and Tanh at the end.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        latent_size: int,
        hidden: Sequence[int],
        condition_size: int = 0,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        sizes = [latent_size + condition_size, *hidden, prod(image_shape)]
        self.layers = perceptron(sizes, nn.ReLU())
        self.layers.append(nn.Tanh())
        if spectral_norm:
            with_spectral_norm(self)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        images: Tensor = self.layers(with_condition(z, condition))
        return images.view(-1, *self.image_shape)


class Discriminator(nn.Module):
    """Images (b, pack·c, h, w) in [-1, 1] and condition (b, pack·k) -> logits (b, outputs).

    Linear layers with leaky ReLU between them; the sigmoid is part of the loss.

    Args:
        image_shape: (c, h, w) of one image.
        hidden: entries of each hidden layer.
        condition_size: columns k of one image's condition.
        outputs: columns of the logits: 1, and an auxiliary classifier's beside it.
        pack: images that are judged together, they and their conditions stacked.
        spectral_norm: normalise every layer by its largest singular value.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        hidden: Sequence[int],
        condition_size: int = 0,
        outputs: int = 1,
        pack: int = 1,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        inputs = pack * (prod(image_shape) + condition_size)
        self.layers = perceptron([inputs, *hidden, outputs], nn.LeakyReLU(0.2))
        if spectral_norm:
            with_spectral_norm(self)

    @property
    def depth_blocks(self) -> list[list[nn.Module]]:
        """As `zerosum.nets.layers.depth_blocks`."""
        return blocks_in(self.layers)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.layers(with_condition(images.flatten(1), condition))
        return logits


def perceptron(sizes: Sequence[int], activation: nn.Module) -> nn.Sequential:
    """Linear layers of the given sizes with the activation between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation]
    return nn.Sequential(*layers[:-1])


def with_condition(inputs: Tensor, condition: Tensor) -> Tensor:
    """Append the condition's columns, without a copy when it has none."""
    return torch.cat([inputs, condition], dim=1) if condition.shape[1] else inputs
