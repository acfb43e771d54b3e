"""AC-GAN (Odena et al. 2017, arXiv 1610.09585): G is told the class, and D has to name it."""

from zerosum.config.gan import on_digits, variant

Config = variant(
    "acgan",
    "AC-GAN's settings.",
    nets="dcgan",
    d_norm="batch",
    conditioning="classifier",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
    width=64,
    epochs=None,
    images=1_000_000,
    on_data=on_digits(epochs=4, width=32, batch_size=64),
)
