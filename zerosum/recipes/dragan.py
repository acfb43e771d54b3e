"""DRAGAN (Kodali et al. 2017, arXiv 1705.07215): D's gradient is penalised around the data."""

from zerosum.config.gan import on_digits, variant

Config = variant(
    "dragan",
    "DRAGAN's settings.",
    nets="dcgan",
    d_norm="none",
    penalty="dragan:10",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
    width=64,
    epochs=None,
    images=1_000_000,
    on_data=on_digits(epochs=8, width=32, batch_size=64),
)
