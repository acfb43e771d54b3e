"""A small classifier of 28×28 gray images, whose last hidden layer is a space to compare sets in.

Trained by `tools/train_classifier.py`; the trained nets lie in `weights/`, with a model card.
"""

from __future__ import annotations

from torch import Tensor, nn

SIDE = 28
NUM_FEATURES = 128
NUM_CLASSES = 10


class Classifier(nn.Module):
    """Four convolutions, each with BatchNorm and ReLU, then the mean over places; 242,410 weights.

    Pooling comes before the norm: a maximum passes through ReLU unchanged, and a quarter of the
    values is cheaper to normalise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(1, 32, kernel=5, pool=True),  # 28×28 -> 14×14
            *convolution(32, 64, kernel=3, pool=True),  # -> 7×7
            *convolution(64, 128, kernel=3),
            *convolution(128, NUM_FEATURES, kernel=3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Look at gray images.

        Args:
            images: float (b, 1, 28, 28) in [-1, 1].

        Returns:
            Features (b, 128), none of them negative, and logits (b, 10).
        """
        features = self.body(images)
        return features, self.head(features)


def convolution(inputs: int, outputs: int, *, kernel: int, pool: bool = False) -> list[nn.Module]:
    """A convolution that keeps height and width, or halves them, with norm and ReLU."""
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        *([nn.MaxPool2d(2)] if pool else []),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
