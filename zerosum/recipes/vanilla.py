"""The GAN everybody meets first (Goodfellow et al. 2014, arXiv 1406.2661), on MNIST.

G 100-256-512-784 with ReLU and Tanh, D 784-512-256-1 with leaky ReLU, binary cross entropy with
the non-saturating loss for G, Adam 2e-4 with betas (0.5, 0.999) for both, batches of 128.
"""

from zerosum.config.gan import variant

Config = variant(
    "vanilla",
    "The vanilla GAN's settings.",
    nets="mlp",
    latent_size=100,
    hidden=(256, 512),
    loss="non-saturating",
    learning_rate=2e-4,
    betas=(0.5, 0.999),
    batch_size=128,
    epochs=100,
    sample_every=10,
    checkpoint_every=5,
    evaluate_every=5,
)
