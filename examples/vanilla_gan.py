"""The GAN everybody meets first, in one file. Run it: python examples/vanilla_gan.py.

Two small networks play a zero-sum game on handwritten digits. The generator G turns noise into
images, the discriminator D tells real images from G's. Each learns only from the other's mistakes,
and after about 50 rounds through the data G draws digits that nobody wrote.

Needs torch, numpy and pillow. `zerosum train` plays the same game, to the last bit of its weights.
"""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

MNIST = Path(__file__).parent.parent / "zerosum/data/mnist/train-images-idx3-ubyte.gz"
LATENT, BATCH, EPOCHS, SEED = 100, 128, 100, 0


def load_digits():
    """Read the 60,000 digits as bytes, (60000, 784): the file is a 16-byte header and pixels."""
    pixels = np.frombuffer(gzip.decompress(MNIST.read_bytes()), np.uint8, offset=16)
    return torch.tensor(pixels).view(-1, 28 * 28)


def generator():
    """G: noise (b, 100) -> images (b, 784). Tanh keeps pixels in [-1, 1], like the real ones."""
    return nn.Sequential(
        nn.Linear(LATENT, 256), nn.ReLU(),
        nn.Linear(256, 512), nn.ReLU(),
        nn.Linear(512, 784), nn.Tanh(),
    )  # fmt: skip


def discriminator():
    """D: images (b, 784) -> logits (b, 1). Their sigmoid, inside the loss, is P(image is real)."""
    return nn.Sequential(
        nn.Linear(784, 512), nn.LeakyReLU(0.2),
        nn.Linear(512, 256), nn.LeakyReLU(0.2),
        nn.Linear(256, 1),
    )  # fmt: skip


def seed(*where):
    """Begin a stream of random numbers that its name alone decides, such as ("turn", 0, 17).

    A training that stopped can then go on exactly, without having saved any generator's state.
    """
    name = "/".join(map(str, where)).encode()
    torch.manual_seed(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") >> 1)


def train(digits, epochs):
    """Play the game for some epochs, and return G and D."""
    torch.set_flush_denormal(True)  # numbers near 1e-40 count as 0: arithmetic on them is slow
    seed("init", SEED)
    G, D = generator(), discriminator()
    G_adam, D_adam = (
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        for net in (G, D)
    )
    turn = 0
    for epoch in range(epochs):
        seed("data", SEED, epoch)
        D_losses, G_losses = [], []
        for indices in torch.randperm(len(digits)).split(BATCH):
            real = digits[indices].float().div(127.5).sub(1)  # bytes to [-1, 1]
            b = len(real)

            # D's turn: call real images 1 and fakes 0. G only draws here, so it needs no graph.
            seed("turn", SEED, turn)
            with torch.no_grad():
                fake = G(torch.randn(b, LATENT))
            real_logits, fake_logits = D(torch.cat([real, fake])).split(b)
            D_loss = cross_entropy(real_logits, torch.ones(b, 1)) + cross_entropy(
                fake_logits, torch.zeros(b, 1)
            )
            D_adam.zero_grad()
            D_loss.backward()
            D_adam.step()

            # G's turn: make D call fakes 1. The gradient runs through D into G; only G steps.
            seed("turn", SEED, turn + 1)
            fake_logits = D(G(torch.randn(b, LATENT)))
            G_loss = cross_entropy(fake_logits, torch.ones(b, 1))
            G_adam.zero_grad()
            G_loss.backward(inputs=list(G.parameters()))
            G_adam.step()

            turn += 2
            D_losses.append(D_loss.detach())
            G_losses.append(G_loss.detach())
        means = [torch.stack(losses).mean() for losses in (D_losses, G_losses)]
        print(f"Epoch [{epoch + 1}/{epochs}] Loss D: {means[0]:.4f}, Loss G: {means[1]:.4f}")
        if (epoch + 1) % 10 == 0:
            save_grid(G, f"generated_epoch_{epoch + 1}.png")
    return G, D


@torch.no_grad()
def save_grid(G, path):
    """Draw 4×4 digits, from the same noise each time so that the pictures can be compared."""
    noise = torch.randn(16, LATENT, generator=torch.Generator().manual_seed(SEED))
    rows = G(noise).view(4, 4, 28, 28).permute(0, 2, 1, 3).reshape(112, 112)
    pixels = rows.mul(127.5).add(127.5).round().byte().numpy()
    Image.fromarray(pixels).resize((448, 448), Image.Resampling.NEAREST).save(path)


if __name__ == "__main__":
    train(load_digits(), EPOCHS)
