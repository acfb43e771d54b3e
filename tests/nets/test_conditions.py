import torch
from torch import nn

from zerosum.nets.conditions import (
    MOST_PLANES,
    ConditionalBatchNorm,
    ConditionPlanes,
    Head,
    Projection,
)


def one_hot(classes, size):
    return nn.functional.one_hot(torch.tensor(classes), size).float()


def test_each_number_becomes_a_plane():
    planes = ConditionPlanes((2, 3), condition_size=4)
    images, condition = torch.randn(5, 1, 2, 3), torch.randn(5, 4)
    both = planes(images, condition)
    assert both.shape == (5, 1 + planes.planes, 2, 3) == (5, 5, 2, 3)
    assert torch.equal(both[:, :1], images)
    assert torch.equal(both[:, 1:], condition[:, :, None, None].expand(5, 4, 2, 3))
    assert not list(planes.parameters())


def test_many_classes_share_one_learned_plane():
    size = MOST_PLANES + 1
    planes = ConditionPlanes((2, 3), condition_size=size)
    images = torch.randn(2, 3, 2, 3)
    both = planes(images, one_hot([0, 7], size))
    assert both.shape == (2, 4, 2, 3)
    picture = planes.pictures.weight[:, 7] + planes.pictures.bias
    torch.testing.assert_close(both[1, 3], picture.view(2, 3))


def test_without_a_condition_images_pass_as_they_are():
    images = torch.randn(2, 3, 4, 4)
    assert ConditionPlanes((4, 4), condition_size=0)(images, torch.empty(2, 0)) is images


def test_conditional_norm_starts_as_batch_norm():
    maps, condition = torch.randn(6, 3, 4, 5), one_hot([0, 1, 2, 0, 1, 2], 3)
    expected = nn.BatchNorm2d(3)(maps)
    assert torch.equal(ConditionalBatchNorm(3, condition_size=3)(maps, condition), expected)
    assert torch.equal(ConditionalBatchNorm(3, condition_size=0)(maps, torch.empty(6, 0)), expected)


def test_each_class_has_gains_and_shifts_of_its_own():
    norm = ConditionalBatchNorm(3, condition_size=2)
    nn.init.normal_(norm.gains)
    nn.init.normal_(norm.shifts)
    maps = torch.randn(4, 3, 4, 5)
    standard = (maps - maps.mean((0, 2, 3), keepdim=True)) / (
        maps.var((0, 2, 3), keepdim=True, correction=0) + 1e-5
    ).sqrt()
    for index, label in enumerate([1, 0, 0, 1]):
        by_hand = standard[index] * (1 + norm.gains[label]).view(3, 1, 1)
        by_hand = by_hand + norm.shifts[label].view(3, 1, 1)
        result = norm(maps, one_hot([1, 0, 0, 1], 2))[index]
        torch.testing.assert_close(result, by_hand)


def test_projection_is_the_product_with_the_classs_embedding():
    projection = Projection(5, condition_size=3)
    features = torch.randn(2, 5)
    result = projection(features, one_hot([2, 0], 3))
    embeddings = projection.embedding.weight.T
    by_hand = torch.stack([embeddings[2] @ features[0], embeddings[0] @ features[1]])
    torch.testing.assert_close(result, by_hand[:, None])


def test_only_the_first_logit_is_told():
    head = Head(5, outputs=4, condition_size=3)
    features, condition = torch.randn(2, 5), one_hot([2, 0], 3)
    logits = head(features, condition)
    linear = head.linear(features)
    assert torch.equal(logits[:, 1:], linear[:, 1:])
    expected = linear[:, :1] + head.projection(features, condition)
    torch.testing.assert_close(logits[:, :1], expected)
    assert Head(5, outputs=4, condition_size=0).projection is None
