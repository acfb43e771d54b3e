"""The conditional GAN (Mirza and Osindero 2014, arXiv 1411.1784): G and D are told the class."""

from zerosum.config.gan import on_digits, variant

Config = variant(
    "cgan",
    "The conditional GAN's settings.",
    nets="dcgan",
    d_norm="batch",
    conditioning="concat",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
    width=64,
    epochs=None,
    images=1_000_000,
    on_data=on_digits(epochs=8, width=32, batch_size=64),
)
