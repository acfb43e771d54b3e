"""The conditional GAN (Mirza and Osindero 2014, arXiv 1411.1784): G and D are told the class."""

from zerosum.recipes.settings import variant

Config = variant(
    "cgan",
    "The conditional GAN's settings.",
    nets="dcgan",
    d_norm="batch",
    conditioning="concat",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
)
