"""SAGAN (Zhang et al. 2019, arXiv 1805.08318): self-attention and spectral norm in both nets."""

from zerosum.config.gan import on_digits, variant

Config = variant(
    "sagan",
    "SAGAN's settings.",
    nets="resnet",
    spectral_norm="both",
    attention="auto",
    loss="hinge",
    latent_size=128,
    learning_rate=1e-4,
    d_learning_rate=4e-4,
    betas=(0.0, 0.9),
    batch_size=64,
    width=128,
    epochs=None,
    images=1_000_000,
    on_data=on_digits(epochs=7, width=32, tapers_above=7, batch_size=32, learning_rate=2e-4),
)
