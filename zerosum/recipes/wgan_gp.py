"""WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028): residual nets and a gradient penalty."""

from zerosum.recipes.settings import variant

Config = variant(
    "wgan-gp",
    "WGAN-GP's settings.",
    nets="resnet",
    loss="wasserstein",
    penalty="gradient-penalty:10",
    d_turns=5,
    latent_size=128,
    learning_rate=1e-4,
    betas=(0.0, 0.9),
    batch_size=64,
)
