"""Principal directions of z: along which a generator's images change most, on average.

With J(z) the Jacobian of G, they are the eigenvectors of E[JᵀJ] over z ~ N(0, I): a step of length
s along a unit direction v changes an image by about s²·vᵀJᵀJv, squared and summed over its entries.
GANSpace (Härkönen et al. 2020, arXiv 2004.02546) finds such directions in the features of one
layer, SeFa (Shen and Zhou 2021, arXiv 2007.06600) in the first layer's weights; this one asks the
whole net and needs to know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.game.sampling import Generator, draw_inputs
from zerosum.seeds import enter_stream, own_randomness

NUM_SAMPLES = 2048
"""Points of z to average over, each with one random combination of G's outputs."""
BATCH = 128


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions of z, the one that changes most first.

    Attributes:
        vectors: float32 (k, latent_size), rows of length 1, at right angles to each other. The
            largest entry of each is positive.
        shares: float32 (k,), each one's share of the whole change over all directions, in [0, 1].
    """

    vectors: NDArray[np.float32]
    shares: NDArray[np.float32]


def principal_directions(
    G: Generator, num_directions: int, *, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Directions:
    """Find the directions of z along which G's images change most.

    E[JᵀJ] is estimated without ever forming J: for u ~ N(0, I) over the outputs, g = Jᵀu, one
    backward pass, has E[ggᵀ] = JᵀJ.

    Args:
        G: one that makes images of z, in eval mode. Of classes it is told all in turn.
        num_directions: how many; there are no more than z has entries.
        num_samples: how many draws of z and u to average over.
        seed: decides these.
    """
    device = next(G.parameters()).device
    size = next(each.shape[0] for each in G.inputs if each.kind == "latent") or 0
    total = torch.zeros(size, size, dtype=torch.float64)
    with own_randomness(device):
        enter_stream(device, "directions", seed)
        for start in range(0, num_samples, BATCH):
            z, *others = draw_inputs(G.inputs, min(BATCH, num_samples - start), device)
            with torch.enable_grad():
                z.requires_grad_()
                images = G(z, *others)
                (gradient,) = torch.autograd.grad(images, z, torch.randn_like(images))
            rows = gradient.double().cpu()
            total += rows.T @ rows
    values, vectors = torch.linalg.eigh(total)  # ascending
    chosen = vectors.T.flip(0)[:num_directions]
    largest = chosen.gather(1, chosen.abs().argmax(dim=1, keepdim=True))
    chosen = chosen * torch.where(largest < 0, -1.0, 1.0)  # their sign is free
    values = values.flip(0).clamp(min=0)
    shares = values[:num_directions] / values.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return Directions(chosen.float().numpy(), shares.float().numpy())
