"""G alone, as a run gives it: what it takes, which weights it has, where it computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from zerosum import recipes
from zerosum.data.images import to_array
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game import core
from zerosum.game.sampling import draw_inputs, generate
from zerosum.seeds import enter_stream, own_randomness
from zerosum.training import checkpoint

CPU = torch.device("cpu")
SHAPES = {"pix2pix": (6, 32, 32), "cyclegan": (6, 32, 32)}


class TestGenerator:
    def test_is_a_module_that_makes_the_samples(self, run):
        G = run.generator(device="cpu")
        assert isinstance(G, torch.nn.Module)
        assert not G.training
        assert G.inputs == (core.GeneratorInput("z", (4,), "latent"),)
        with own_randomness(CPU):
            enter_stream(CPU, "sample", 0, 0)
            made = to_array(generate(G, draw_inputs(G.inputs, 256, CPU)))
        assert np.array_equal(made[:16], run.sample(16, device="cpu"))

    def test_has_the_weights_that_are_asked_for(self, run):
        snapshot = checkpoint.read(run.path / "checkpoints" / "80")
        for ema, name in ((True, "average"), (False, "G")):
            weights = run.generator(checkpoint=80, ema=ema).net.state_dict()
            expected = snapshot.group(name)
            assert weights.keys() == expected.keys()
            assert all(torch.equal(weights[key].cpu(), expected[key]) for key in weights)

    def test_neither_d_nor_an_optimizer_is_built(self, run, monkeypatch):
        def forbidden(*_, **__):
            raise AssertionError("more than G was built")

        monkeypatch.setattr(torch.optim, "Adam", forbidden)
        monkeypatch.setattr("zerosum.nets.mlp.Discriminator", forbidden)
        monkeypatch.setattr(core.Game, "__post_init__", forbidden)
        assert run.sample(3).shape == (3, 8, 8, 1)
        assert run.interpolate(2, count=3).shape == (2, 3, 8, 8, 1)

    def test_a_device_that_is_not_there_is_answered_with_those_that_are(self, run):
        for ask in (run.generator, run.sample, lambda **how: run.interpolate(1, **how)):
            with pytest.raises(UserError, match=r"'cuda:77' is not there. This machine has: .*cpu"):
                ask(device="cuda:77")

    def test_of_noise_has_no_way_back(self, run):
        with pytest.raises(UserError, match="translates one way only"):
            run.generator(reverse=True)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_alone_it_is_the_g_of_the_game(name):
    """The same weights of the same random stream, and the inputs that the game draws."""
    recipe = recipes.RECIPES[name]
    small = {"data": "mine", "batch_size": 2, "size": "32"}
    small |= {"hidden": (4,)} if name == "vanilla" else {"width": 2}
    config = recipe.configure(small).settled(1)
    if name in SHAPES:
        spec = DataSpec(shape=SHAPES[name], source_channels=3)
    else:
        spec = DataSpec(shape=(1, 28, 28), classes=("a", "b", "c"))
    torch.manual_seed(3)
    game = recipes.build(name, config, spec, device=CPU)
    torch.manual_seed(3)
    G = recipes.build_generator(recipe, config, spec, device=CPU)
    expected = game.G.net.state_dict()
    assert G.net.state_dict().keys() == expected.keys()
    assert all(torch.equal(G.net.state_dict()[key], expected[key]) for key in expected)
    assert G.inputs == game.forward.inputs


def test_a_recipe_of_ones_own_needs_no_builder_of_g():
    vanilla = recipes.get("vanilla")
    mine = replace(vanilla, build_generator=None)
    config = vanilla.configure({"hidden": (4,), "latent_size": 3})
    G = recipes.build_generator(mine, config, DataSpec(shape=(1, 2, 2)), device=CPU)
    assert G(torch.randn(5, 3)).shape == (5, 1, 2, 2)


def test_raw_still_means_g_itself_and_says_its_new_name(run):
    with pytest.warns(FutureWarning, match="ema=False for raw=True"):
        old = run.sample(4, raw=True)
    assert np.array_equal(old, run.sample(4, ema=False))
    with pytest.warns(FutureWarning):
        assert np.array_equal(run.sample(4, raw=False), run.sample(4))
