import numpy as np
import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.game.sampling import Generator, noise_inputs
from zerosum.inference.inversion import first_latents, invert, psnr_of, rate_at, search_one

CPU = torch.device("cpu")
FEW = {"steps": 60, "starts": 4}


class Linear(nn.Module):
    """Images (b, 1, 4, 4) that are tanh of a linear map of z with orthogonal columns."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.matrix = nn.Parameter(torch.linalg.qr(torch.randn(16, 16)).Q[:, :5])

    def forward(self, z, classes):
        return (z @ self.matrix.T).tanh().view(-1, 1, 4, 4)


def test_the_z_that_an_image_was_made_of_is_found():
    G = Generator(Linear(), noise_inputs(5)).requires_grad_(False)
    z = torch.randn(1, 5, generator=torch.Generator().manual_seed(3))
    first = first_latents(G, CPU, seed=0, label=None, names=())
    found, classes, _, psnr, frames = search_one(G, G(z), first, 200, 4, None, lambda *_: None)
    assert np.abs(found - z.numpy()).max() < 0.05
    assert classes is None
    assert psnr > 40
    assert len(frames) == 24


def test_it_comes_nearer_than_the_nearest_draw(run):
    images = run.sample(3, seed=5)
    searched = invert(run, images, steps=80)
    drawn = invert(run, images, steps=1)
    assert (searched.psnr > drawn.psnr + 3).all()


def test_the_same_seed_finds_the_same_z_whatever_else_is_searched(run):
    images = run.sample(3, seed=5)
    together, alone = invert(run, images, **FEW), invert(run, images[1:2], **FEW)
    np.testing.assert_array_equal(together.z[1:2], alone.z)
    np.testing.assert_array_equal(together.z, invert(run, images, **FEW).z)
    assert not np.array_equal(together.z, invert(run, images, seed=1, **FEW).z)


def test_what_is_told_is_what_sample_makes_of_the_z(run):
    found = invert(run, run.sample(2, seed=5), **FEW)
    for index in range(2):
        np.testing.assert_array_equal(run.sample(z=found.z[index, None])[0], found.samples[index])
    error = (found.samples / 127.5 - found.targets / 127.5) ** 2
    np.testing.assert_allclose(
        found.psnr, 10 * np.log10(4 / error.reshape(2, -1).mean(1)), rtol=1e-4
    )


def test_a_run_inverts_by_itself_and_takes_what_was_found(train_tiny, tmp_path):
    run = train_tiny(tmp_path / "told", conditioning="concat")
    images = run.sample(2, seed=5)
    found = run.invert(images, **FEW)
    np.testing.assert_array_equal(found.z, invert(run, images, **FEW).z)
    for index in range(2):
        one = run.sample(z=found.z[index, None], classes=found.classes[index, None])
        np.testing.assert_array_equal(one[0], found.samples[index])


def test_the_callers_random_numbers_stay_as_they_were(run):
    torch.manual_seed(1)
    invert(run, run.sample(1), steps=2)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))


def test_of_a_conditional_g_the_class_is_found_too(train_tiny, tmp_path):
    run = train_tiny(tmp_path / "told", conditioning="concat")
    images = run.sample(1, seed=5, label=1)
    assert invert(run, images, label=0, **FEW).classes.tolist() == [[1, 0]]
    assert invert(run, images, **FEW).classes.sum() == 1
    with pytest.raises(UserError, match="class"):
        invert(run, images, label="cat")


def test_what_has_no_z_is_refused(run):
    with pytest.raises(UserError, match=r"expected uint8 of shape \(n, 8, 8, 1\)"):
        invert(run, np.zeros((1, 4, 4, 1), np.uint8))
    with pytest.raises(UserError, match="number of starts was 0"):
        invert(run, run.sample(1), starts=0)


def test_the_rate_rises_and_falls():
    assert rate_at(0) < 0.02
    assert rate_at(0.5) == 1
    assert rate_at(1) == 0


def test_psnr_of_equal_images_and_of_opposite_ones():
    black = np.zeros((1, 2, 2, 1), np.uint8)
    assert psnr_of(black, torch.full((1, 1, 2, 2), -1.0)) > 100
    assert psnr_of(black, torch.full((1, 1, 2, 2), 1.0)) == pytest.approx(0)
