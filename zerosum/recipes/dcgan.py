"""DCGAN (Radford et al. 2015, arXiv 1511.06434): strided convolutions and BatchNorm."""

from zerosum.config.gan import on_digits, on_photographs, variant

Config = variant(
    "dcgan",
    "DCGAN's settings.",
    nets="dcgan",
    d_norm="batch",
    latent_size=100,
    learning_rate=2e-4,
    betas=(0.5, 0.999),
    width=64,
    epochs=None,
    images=1_000_000,
    on_data={
        **on_digits(epochs=12, width=32, batch_size=64),
        **on_photographs(anneal="budget", anneal_rate=0.0, ema_half_life=100_000),
    },
)
