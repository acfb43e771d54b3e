import numpy as np
import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.game.sampling import Generator, image_inputs, noise_inputs
from zerosum.inference.directions import Directions, principal_directions


class Linear(nn.Module):
    """Images that are linear in z, so that JᵀJ is known."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, z, condition):
        return (z @ self.matrix.T + condition.sum(1, keepdim=True))[:, :, None, None]


@pytest.fixture
def G():
    """z of 4 entries through an orthogonal basis with gains 3, 2, 1 and 0."""
    torch.manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(4, 4))
    left, _ = torch.linalg.qr(torch.randn(6, 4))
    matrix = left @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.0])) @ basis.T
    return Generator(Linear(matrix), noise_inputs(4)).eval(), basis.T.numpy()


def test_they_are_the_right_singular_vectors_of_a_linear_G(G):
    net, basis = G
    found = principal_directions(net, 3, num_samples=20_000)
    assert found.vectors.shape == (3, 4)
    assert np.abs((found.vectors * basis[:3]).sum(1)) == pytest.approx(np.ones(3), abs=2e-3)
    assert found.shares == pytest.approx(np.array([9, 4, 1]) / 14, abs=0.02)


def test_they_are_unit_vectors_at_right_angles_whose_largest_entry_is_positive(G):
    vectors = principal_directions(G[0], 9, num_samples=300).vectors
    assert vectors @ vectors.T == pytest.approx(np.eye(4), abs=1e-5)
    assert (vectors[np.arange(4), np.abs(vectors).argmax(1)] > 0).all()


def test_the_seed_decides_and_nothing_else_is_disturbed(G):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = principal_directions(G[0], 2, num_samples=64, seed=1)
    assert (torch.rand(3) == expected).all()
    again = principal_directions(G[0], 2, num_samples=64, seed=1)
    other = principal_directions(G[0], 2, num_samples=64, seed=2)
    assert (first.vectors == again.vectors).all()
    assert (first.vectors != other.vectors).any()
    assert all(parameter.grad is None for parameter in G[0].parameters())


def test_a_G_with_classes_is_told_all_in_turn():
    torch.manual_seed(0)
    G = Generator(Linear(torch.randn(6, 4)), noise_inputs(4, 3)).eval()
    assert principal_directions(G, 2, num_samples=32).vectors.shape == (2, 4)


def test_of_what_takes_no_z_there_are_none():
    G = Generator(Linear(torch.randn(6, 4)), image_inputs(3)).eval()
    with pytest.raises(UserError, match="makes images of images"):
        principal_directions(G, 2)


class TestMove:
    FOUND = Directions(np.eye(3, 5, dtype=np.float32), np.ones(3, np.float32) / 3)

    def test_steps_add_up_by_the_numbers_of_directions_from_1(self):
        moved = self.FOUND.move({1: -1.0, 3: 2, np.int64(2): np.float32(0.5)})
        assert moved.dtype == np.float32
        assert moved.tolist() == [-1, 0.5, 2, 0, 0]
        assert not self.FOUND.move({}).any()

    @pytest.mark.parametrize(
        ("steps", "said"),
        [
            ({0: 1.0}, "no direction 0: expected 1 to 3"),
            ({4: 1.0}, "no direction 4: expected 1 to 3"),
            ({"x": 1.0}, "direction: received 'x', expected a whole number"),
            ({1.5: 1.0}, "expected a whole number"),
            ({1: float("nan")}, "step along direction 1 was nan"),
            ({1: "far"}, "step along direction 1 was far"),
        ],
    )
    def test_what_is_no_step(self, steps, said):
        with pytest.raises(UserError, match=said):
            self.FOUND.move(steps)
