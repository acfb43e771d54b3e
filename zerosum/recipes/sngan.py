"""SNGAN (Miyato et al. 2018, arXiv 1802.05957): residual nets, spectral norm in D, hinge loss.

On digits one turn of a faster D stands for five, as in `wgan_gp.py`.
"""

from zerosum.config.gan import on_digits, variant

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
    width=128,
    epochs=None,
    images=3_000_000,
    on_data=on_digits(
        epochs=5, width=32, tapers_above=7, batch_size=32, d_turns=1, d_learning_rate=4e-4
    ),
)
