from dataclasses import replace

import pytest
import torch

from zerosum.data.holdout import contents, held_out_of, rows_held_out
from zerosum.data.images import ImageSet
from zerosum.errors import UserError


def images_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    names = tuple(map(str, range(count)))
    pixels = torch.randint(256, (count, 1, 4, 4), generator=generator).to(torch.uint8)
    return ImageSet(images=pixels, labels=torch.arange(count), classes=names, name="x")


def test_each_image_is_on_one_side_about_as_often_as_asked_for():
    images = images_of(2000)
    train = held_out_of(images, split="train", share=0.1)
    held = held_out_of(images, split="val", share=0.1)
    assert sorted([*map(int, train.classes), *held.labels.tolist()]) == list(range(2000))
    assert 150 < len(held) < 250
    assert torch.equal(held.images, held_out_of(images, split="test", share=0.1).images)
    assert f"{len(held)} of 2,000 images" in train.report.held_out


def test_it_stays_the_same_when_images_are_added_and_moved():
    first = rows_held_out(contents(images_of(300).images), share=0.2)
    more = torch.cat([images_of(100, seed=1).images, images_of(300).images])
    assert torch.equal(rows_held_out(contents(more), share=0.2)[100:], first)


def test_it_goes_by_the_file_whatever_its_pixels_became():
    images = replace(images_of(50), content=tuple(bytes([n] * 8) for n in range(50)))
    brighter = replace(images, images=255 - images.images)
    held = [held_out_of(each, split="val", share=0.5).content for each in (images, brighter)]
    assert held[0] == held[1]


def test_a_class_that_is_held_out_whole_is_not_trained_on():
    images = replace(
        images_of(2),
        labels=torch.tensor([1, 0]),
        classes=("a", "b"),
        content=(b"\0" * 8, b"\xff" * 8),
    )
    train = held_out_of(images, split="train", share=0.5)
    assert (train.classes, train.labels.tolist()) == (("a",), [0])


def test_a_side_without_images_is_refused():
    with pytest.raises(UserError, match=r"Of 2 images --hold-out 0\.001 leaves none held out"):
        held_out_of(images_of(2), split="val", share=0.001)
