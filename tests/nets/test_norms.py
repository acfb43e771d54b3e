import pytest
import torch

from zerosum.nets.norms import norm_layers


@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 2, 3)), ("instance", (2, 3))])
def test_a_norm_standardises_over_a_batch_or_over_an_image(norm, axes):
    (layer,) = norm_layers(norm, 3)
    layer.weight.data.copy_(torch.tensor([1.0, 2.0, 3.0]))
    layer.bias.data.copy_(torch.tensor([4.0, 5.0, 6.0]))
    maps = 7 * torch.randn(4, 3, 9, 8) + torch.randn(4, 3, 1, 1)
    mean, variance = maps.mean(axes, True), maps.var(axes, correction=0, keepdim=True)
    expected = (maps - mean) / (variance + 1e-5).sqrt()
    expected = expected * layer.weight[:, None, None] + layer.bias[:, None, None]
    torch.testing.assert_close(layer(maps), expected)


def test_instance_norm_is_the_same_in_eval_mode():
    (layer,) = norm_layers("instance", 3)
    maps = torch.randn(2, 3, 4, 4) + 5
    assert torch.equal(layer(maps), layer.eval()(maps))


def test_the_gains_of_instance_norm_start_near_one():
    (layer,) = norm_layers("instance", 5000)
    assert layer.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not layer.bias.any()


def test_no_norm_is_no_layer():
    assert norm_layers("none", 3) == []
