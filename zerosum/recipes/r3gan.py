"""R3GAN (Huang et al. 2025, arXiv 2501.05441): pairs of real and fake, R1 and R2, no normalisation.

The learning rate, the penalties and Adam's second decay rate are annealed along a cosine.
"""

from zerosum.recipes.settings import variant

Config = variant(
    "r3gan",
    "R3GAN's settings.",
    nets="r3gan",
    loss="relativistic",
    penalty="r1:1,r2:1",
    latent_size=64,
    learning_rate=2e-4,
    betas=(0.0, 0.9),
    anneal=1_500_000,
    anneal_rate=0.25,
    anneal_penalty=0.1,
    anneal_beta=0.99,
)
