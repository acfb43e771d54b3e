"""LSGAN (Mao et al. 2017, arXiv 1611.04076): DCGAN's nets with least squares for cross entropy."""

from zerosum.config.gan import on_digits, on_photographs, variant

Config = variant(
    "lsgan",
    "LSGAN's settings.",
    nets="dcgan",
    d_norm="batch",
    loss="least-squares",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
    width=64,
    epochs=None,
    images=1_000_000,
    on_data={
        **on_digits(epochs=8, width=32, batch_size=64),
        **on_photographs(anneal="budget", anneal_rate=0.0, ema_half_life=100_000),
    },
)
