"""BatchNorm over all processes; here the others are played by a sum that knows their images."""

import pytest
import torch
from torch.nn.functional import batch_norm

from zerosum.game.batch_norm import batch_norm_over_all, moments_of
from zerosum.game.share import Share


def ours(maps, others=None, **options):
    """BatchNorm of maps, beside those of another process."""

    def add_up(rows):
        if others is None:
            return rows
        return rows + torch.stack([torch.zeros_like(rows[0]), moments_of(others)])

    place = (0, 1) if others is None else (0, 2)
    share = Share(start=0, stop=len(maps), total=9, place=place, add_up=add_up)
    return batch_norm_over_all(share, maps, **options)


def options(dtype=torch.float64, channels=3):
    torch.manual_seed(0)
    mean, variance, weight, bias = (torch.rand(channels, dtype=dtype) for _ in range(4))
    return {
        "running_mean": mean,
        "running_var": variance,
        "weight": weight,
        "bias": bias,
        "training": True,
        "momentum": 0.3,
    }


def maps_of(count, shape=(3, 4, 2), dtype=torch.float64):
    return (torch.randn(count, *shape) * 3 + 5).to(dtype)


class TestOverAll:
    @pytest.mark.parametrize("shape", [(3, 4, 2), (3,), (3, 5)])
    def test_alone_it_is_torchs(self, shape):
        maps, here, there = maps_of(6, shape), options(), options()
        torch.testing.assert_close(ours(maps, **here), batch_norm(maps, **there))
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(here[name], there[name])
            assert not torch.equal(here[name], options()[name])

    def test_its_statistics_are_of_the_others_images_too(self):
        maps, others = maps_of(4), maps_of(3) + 7
        here, there = options(), options()
        whole = batch_norm(torch.cat([maps, others]), **there)
        torch.testing.assert_close(ours(maps, others, **here), whole[:4])
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(here[name], there[name])

    def test_a_single_value_beside_others_is_normalised(self):
        maps, others = maps_of(1, (3,)), maps_of(2, (3,))
        whole = batch_norm(torch.cat([maps, others]), **options())
        torch.testing.assert_close(ours(maps, others, **options()), whole[:1])

    def test_without_gains_and_averages(self):
        maps = maps_of(5)
        found = ours(maps, running_mean=None, running_var=None, training=True)
        torch.testing.assert_close(found, batch_norm(maps, None, None, training=True))

    def test_after_training_it_is_torchs(self):
        maps, given = maps_of(5), {**options(), "training": False}
        assert torch.equal(ours(maps, maps_of(2), **given), batch_norm(maps, **given))

    def test_it_can_be_differentiated_twice(self):
        given = options(channels=2)
        maps = maps_of(3, (2, 2)).requires_grad_()
        assert torch.autograd.gradgradcheck(lambda maps: ours(maps, **given), [maps])

    def test_in_half_precision_it_sums_in_float32(self):
        maps, given = maps_of(6, dtype=torch.bfloat16), options(torch.float32)
        found = ours(maps, **given)
        assert found.dtype == torch.bfloat16
        whole = batch_norm(maps.float(), **options(torch.float32))
        torch.testing.assert_close(found.float(), whole, rtol=1e-2, atol=1e-2)
