"""LSGAN (Mao et al. 2017, arXiv 1611.04076): DCGAN's nets with least squares for cross entropy."""

from zerosum.recipes.settings import variant

Config = variant(
    "lsgan",
    "LSGAN's settings.",
    nets="dcgan",
    d_norm="batch",
    loss="least-squares",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
)
