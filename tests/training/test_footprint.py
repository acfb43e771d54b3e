import pytest
import torch

from zerosum.data.spec import DataSpec
from zerosum.game.core import Batch
from zerosum.recipes import build, get
from zerosum.training.footprint import bytes_of_round

META = torch.device("meta")


def footprint(recipe, *, side=16, size=4, **settings):
    config = get(recipe).configure({"width": 4, **settings})
    with META:
        game = build(recipe, config, DataSpec(shape=(3, side, side)), device=META)
    return bytes_of_round(game, Batch(torch.empty(size, 3, side, side, device=META), None))


def test_it_grows_with_the_batch_and_with_the_pixels():
    one = footprint("dcgan")
    assert footprint("dcgan", size=16) == pytest.approx(4 * one, rel=0.2)
    assert footprint("dcgan", side=64) > 8 * one


def test_a_batch_in_parts_needs_less():
    assert footprint("dcgan", grad_accumulation=2, size=8) < 0.7 * footprint("dcgan", size=8)


def test_it_is_about_what_autograd_keeps_of_a_real_turn():
    config = get("dcgan").configure({"width": 8})
    game = build("dcgan", config, DataSpec(shape=(3, 32, 32)), device=torch.device("cpu"))
    batch = Batch(torch.randn(8, 3, 32, 32), None)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        play = game.forward(game, "D", batch, 0)
        for term in game.D.objective.values():
            term(play)
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    guess = footprint("dcgan", side=32, size=8, width=8)
    assert guess == pytest.approx(real, rel=0.35)
