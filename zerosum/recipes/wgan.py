"""WGAN (Arjovsky et al. 2017, arXiv 1701.07875): a critic with clipped weights."""

from zerosum.recipes.settings import variant

Config = variant(
    "wgan",
    "WGAN's settings.",
    nets="dcgan",
    d_norm="batch",
    loss="wasserstein",
    clip=0.01,
    d_turns=5,
    optimizer="rmsprop",
    learning_rate=5e-5,
    batch_size=64,
)
