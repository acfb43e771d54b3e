import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.errors import UserError
from zerosum.game.packing import check_pack, pack


def unpack(packs, count):
    """The images of packs (n, count * c, ...), end to end again: (n * count, c, ...)."""
    return packs.reshape(len(packs) * count, packs.shape[1] // count, *packs.shape[2:])


SMALL = st.integers(1, 4)


@given(packs=SMALL, count=SMALL, shape=st.lists(SMALL, min_size=1, max_size=3))
def test_unpacking_gives_the_images_back(packs, count, shape):
    images = torch.randn(packs * count, *shape)
    packed = pack(images, count)
    assert packed.shape == (packs, count * shape[0], *shape[1:])
    assert torch.equal(unpack(packed, count), images)


def test_a_pack_holds_consecutive_images_one_after_the_other():
    images = torch.randn(6, 3, 4, 5)
    packed = pack(images, 2)
    for number in range(3):
        assert torch.equal(packed[number, :3], images[2 * number])
        assert torch.equal(packed[number, 3:], images[2 * number + 1])


def test_real_and_fake_laid_end_to_end_do_not_meet_in_a_pack():
    real, fake = torch.ones(4, 1, 2, 2), torch.zeros(4, 1, 2, 2)
    packed = pack(torch.cat([real, fake]), 2)
    assert torch.equal(packed, torch.cat([pack(real, 2), pack(fake, 2)]))


def test_packs_of_one_change_nothing():
    images = torch.randn(3, 2, 4, 4)
    assert torch.equal(pack(images, 1), images)


def test_gradients_come_back_to_each_image():
    images = torch.randn(4, 1, 2, 2, requires_grad=True)
    weights = torch.randn(2, 2, 2, 2)
    (pack(images, 2) * weights).sum().backward()
    torch.testing.assert_close(images.grad, unpack(weights, 2))


@pytest.mark.parametrize(
    ("count", "size", "advice"), [(3, 128, "126 or 129"), (5, 4, "5,"), (2, 1, "2,")]
)
def test_a_pack_that_does_not_divide_the_batch_is_refused_with_sizes_that_do(count, size, advice):
    with pytest.raises(UserError, match=f"Packs of {count}.*has {size},.*--batch-size {advice}"):
        pack(torch.zeros(size, 1, 2, 2), count)
    with pytest.raises(UserError, match="does not divide"):
        check_pack(count, size)


@pytest.mark.parametrize("count", [0, -2])
def test_a_pack_of_nothing_is_refused(count):
    with pytest.raises(UserError, match=f"pack of {count}.*Expected --pack 1 or more"):
        check_pack(count, 8)
