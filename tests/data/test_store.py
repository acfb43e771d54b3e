"""What is not in memory is seen as a tensor of the same pixels would be."""

import pytest
import torch

from zerosum.data.holdout import contents
from zerosum.data.images import ImageSet
from zerosum.data.store import (
    ImageStore,
    Stacked,
    View,
    changed,
    chunks,
    in_memory,
    sample,
    subset,
)


class Elsewhere(ImageStore):
    """Images of a tensor that nobody may see as one."""

    def __init__(self, images):
        self._images = images

    @property
    def shape(self):
        return self._images.shape

    def take(self, rows):
        return self._images[rows].clone()


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (11, 2, 3, 4), generator=generator, dtype=torch.uint8)


def test_it_is_indexed_as_a_tensor_is(images):
    store = Elsewhere(images)
    assert len(store) == 11
    for rows in (3, -1, slice(2, 5), slice(None), slice(None, None, 3), torch.tensor([4, 0, 4])):
        assert torch.equal(store[rows], images[rows])
    assert torch.equal(torch.stack(list(store)), images)
    with pytest.raises(IndexError):
        store[11]


def test_rows_of_rows_are_rows(images):
    rows, of_those = torch.tensor([9, 1, 5, 5]), torch.tensor([3, 0])
    found = subset(subset(Elsewhere(images), rows), of_those)
    assert isinstance(found, View)
    assert torch.equal(in_memory(found), images[rows][of_those])
    assert torch.equal(subset(images, rows), images[rows])


def test_a_change_changes_the_shape_too(images):
    found = changed(Elsewhere(images), lambda pixels: pixels[:, 1:])
    assert found.shape == (11, 1, 3, 4)
    assert torch.equal(in_memory(found), images[:, 1:])
    assert torch.equal(changed(images, lambda pixels: pixels[:, 1:]), images[:, 1:])


def test_pairs_are_stacked_whether_or_not_one_side_is_in_memory(images):
    pairs = torch.tensor([[0, 2], [7, 7], [3, 2]])
    expected = torch.cat([images[pairs[:, 0]], images[pairs[:, 1]]], dim=1)
    for first in (images, Elsewhere(images)):
        found = Stacked(first, Elsewhere(images), pairs)
        assert found.shape == expected.shape
        assert torch.equal(in_memory(found), expected)


def test_chunks_are_all_of_it_in_turn(images, monkeypatch):
    monkeypatch.setattr("zerosum.data.store.CHUNK_BYTES", 3 * 24)
    found = list(chunks(Elsewhere(images)))
    assert [len(chunk) for chunk in found] == [3, 3, 3, 2]
    assert torch.equal(torch.cat(found), images)
    assert next(iter(chunks(images))) is images


def test_a_set_is_known_by_its_pixels_wherever_they_are(images):
    labels = torch.arange(11) % 2

    def make(pixels):
        return ImageSet(images=pixels, labels=labels, classes=("a", "b"), name="set")

    whole, rows = make(images), torch.tensor([2, 3, 5])
    assert make(Elsewhere(images)).fingerprint() == whole.fingerprint()
    assert make(Elsewhere(images)).take(rows).fingerprint() == whole.take(rows).fingerprint()
    assert contents(Elsewhere(images)) == contents(images)


def test_a_store_may_stand_for_pixels_that_take_too_long_to_read(images):
    class Indexed(Elsewhere):
        fingerprint = "0123"

        def take(self, rows):
            raise AssertionError("nothing was to be read")

    def name(store):
        return ImageSet(images=store, labels=None, classes=(), name="set").fingerprint()

    assert name(Indexed(images)) == name(Indexed(images)) != name(Indexed(images[:5]))


class Reversed(Elsewhere):
    """Deals its rows from the last to the first."""

    has_own_order = True
    fingerprint = "0" * 64

    def order(self, generator):
        return torch.arange(len(self)).flip(0)


def test_a_part_is_dealt_in_the_order_of_the_whole_where_that_has_one(images):
    store = Reversed(images)
    rows = torch.tensor([7, 2, 9])
    generator = torch.Generator()
    assert rows[View(store, rows=rows).order(generator)].tolist() == [9, 7, 2]
    assert View(store).order(generator).tolist() == list(range(10, -1, -1))
    twice = View(store, rows=torch.tensor([7, 2, 7]))
    assert sorted(twice.order(generator).tolist()) == [0, 1, 2]
    plain = View(Elsewhere(images), rows=rows)
    expected = torch.randperm(3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(plain.order(torch.Generator().manual_seed(5)), expected)


def test_a_part_has_a_fingerprint_of_its_own_where_the_whole_has_one(images):
    store = Reversed(images)
    parts = [View(store), View(store, rows=torch.tensor([1])), View(store, rows=torch.tensor([2]))]
    assert len({store.fingerprint, *(part.fingerprint for part in parts)}) == 4
    assert View(store, change=lambda images: 255 - images).fingerprint is None


def test_a_sample_is_drawn_at_random_but_where_far_images_are_dear(images):
    generator = torch.Generator().manual_seed(5)
    expected = torch.randperm(11, generator=torch.Generator().manual_seed(5))[:4]
    assert torch.equal(sample(images, 4, generator), expected)
    assert sample(Reversed(images), 4).tolist() == [0, 1, 2, 3]
    assert len(sample(Reversed(images), 40)) == 11
