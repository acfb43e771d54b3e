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


class TestMix:
    def test_leads_from_one_sample_to_another(self, run):
        samples = run.sample(10, seed=5)
        made = run.sample_with_inputs(mix=(2, 9), seed=5)
        assert made.samples.shape == (9, 8, 8, 1)
        assert np.array_equal(made.samples[[0, -1]], samples[[2, 9]])
        between = made.z @ made.z.T
        assert (
            np.diff(np.arccos(between[0] / np.sqrt(between[0, 0] * np.diag(between)))).std() < 1e-3
        )

    def test_leads_between_latents_that_are_given(self, run):
        z = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
        made = run.sample(4, mix=(2, 0), z=z)
        assert np.array_equal(made[[0, -1]], run.sample(z=z)[[2, 0]])

    def test_of_samples_beyond_the_first_chunk(self, run):
        made = run.sample(2, mix=(1, 300))
        assert np.array_equal(made, run.sample(301)[[1, 300]])

    def test_goes_from_class_to_class_too(self, train_tiny, tmp_path):
        run = train_tiny(tmp_path / "told", conditioning="concat", epochs=1)
        samples = run.sample(4)
        made = run.sample_with_inputs(5, mix=(0, 3))  # of the classes 0 and 1
        assert np.array_equal(made.samples[[0, -1]], samples[[0, 3]])
        assert made.classes.tolist() == [[1 - part, part] for part in (0, 0.25, 0.5, 0.75, 1)]
        alone = run.sample_with_inputs(5, mix=(0, 3), label=1)
        assert alone.classes.tolist() == [[0, 1]] * 5
        given = run.sample_with_inputs(3, mix=(1, 0), z=np.ones((2, 4)), classes=np.eye(2))
        assert given.classes.tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
        with pytest.raises(UserError, match="expected one of them"):
            run.sample(z=np.ones((2, 4)), classes=np.eye(2), label=1)

    def test_is_truncated_and_moved_as_other_samples_are(self, run):
        found = run.directions(2)
        how = {"directions": {2: 1.5}, "along": found, "truncation": 0.5}
        plain, moved = (
            run.sample_with_inputs(3, mix=(0, 1)),
            run.sample_with_inputs(3, mix=(0, 1), **how),
        )
        assert moved.z == pytest.approx((plain.z + 1.5 * found.vectors[1]) * 0.5, abs=1e-6)


def test_a_walk_is_moved_along_directions(run, monkeypatch):
    asked = []

    def generated(G, inputs):
        asked.append(inputs[0].numpy())
        return generate(G, inputs)

    monkeypatch.setattr("zerosum.inference.model.generate", generated)
    found = run.directions(1)
    for how in ({}, {"directions": {1: 2.0}}, {"directions": {1: 2.0}, "along": found}):
        run.interpolate(1, count=3, device="cpu", truncation=0.5, **how)
    plain, anew, along = asked
    assert anew == pytest.approx(plain + 0.5 * 2 * found.vectors[0], abs=1e-6)
    assert np.array_equal(anew, along)


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
