"""The pool of old fakes: what is shown, what is remembered, and that nothing else happens."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.game.pool import Pool

SHAPE = (1, 1, 2)


def numbered(first, count):
    """Images (count, 1, 1, 2), each of its own number from `first` on, no 0 among them."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, *SHAPE)


def numbers(images):
    assert torch.equal(images[..., 0], images[..., 1])
    return images[:, 0, 0, 0].int().tolist()


def remembered(pool):
    return numbers(pool.images[: int(pool.count)])


def filled(size):
    """A full pool of the images 1 to `size`."""
    pool = Pool(size, SHAPE)
    images = numbered(1, size)
    pool.take(images, pool.mix(images)[1])
    return pool


@st.composite
def sizes_and_batches(draw):
    size = draw(st.integers(1, 8))
    return size, draw(st.lists(st.integers(1, size), min_size=1, max_size=15))


@given(sizes_and_batches(), st.integers(0, 2**32))
def test_every_batch_is_shown_as_it_is_or_in_part_replaced_by_what_is_remembered(
    size_and_batches, seed
):
    torch.manual_seed(seed)
    size, batches = size_and_batches
    pool, first = Pool(size, SHAPE), 1
    for count in batches:
        fakes, before = numbered(first, count), remembered(pool)
        images, places = pool.mix(fakes)
        assert remembered(pool) == before  # who only looks changes nothing
        shown, expected = numbers(images), set(before)
        if len(before) + count <= size:
            assert shown == numbers(fakes)
            expected |= set(shown)
        else:
            for mine, old in zip(numbers(fakes), shown, strict=True):
                if mine != old:
                    expected.remove(old)  # which fails where it was not remembered, or shown twice
                    expected.add(mine)
        pool.take(fakes, places)
        assert set(remembered(pool)) == expected
        assert len(remembered(pool)) == len(expected) <= size
        first += count


def test_a_pool_of_none_shows_what_is_new():
    pool = Pool(0, SHAPE)
    for first in (1, 5, 9):
        fakes = numbered(first, 4)
        images, places = pool.mix(fakes)
        assert torch.equal(images, fakes)
        pool.take(fakes, places)
    assert pool.count == 0
    assert not pool.images.any()


def test_a_full_pool_replaces_about_half_and_all_of_it_alike():
    torch.manual_seed(0)
    size, batch, rounds = 10, 5, 400
    pool = filled(size)
    replaced, often = 0, torch.zeros(size)
    for round_ in range(rounds):
        fakes = numbered(100 + batch * round_, batch)
        images, places = pool.mix(fakes)
        swapped = (images != fakes).all(dim=(1, 2, 3))
        replaced += int(swapped.sum())
        often += torch.bincount(places[swapped], minlength=size)
        pool.take(fakes, places)
    shown = batch * rounds
    assert abs(replaced - shown / 2) < 5 * (shown / 4) ** 0.5
    share = shown / 2 / size
    assert (often - share).abs().max() < 5 * share**0.5


def test_where_a_batch_finds_no_room_the_old_ones_are_shown_and_never_a_blank():
    torch.manual_seed(0)
    pool = Pool(5, SHAPE)
    pool.take(numbered(1, 3), pool.mix(numbered(1, 3))[1])  # the next three do not fit
    seen = set()
    for _ in range(200):
        shown = numbers(pool.mix(numbered(10, 3))[0])
        assert set(shown) <= {1, 2, 3, 10, 11, 12}
        seen |= set(shown)
    assert seen == {1, 2, 3, 10, 11, 12}


def test_what_is_remembered_is_the_new_image_and_no_graph():
    torch.manual_seed(0)
    pool = filled(4)
    fakes = numbered(10, 4).clone().requires_grad_()
    pool.take(fakes, pool.mix(fakes)[1])
    assert not pool.images.requires_grad
    assert max(remembered(pool)) >= 10


def test_half_precision_comes_back_as_it_went_in():
    torch.manual_seed(0)
    pool = Pool(8, SHAPE)
    fakes = torch.rand(8, *SHAPE).bfloat16()
    pool.take(fakes, pool.mix(fakes)[1])
    images, _ = pool.mix(torch.zeros_like(fakes))
    old = images[images.flatten(1).any(dim=1)]
    assert (images.dtype, pool.images.dtype) == (torch.bfloat16, torch.float32)
    assert len(old) > 0
    assert all((fakes == image).all(dim=(1, 2, 3)).any() for image in old)


def test_it_goes_on_where_it_was_saved():
    torch.manual_seed(0)
    pool, again = filled(4), Pool(4, SHAPE)
    again.load_state_dict(pool.state_dict(), strict=True)
    outcomes = []
    for each in (pool, again):
        torch.manual_seed(1)
        for first in (10, 20, 30):
            fakes = numbered(first, 3)
            images, places = each.mix(fakes)
            each.take(fakes, places)
            outcomes.append(images)
    assert all(map(torch.equal, outcomes[:3], outcomes[3:]))
    assert remembered(pool) == remembered(again) != [1, 2, 3, 4]


def test_one_of_another_size_does_not_take_it_up():
    with pytest.raises(RuntimeError, match="size mismatch"):
        Pool(3, SHAPE).load_state_dict(filled(4).state_dict())
