"""SNGAN (Miyato et al. 2018, arXiv 1802.05957): residual nets, spectral norm in D, hinge loss."""

from zerosum.recipes.settings import variant

Config = variant(
    "sngan",
    "SNGAN's settings.",
    nets="resnet",
    spectral_norm="D",
    loss="hinge",
    d_turns=5,
    latent_size=128,
    learning_rate=2e-4,
    betas=(0.0, 0.9),
    batch_size=64,
)
