"""R3GAN (Huang et al. 2025, arXiv 2501.05441): pairs of real and fake, R1 and R2, no normalisation.

The learning rate, the penalties and Adam's second decay rate are annealed along a cosine. The
paper's nets for CIFAR-10 have width 768. On digits the nets are narrow, most of all where maps are
large, and learn faster, so that a CPU is done within the hour.
"""

from zerosum.config.gan import on_digits, on_photographs, variant

Config = variant(
    "r3gan",
    "R3GAN's settings.",
    nets="r3gan",
    loss="relativistic",
    penalty="r1:1,r2:1",
    latent_size=64,
    learning_rate=2e-4,
    betas=(0.0, 0.9),
    width=256,
    epochs=None,
    images=3_000_000,
    anneal="budget",
    anneal_rate=0.25,
    anneal_penalty=0.1,
    anneal_beta=0.99,
    on_toys={"penalty": "r1:0.01,r2:0.01"},
    on_data={
        **on_digits(images=300_000, width=32, tapers_above=7, batch_size=32, learning_rate=1e-3),
        **on_photographs(penalty="r1:0.05,r2:0.05"),
    },
)
