"""WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028): residual nets and a gradient penalty.

On digits one turn of a faster critic stands for five (Heusel et al. 2017, arXiv 1706.08500), so
that a CPU spends its time on G.
"""

from zerosum.config.gan import on_digits, variant

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
    width=128,
    epochs=None,
    images=3_000_000,
    on_data=on_digits(
        epochs=6,
        width=32,
        tapers_above=7,
        batch_size=32,
        d_turns=1,
        learning_rate=3e-4,
        d_learning_rate=6e-4,
    ),
)
