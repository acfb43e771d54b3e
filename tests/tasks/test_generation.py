import pytest
import torch

from zerosum.data.images import ImageSet
from zerosum.tasks.generation import Generation


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 28, 20), "images of 28×20 gray"),
        ((3, 28, 20), "images of 28×20 RGB"),
        ((4, 28, 20), "images of 28×20 RGBA"),
        ((5, 28, 20), "images of 28×20 pixels, 5 channels"),
    ],
)
def test_images_are_described(shape, words):
    images = torch.zeros((3, *shape), dtype=torch.uint8)
    assert Generation().describe(ImageSet(name="", images=images, labels=None, classes=())) == words
