"""WGAN (Arjovsky et al. 2017, arXiv 1701.07875): a critic with clipped weights."""

from zerosum.config.gan import on_digits, variant

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
    width=64,
    epochs=None,
    images=3_000_000,
    on_data=on_digits(
        epochs=12,
        width=32,
        batch_size=32,
        learning_rate=5e-4,
        d_learning_rate=2e-4,
        anneal="budget",
        anneal_rate=0.05,
    ),
)
