"""Images as a feature net sees them, a part at a time, and what is kept of that."""

from dataclasses import replace

import pytest
import torch

from zerosum.errors import UserError
from zerosum.metrics.embedding import embed, embed_reference, fingerprint, unseen
from zerosum.metrics.features import BATCH, FeatureNet


@pytest.fixture
def looks():
    """How many images were shown at a time."""
    return []


@pytest.fixture
def net(looks):
    """Features are the first two pixels, the logits their sum."""

    def look(images):
        looks.append(len(images))
        features = images.flatten(1)[:, :2].float()
        return features, features.sum(1, keepdim=True)

    return FeatureNet(name="pixels", look=look, sha256="ab" * 32, resize="none", classes=("all",))


@pytest.fixture
def images():
    numbers = torch.Generator().manual_seed(0)
    return torch.randint(256, (2 * BATCH + 5, 1, 2, 2), dtype=torch.uint8, generator=numbers)


def test_moments_do_not_depend_on_the_parts(net, looks, images):
    seen = embed(net, images, keep_features=True)
    assert looks == [BATCH, BATCH, 5]
    assert len(seen) == len(images)
    expected = images.flatten(1)[:, :2]
    assert torch.equal(seen.kept_features, expected.float())
    assert torch.equal(seen.logits[:, 0], expected.float().sum(1))
    torch.testing.assert_close(seen.moments.mean, expected.double().mean(0))
    torch.testing.assert_close(seen.moments.scatter / (len(images) - 1), expected.double().T.cov())


def test_a_net_is_shown_as_many_as_it_wants_and_the_moments_are_the_same(net, looks, images):
    expected = embed(net, images, keep_features=True)
    looks.clear()
    seen = embed(replace(net, batch=40), images, keep_features=True)
    assert looks == [40, 40, 20, 40, 40, 20, 5]
    assert torch.equal(seen.kept_features, expected.kept_features)
    assert torch.equal(seen.logits, expected.logits)
    assert torch.equal(seen.moments.mean, expected.moments.mean)
    assert torch.equal(seen.moments.scatter, expected.moments.scatter)


def test_what_nobody_asks_for_is_not_kept(net, images):
    seen = embed(net, images, keep_features=False, keep_logits=False)
    assert (seen.features, seen.logits) == (None, None)


def test_features_that_are_no_numbers_are_refused(net, images):
    broken = replace(net, look=lambda images: (torch.full((len(images), 2), torch.nan), None))
    with pytest.raises(UserError, match="'pixels' returned NaN or infinity"):
        embed(broken, images, keep_features=False)


def test_the_same_images_are_looked_at_once(net, looks, images, cache):
    first, again = (embed_reference(net, images, keep_features=True) for _ in range(2))
    assert looks == [BATCH, BATCH, 5]
    assert torch.equal(again.kept_features, first.kept_features)
    assert torch.equal(again.logits, first.logits)
    embed_reference(net, images[1:], keep_features=True)
    assert len(looks) == 6


def test_a_net_that_rounds_otherwise_is_asked_anew(net, looks, images, cache):
    embed_reference(net, images[:3], keep_features=True)
    embed_reference(replace(net, version="2"), images[:3], keep_features=True)
    assert looks == [3, 3]


def test_how_many_images_are_still_to_be_seen(net, images, cache):
    assert unseen(net, images, keep_features=True) == len(images)
    embed_reference(net, images, keep_features=True)
    assert unseen(net, images, keep_features=True) == 0
    assert unseen(net, images, keep_features=False) == len(images)
    assert unseen(replace(net, sha256=None), images, keep_features=True) == len(images)


def test_a_net_of_ones_own_is_asked_each_time(net, looks, images):
    for _ in range(2):
        embed_reference(replace(net, sha256=None), images[:3], keep_features=True)
    assert looks == [3, 3]


@pytest.mark.parametrize("keep", [True, False])
def test_what_was_kept_is_what_was_seen(net, looks, images, keep):
    seen, back = (
        embed_reference(net, images, keep_features=keep, keep_logits=keep) for _ in range(2)
    )
    assert len(looks) == 3  # the second time nothing was shown
    assert len(back) == len(seen)
    assert torch.equal(back.moments.mean, seen.moments.mean)
    assert torch.equal(back.moments.scatter, seen.moments.scatter)
    assert (back.features is None, back.logits is None) == (not keep, not keep)


def test_the_fingerprint_sees_pixels_and_shape_and_not_the_memory(images):
    assert fingerprint(images) == fingerprint(images.transpose(2, 3).contiguous().transpose(2, 3))
    assert fingerprint(images) != fingerprint(images.view(-1, 1, 4, 1))
    changed = images.clone()
    changed[-1, 0, 1, 1] ^= 1
    assert fingerprint(images) != fingerprint(changed)
