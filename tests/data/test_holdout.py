import pytest
import torch

from zerosum.data.holdout import held_out_of, rows_held_out
from zerosum.data.images import ImageSet
from zerosum.errors import UserError


def images_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, 1, 4, 4), generator=generator).to(torch.uint8)
    return ImageSet(images=pixels, labels=torch.arange(count), classes=(), name="x")


def test_each_image_is_on_one_side_about_as_often_as_asked_for():
    images = images_of(2000)
    train = held_out_of(images, split="train", share=0.1)
    held = held_out_of(images, split="val", share=0.1)
    assert sorted([*train.labels.tolist(), *held.labels.tolist()]) == list(range(2000))
    assert 150 < len(held) < 250
    assert torch.equal(held.images, held_out_of(images, split="test", share=0.1).images)
    assert f"{len(held)} of 2,000 images" in train.report.held_out


def test_it_stays_the_same_when_images_are_added_and_moved():
    first = rows_held_out(images_of(300).images, share=0.2)
    more = torch.cat([images_of(100, seed=1).images, images_of(300).images])
    assert torch.equal(rows_held_out(more, share=0.2)[100:], first)


def test_a_side_without_images_is_refused():
    with pytest.raises(UserError, match=r"Of 2 images --hold-out 0\.001 leaves none held out"):
        held_out_of(images_of(2), split="val", share=0.001)
