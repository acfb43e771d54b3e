"""LPIPS diversity: which pairs are drawn, and what it says of collapsed samples."""

import pytest
import torch

from zerosum.data.store import ImageStore
from zerosum.metrics import diversity, lpips
from zerosum.metrics.evaluate import ImageCollection, evaluate_images


class Levels:
    """In place of LPIPS: how far apart flat images are in gray, and which were compared."""

    sha256 = "0" * 64

    def __init__(self):
        self.pairs = []

    def distance(self, first, second):
        levels = [images.flatten(1)[:, 0].float() for images in (first, second)]
        self.pairs += list(zip(*(level.tolist() for level in levels), strict=True))
        return (levels[0] - levels[1]).abs()

    def card(self):
        return {"features": "levels", "features_sha256": self.sha256, "resize": "none"}


def flat(levels):
    """Images (n, 1, 2, 2), each of one gray level."""
    return torch.as_tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def subject(levels):
    return ImageCollection(name="levels", split=None, images=flat(levels))


def test_no_image_is_in_two_pairs():
    net = Levels()
    diversity.diversity(flat(range(201)), net=net, seed=0)
    assert len(net.pairs) == 100
    assert len({level for pair in net.pairs for level in pair}) == 200


class Blocks(ImageStore):
    """Images that are made in blocks of 10, of which the last is remembered."""

    def __init__(self, images):
        self.images, self.made = images, []

    @property
    def shape(self):
        return self.images.shape

    def take(self, rows):
        for block in torch.unique(rows // 10).tolist():
            if self.made[-1:] != [block]:
                self.made.append(block)
        return self.images[rows]


@pytest.mark.parametrize("most", [2**30, 4 * 200])
def test_images_that_are_made_are_made_once_for_all_pairs(monkeypatch, most):
    images = flat(torch.arange(1000) % 251)
    expected, stored = Levels(), Levels()
    diversity.diversity(images, net=expected, seed=0)
    blocks = Blocks(images)
    monkeypatch.setattr(diversity, "MOST_BYTES", most)
    diversity.diversity(blocks, net=stored, seed=0)
    assert stored.pairs == expected.pairs
    groups = 1 if most == 2**30 else 5  # of 200 images each, as many as may be in memory
    assert len(blocks.made) <= 100 * groups
    assert set(blocks.made) == set(range(100))


def test_there_are_enough_pairs_at_1000():
    net = Levels()
    diversity.diversity(flat([0, 1] * 1500), net=net, seed=0)
    assert len(net.pairs) == diversity.NUM_PAIRS == 1000


def test_two_levels_have_a_closed_form():
    """Half of the pairs are mixed: the mean is 5, and so is the deviation."""
    found = diversity.diversity(flat([0, 10] * 1000), net=Levels(), seed=0)
    assert found.mean == pytest.approx(5, abs=0.5)
    assert found.deviation == pytest.approx(5, abs=0.1)


def test_the_seed_decides_the_pairs():
    images = flat(range(200))
    first, again, other = (
        diversity.diversity(images, net=Levels(), seed=seed).mean for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_collapsed_set_falls_below_its_floor(monkeypatch):
    fake, real = subject([7] * 300), subject(range(250))
    found = evaluate_images("lpips_diversity", fake, real, net=Levels(), seed=0)
    assert found.value == 0
    assert found.card["floor"] == pytest.approx(250 / 3, rel=0.15)
    assert found.card["pairs"] == 150
    assert found.card["floor_of"] == found.card["reference"]
    assert found.card["features"] == "levels"
    assert found.card["warning"] is None


def test_few_pairs_are_doubted():
    found = evaluate_images(
        "lpips_diversity", subject([1] * 20), subject([1] * 20), net=Levels(), seed=0
    )
    assert "10 pairs" in found.card["warning"]


def test_the_reference_is_looked_at_once(cache):
    fake, real = subject(range(20)), subject(range(100, 160))
    nets = [Levels(), Levels(), Levels()]
    found = [
        evaluate_images("lpips_diversity", fake, real, net=net, seed=seed)
        for net, seed in zip(nets, (0, 0, 1), strict=True)
    ]
    assert [len(net.pairs) for net in nets] == [40, 10, 40]
    assert found[0].card["floor"] == found[1].card["floor"] != found[2].card["floor"]


def test_a_real_net_sees_a_collapse():
    """Random weights are a distance too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = lpips.Perceptual(lpips.TRUNKS["alex"]).eval()
    net = lpips.Lpips(name="random", sha256="", net=trunk, device=torch.device("cpu"))
    noise = torch.randint(
        0, 256, (20, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    same = noise[:1].expand(20, -1, -1, -1)
    assert diversity.diversity(same, net=net, seed=0).mean == pytest.approx(0, abs=1e-6)
    assert diversity.diversity(noise, net=net, seed=0).mean > 1e-3
