"""Principal directions of z: along which a generator's images change most, on average.

With J(z) the Jacobian of G, they are the eigenvectors of E[JᵀJ] over z ~ N(0, I): a step of length
s along a unit direction v changes an image by about s²·vᵀJᵀJv, squared and summed over its entries.
GANSpace (Härkönen et al. 2020, arXiv 2004.02546) finds such directions in the features of one
layer, SeFa (Shen and Zhou 2021, arXiv 2007.06600) in the first layer's weights; this one asks the
whole net and needs to know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.errors import UserError, whole_number
from zerosum.game.sampling import Generator, draw_inputs
from zerosum.seeds import enter_stream, own_randomness

NUM_SAMPLES = 2048
"""Points of z to average over, each with one random combination of G's outputs."""
BATCH = 128


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions of z, the one that changes most first. They are numbered from 1.

    Attributes:
        vectors: float32 (k, latent_size), rows of length 1, at right angles to each other. The
            largest entry of each is positive.
        shares: float32 (k,), each one's share of the whole change over all directions, in [0, 1].
    """

    vectors: NDArray[np.float32]
    shares: NDArray[np.float32]

    def move(self, steps: Mapping[int, float]) -> NDArray[np.float32]:
        """What steps add to z, float32 (latent_size,).

        Args:
            steps: how far along which direction, by its number: {1: -1.0, 3: 2.0}.

        Raises:
            UserError: there is no such direction, or a step is no finite number.
        """
        known = len(self.vectors)
        moved = np.zeros(self.vectors.shape[1], np.float32)
        for named, step in steps.items():
            number = whole_number("direction", named)
            if not 1 <= number <= known:
                raise UserError(f"There is no direction {number}: expected 1 to {known}.")
            if not isinstance(step, SupportsFloat) or not math.isfinite(step):
                raise UserError(f"The step along direction {number} was {step}: expected a number.")
            with np.errstate(all="ignore"):  # what is too large is refused where it is used
                moved += np.float32(step) * self.vectors[number - 1]
        return moved


def principal_directions(
    G: Generator, num_directions: int, *, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Directions:
    """Find the directions of z along which G's images change most.

    E[JᵀJ] is estimated without ever forming J: for u ~ N(0, I) over the outputs, g = Jᵀu, one
    backward pass, has E[ggᵀ] = JᵀJ.

    Args:
        G: one that makes images of z, in eval mode. Of classes it is told all in turn.
        num_directions: how many; there are no more than z has entries.
        num_samples: how many draws of z and u to average over. They are drawn on the CPU, so that
            a direction is the same wherever G computes, but for rounding.
        seed: decides these.

    Raises:
        UserError: G makes no images of noise.
    """
    device = next(G.parameters()).device
    cpu = torch.device("cpu")
    gradients = []
    with own_randomness(cpu):
        enter_stream(cpu, "directions", seed)
        for start in range(0, num_samples, BATCH):
            drawn = draw_inputs(G.inputs, min(BATCH, num_samples - start), cpu)
            z, *others = (each.to(device) for each in drawn)
            with torch.enable_grad():
                z.requires_grad_()
                images = G(z, *others)
                weights = torch.randn(images.shape).to(device)
                (gradient,) = torch.autograd.grad(images, z, weights)
            gradients.append(gradient.double().cpu())
    rows = torch.cat(gradients)
    total = rows.T @ rows
    values, vectors = torch.linalg.eigh(total)  # ascending
    chosen = vectors.T.flip(0)[:num_directions]
    largest = chosen.gather(1, chosen.abs().argmax(dim=1, keepdim=True))
    chosen = chosen * torch.where(largest < 0, -1.0, 1.0)  # their sign is free
    values = values.flip(0).clamp(min=0)
    shares = values[:num_directions] / values.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return Directions(chosen.float().numpy(), shares.float().numpy())
