import pytest
import torch

from zerosum import recipes
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game import losses
from zerosum.game.sampling import Generator, draw_inputs
from zerosum.recipes import get
from zerosum.recipes.gan import build


def vanilla(**settings):
    return get("vanilla").configure(settings)


CPU = torch.device("cpu")


def shapes(player):
    return [tuple(parameter.shape) for parameter in player.parameters]


def test_the_defaults_are_those_of_the_gan_that_everybody_meets_first():
    expected = {
        "data": "mnist",
        "epochs": 100,
        "batch_size": 128,
        "precision": "fp32",
        "nets": "mlp",
        "latent_size": 100,
        "hidden": (256, 512),
        "loss": "non-saturating",
        "optimizer": "adam",
        "learning_rate": 2e-4,
        "d_learning_rate": None,
        "betas": (0.5, 0.999),
        "n_critic": 1,
        "pack": 1,
        "grad_accumulation": 1,
        "hflip": False,
    }
    for none in ("spectral_norm", "attention", "conditioning", "penalty", "augment"):
        expected[none] = "none"
    assert expected.items() <= vanilla().model_dump().items()


def test_the_game_is_exactly_the_recipe():
    game = build(vanilla(), DataSpec(shape=(1, 28, 28)), device=CPU)
    assert game.turns == "DG"
    assert (game.forward.latent_size, game.forward.num_classes, game.forward.packed) == (100, 0, 1)
    assert shapes(game.G) == [(256, 100), (256,), (512, 256), (512,), (784, 512), (784,)]
    assert shapes(game.D) == [(512, 784), (512,), (256, 512), (256,), (1, 256), (1,)]
    assert game.G.objective == {"cross_entropy": losses.generator_cross_entropy}
    assert game.D.objective == {"cross_entropy": losses.discriminator_cross_entropy}
    assert game.G.constraint is game.D.constraint is None
    assert not game.has_batch_norm
    for player in (game.G, game.D):
        assert type(player.optimizer) is torch.optim.Adam
        (group,) = player.optimizer.param_groups
        assert (group["lr"], group["betas"], group["fused"]) == (2e-4, (0.5, 0.999), True)
        assert (group["weight_decay"], group["amsgrad"], group["eps"]) == (0, False, 1e-8)
        assert [id(p) for p in group["params"]] == [id(p) for p in player.parameters]


def test_the_settings_arrive_where_they_belong():
    config = vanilla(latent_size=3, hidden=(5, 6, 7), learning_rate=0.1, betas=(0.1, 0.2))
    game = build(config, DataSpec(shape=(3, 2, 4)), device=CPU)
    assert [shape[0] for shape in shapes(game.G)[::2]] == [5, 6, 7, 24]
    assert [shape[0] for shape in shapes(game.D)[::2]] == [7, 6, 5, 1]
    assert game.forward.latent_size == 3
    assert game.G.optimizer.defaults["lr"] == 0.1
    assert game.D.optimizer.defaults["betas"] == (0.1, 0.2)
    G = Generator(game.G.net, game.forward.inputs)
    assert G(*draw_inputs(G.inputs, 2, CPU)).shape == (2, 3, 2, 4)


def test_the_weights_come_from_the_current_stream():
    def weights(seed):
        torch.manual_seed(seed)
        game = build(vanilla(hidden=(4,)), DataSpec(shape=(1, 2, 2)), device=CPU)
        return torch.cat([p.flatten() for p in game.G.parameters + game.D.parameters])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


class TestTheRegistry:
    def test_builds_by_name(self):
        game = recipes.build("vanilla", vanilla(hidden=(4,)), DataSpec(shape=(1, 2, 2)), device=CPU)
        assert shapes(game.G)[0] == (4, 100)

    def test_knows_each_recipe_by_config_builder_summary_and_source(self):
        for name, recipe in recipes.RECIPES.items():
            assert recipes.get(name) is recipe
            assert recipe.config().model_dump()
            assert recipe.summary.endswith(".")
            assert recipe.source

    @pytest.mark.parametrize("name", ["vanila", "Vanilla"])
    def test_answers_a_typing_mistake_with_the_closest_name(self, name):
        with pytest.raises(UserError, match=f"no recipe '{name}'. Did you mean 'vanilla'"):
            recipes.get(name)
