"""Random features: the same for everybody, and in the right order."""

import pytest
import torch
import torch.nn.functional as F

from zerosum import data
from zerosum.metrics.embedding import embed
from zerosum.metrics.features import cheap_net, feature_net
from zerosum.metrics.frechet import frechet_distance
from zerosum.metrics.random_net import NUM_FEATURES, RandomNet

CPU = torch.device("cpu")


def test_the_weights_follow_from_the_seed_alone():
    torch.manual_seed(1)
    first = RandomNet()
    torch.manual_seed(2)
    assert RandomNet().sha256() == first.sha256()
    assert feature_net("random", device=CPU).sha256 == first.sha256()


def test_making_it_draws_from_nobody_elses_generator():
    torch.manual_seed(1)
    RandomNet()
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.rand(3).equal(after)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (3, 3, 64, 48), (3, 4, 8, 8), (3, 3, 1, 1)])
def test_it_gives_features_of_images_of_any_shape(shape):
    found, logits = feature_net("random", device=CPU).look(
        torch.randint(0, 256, shape, dtype=torch.uint8)
    )
    assert found.shape == (3, NUM_FEATURES)
    assert found.isfinite().all()
    assert logits is None


def distances(*spoilt):
    """Fréchet distances of images, spoilt in some ways, from others of their kind."""
    images = data.load("mnist", split="test").images[:2000]
    net = feature_net("random", device=CPU)
    reference = embed(net, images[1000:], keep_features=True).features
    return [
        frechet_distance(embed(net, spoil(images[:1000]), keep_features=True).features, reference)
        for spoil in spoilt
    ]


def noisy(deviation):
    def spoil(images):
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + deviation * noise).clamp(0, 255).to(torch.uint8)

    return spoil


def blurred(width):
    return lambda images: F.avg_pool2d(images.float(), width, 1, width // 2).to(torch.uint8)


@pytest.mark.parametrize(
    "spoilt",
    [[noisy(20), noisy(60), noisy(120)], [blurred(3), blurred(7), blurred(15)]],
    ids=["noise", "blur"],
)
def test_the_worse_the_images_the_larger_the_distance(spoilt):
    found = distances(lambda images: images, *spoilt)
    assert found == sorted(found)
    assert found[1] > 1.5 * found[0]


def test_a_training_is_judged_by_the_net_that_knows_its_classes():
    assert [cheap_net(name) for name in ("mnist", "fashion-mnist", "photos/", "./mnist")] == [
        "digits",
        "fashion",
        "random",
        "random",
    ]
