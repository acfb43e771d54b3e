import torch

from zerosum.export.opinion import Opinion, OpinionWithoutClasses


class Sum(torch.nn.Module):
    """A D that adds up what it sees, and names two classes."""

    def forward(self, images, condition):
        total = images.flatten(1).sum(1) + 100 * condition.sum(1)
        return torch.stack([total, total, total], dim=1)


def test_a_D_of_packs_sees_a_point_as_often():
    points, classes = torch.tensor([[1.0, 2.0], [0.5, 0.0]]), torch.eye(2)
    assert Opinion(Sum(), 3)(points, classes).tolist() == [[309.0], [301.5]]
    assert OpinionWithoutClasses(Opinion(Sum(), 2))(points).tolist() == [[6.0], [1.0]]
