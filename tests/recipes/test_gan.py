"""Every recipe of the family through the one loop: it trains, resumes, samples; and they mix."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

import zerosum
from zerosum.cli.main import run as command
from zerosum.config.base import restore
from zerosum.config.specs import parse_attention
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.core import Batch, Play
from zerosum.game.sampling import Generator, draw_inputs
from zerosum.nets import dcgan, mlp, r3gan, resnet
from zerosum.nets.conditions import Projection
from zerosum.nets.layers import SelfAttention
from zerosum.recipes import RECIPES
from zerosum.recipes.gan import build, usual_resolution
from zerosum.training.checkpoint import TENSORS

CPU = torch.device("cpu")
SHAPE = (1, 28, 28)
FAMILY = [name for name, recipe in RECIPES.items() if recipe.build is build]


def tiny(name, settings):
    """Small nets of the kind that the recipe, or the settings, ask for."""
    nets = settings.get("nets") or RECIPES[name].settings["nets"]
    size = {"hidden": (8, 12)} if nets == "mlp" else {"width": 2}
    return {"latent_size": 4, **size, **settings}


def configured(name, **settings):
    return RECIPES[name].configure({"data": "mine", **tiny(name, settings)})


def game_of(name="dcgan", *, image_shape=SHAPE, num_classes=0, **settings):
    config = configured(name, **settings).settled(1000)
    torch.manual_seed(0)  # nets this small may otherwise start dead, by chance
    classes = tuple(map(str, range(num_classes)))
    return build(config, DataSpec(shape=image_shape, classes=classes), device=CPU)


@pytest.fixture
def images(tmp_path):
    """48 labelled images of 28×28, of two classes."""
    path = tmp_path / "images.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (48, 28, 28), np.uint8)
    np.savez(path, images=pixels, labels=np.arange(48) % 2)
    return path


@pytest.fixture
def train(images, tmp_path, new_recorder):
    def train(name, folder="run", **settings):
        common = {
            "data": images,
            "batch_size": 8,
            "epochs": 2,
            "sample_every": 1,
            "checkpoint_every": 1,
            "evaluate_every": 1,
            "device": "cpu",
            "quiet": True,
        }
        return zerosum.train(name, out=tmp_path / folder, **(common | tiny(name, settings)))

    return train


def state_of(run):
    checkpoints = run.directory.checkpoints
    return (checkpoints.path(checkpoints.seen()[-1]) / TENSORS).read_bytes()


@pytest.mark.parametrize("name", FAMILY)
class TestEveryRecipe:
    @pytest.mark.slow
    def test_trains_resumes_bit_for_bit_and_samples(self, train, name):
        anneals = configured(name).anneal is not None
        settings = {"anneal": 96} if anneals else {}  # and not over a budget that is to grow
        whole = train(name, "whole", **settings)
        train(name, "parted", epochs=1, **settings)
        parted = train(name, "parted", **settings)
        assert state_of(whole) == state_of(parted)
        assert all(np.isfinite(record["loss_D"]) for record in whole.log())
        assert whole.sample(3).shape == (3, 28, 28, 1)
        assert (whole.path / "generated_epoch_2.png").is_file()

    def test_its_defaults_are_valid(self, name):
        config = configured(name)
        assert restore(type(config), config.model_dump()) == config

    @pytest.mark.slow
    def test_it_is_a_command(self, name, images, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        flags = ["--data", str(images), "--images", "256", "--batch-size", "16"]
        flags += ["--evaluate-every", "0", "--sample-every", "100"]
        flags += ["--hidden", "8"] if name == "vanilla" else ["--width", "2"]
        assert command(["train", name, *flags, "--out", "run", "--device", "cpu"]) == 0
        assert "\nEpoch [1/6] Loss D: " in capsys.readouterr().out
        log = zerosum.load("run").log()
        assert log[-1]["seen"] >= 256
        losses = [
            (name, value)
            for record in log
            for name, value in record.items()
            if name.startswith(("loss_", "D/", "G/"))
        ]
        assert {"loss_D", "loss_G"} < {name for name, _ in losses}
        assert [each for each in losses if not np.isfinite(each[1])] == []


class TestMixing:
    @pytest.mark.slow
    @pytest.mark.parametrize("loss", ["minimax", "least-squares", "wasserstein", "relativistic"])
    @pytest.mark.parametrize("nets", ["mlp", "dcgan", "resnet", "r3gan"])
    def test_any_nets_with_any_loss_and_penalty(self, train, nets, loss):
        run = train("vanilla", nets=nets, loss=loss, penalty="r1:0.1", epochs=1)
        assert {"D/r1"} < run.log()[-1].keys()

    def test_a_penalised_D_with_batch_norm_is_refused_and_told_why(self, train):
        with pytest.raises(UserError, match=r"'r1'.*BatchNorm.*whole batch.*--d-norm none"):
            train("dcgan", loss="hinge", penalty="r1:0.1")
        train("dcgan", loss="hinge", penalty="r1:0.1", d_norm="none", epochs=1)

    @pytest.mark.parametrize(
        ("nets", "conditioning"),
        [
            (nets, conditioning)
            for nets in ("mlp", "dcgan", "resnet", "r3gan")
            for conditioning in ("concat", "projection", "classifier")
            if (nets, conditioning) != ("mlp", "projection")  # which is refused
        ],
    )
    def test_every_conditioning_with_any_nets(self, nets, conditioning):
        game = game_of(nets=nets, conditioning=conditioning, num_classes=3)
        z, condition = draw_inputs(game.forward.inputs, 3, CPU, label=0)
        _, others = draw_inputs(game.forward.inputs, 3, CPU, label=1)
        game.G.net.eval()
        with torch.no_grad():  # gains and shifts that a class picks start out alike
            for weight in game.G.net.parameters():
                weight += 0.1 * torch.randn_like(weight)
        assert not torch.allclose(game.G.net(z, condition), game.G.net(z, others), atol=1e-6)

    def test_packs_and_their_classes(self, train):
        run = train("cgan", pack=2, epochs=1)
        assert run.sample(2).shape == (2, 28, 28, 1)

    @pytest.mark.slow
    def test_augmentation_flips_and_parts(self, train):
        settings = {
            "augment": "color,cutout",
            "augment_target": 0.6,
            "hflip": True,
            "grad_accumulation": 2,
        }
        run = train("dragan", **settings)
        train("dragan", "parted", **settings, epochs=1)
        again = train("dragan", "parted", **settings)
        assert state_of(run) == state_of(again)

    @pytest.mark.slow
    def test_bf16(self, train):
        assert np.isfinite(train("wgan-gp", precision="bf16").log()[-1]["loss_D"])


class TestLabels:
    def test_samples_are_of_the_class_that_was_asked_for(self, train, tmp_path, capsys):
        run = train("cgan", epochs=1)
        zeros, ones, both = (run.sample(4, label=label, ema=False) for label in (0, 1, None))
        assert not np.array_equal(zeros, ones)
        assert np.array_equal(both[::2], zeros[::2])
        assert np.array_equal(both[1::2], ones[1::2])
        out = str(tmp_path / "ones.png")
        assert command(["sample", str(run.path), "--label", "1", "--out", out]) == 0
        capsys.readouterr()
        assert command(["sample", str(run.path), "--label", "2", "--out", out]) == 2
        assert "The label was 2: expected one of 0, 1" in capsys.readouterr().err

    def test_a_run_without_classes_refuses_a_label(self, train, capsys):
        run = train("dcgan", epochs=1)
        assert command(["sample", str(run.path), "--label", "0"]) == 2
        assert "knows no classes" in capsys.readouterr().err


class TestWhatIsBuilt:
    @pytest.mark.parametrize(
        ("name", "nets"),
        [("vanilla", mlp), ("dcgan", dcgan), ("wgan-gp", resnet), ("r3gan", r3gan)],
    )
    def test_the_nets(self, name, nets):
        game = game_of(name)
        assert isinstance(game.G.net, nets.Generator)
        assert isinstance(game.D.net, nets.Discriminator)

    def test_wgan(self):
        game = game_of("wgan")
        assert game.turns == "DDDDDG"
        assert game.D.constraint is not None
        assert game.G.constraint is None
        assert type(game.D.optimizer) is torch.optim.RMSprop
        assert game.D.optimizer.param_groups[0]["lr"] == 5e-5
        assert game.D.objective.keys() == {"wasserstein"}

    def test_wgan_gp(self):
        game = game_of("wgan-gp")
        assert game.D.objective.keys() == {"wasserstein", "gradient_penalty"}
        assert not game.has_batch_norm

    def test_sagan_has_two_learning_rates_attention_and_spectral_norm_in_both(self):
        game = game_of("sagan")
        rates = [p.optimizer.param_groups[0]["lr"] for p in (game.G, game.D)]
        assert rates == [1e-4, 4e-4]
        for player in (game.G, game.D):
            names = [name for name, _ in player.net.named_parameters()]
            assert any("parametrizations" in name for name in names)
            assert any("gamma" in name for name in names)

    def test_acgan_names_the_class(self):
        game = game_of("acgan", num_classes=3)
        assert game.forward.classifier
        assert game.D.objective.keys() == {"cross_entropy", "classification"}
        assert game.G.objective.keys() == {"cross_entropy", "classification"}

    def test_r3gan_anneals(self):
        game = game_of("r3gan", anneal=1000)
        schedules = game.D.schedules
        assert (schedules["lr"](0), schedules["lr"](1000)) == (2e-4, 5e-5)
        assert (schedules["betas"](0), schedules["betas"](1000)) == ((0, 0.9), (0, 0.99))
        assert game.D.objective.keys() == {"relativistic", "r1", "r2"}

    def test_least_squares_takes_its_targets(self):
        game = game_of("lsgan", targets=(-1.0, 2.0, 0.5))

        class Zero:
            real_logits = fake_logits = torch.zeros(2, 1)

        assert game.D.objective["least_squares"](Zero()) == 2.5  # (0 - 2)² / 2 + (0 + 1)² / 2
        assert game.G.objective["least_squares"](Zero()) == 0.125  # (0 - 0.5)² / 2

    def test_the_opinion_in_the_log_is_a_probability_only_for_cross_entropy(self):
        logits = torch.tensor([2.0])
        assert game_of("dcgan").forward.score_fn(logits) == logits.sigmoid()
        assert game_of("wgan").forward.score_fn(logits) == 2


class TestFlags:
    """What each leads to in the game that is built."""

    @pytest.mark.parametrize("name", ["dcgan", "acgan"])
    def test_flips_mirror_some_of_the_reals(self, name):
        batch = Batch(torch.rand(32, *SHAPE), torch.arange(32) % 3)
        for flips in (True, False):
            game = game_of(name, hflip=flips, num_classes=3)
            real = game.forward(game, "D", batch, 0).real
            mirrored = (real == batch.real.flip(3)).flatten(1).all(dim=1)
            left = (real == batch.real).flatten(1).all(dim=1)
            assert (mirrored ^ left).all()
            assert 0.2 < left.float().mean() < 0.8 if flips else left.all()

    @pytest.mark.parametrize("name", ["dcgan", "acgan"])
    def test_augment_has_its_policies_and_its_target(self, name):
        settings = {"augment": "cutout,color", "augment_target": 0.6}
        augmentation = game_of(name, **settings, num_classes=3).forward.memory
        assert (augmentation.policies, augmentation.target) == (("color", "cutout"), 0.6)
        always = game_of(name, augment="translation", num_classes=3).forward.memory
        assert (always.policies, always.target) == (("translation",), None)
        assert game_of(name, num_classes=3).forward.memory.policies == ()

    @pytest.mark.parametrize("nets", ["dcgan", "resnet", "r3gan"])
    @pytest.mark.parametrize(
        ("attention", "in_G", "in_D"),
        [("none", [], []), ("G:14,D:7", [14], [7]), ("G:7", [7], []), ("D:14", [], [14])],
    )
    def test_attention_is_where_each_player_was_told(self, nets, attention, in_G, in_D):
        game = game_of(nets=nets, attention=attention)
        found = []
        for player in (game.G, game.D):
            for module in player.net.modules():
                if isinstance(module, SelfAttention):
                    module.register_forward_hook(lambda _, __, maps: found.append(maps.shape[2:]))
        images = Generator(game.G.net, game.forward.inputs)(
            torch.randn(2, game.forward.latent_size)
        )
        assert found == [(side, side) for side in in_G]
        found.clear()
        game.D.net(images, torch.empty(2, 0))
        assert found == [(side, side) for side in in_D]

    @pytest.mark.parametrize("nets", ["dcgan", "resnet", "r3gan"])
    def test_conditioning_is_a_product_or_planes_in_D(self, nets):
        for conditioning, projects in (("projection", True), ("concat", False)):
            D = game_of(nets=nets, conditioning=conditioning, num_classes=3).D.net
            assert any(isinstance(module, Projection) for module in D.modules()) == projects
            assert D.planes.planes == (0 if projects else 3)

    @pytest.mark.parametrize("nets", ["mlp", "dcgan", "resnet"])
    @pytest.mark.parametrize(
        ("spectral_norm", "expected"),
        [("none", [False, False]), ("D", [False, True]), ("both", [True, True])],
    )
    def test_spectral_norm_is_in_every_layer_of_the_players_named(
        self, nets, spectral_norm, expected
    ):
        game = game_of(nets=nets, spectral_norm=spectral_norm)
        for player, divided in zip((game.G, game.D), expected, strict=True):
            layers = [m for m in player.net.modules() if isinstance(m, nn.Linear | _ConvNd)]
            assert {is_parametrized(layer, "weight") for layer in layers} == {divided}

    @pytest.mark.parametrize("anneal", [1000, "budget"])
    def test_anneal_takes_penalties_along_a_cosine_to_their_share(self, anneal):
        penalty = "r1:2,r2:6,gradient-penalty:10"
        game = game_of("vanilla", penalty=penalty, anneal=anneal, anneal_penalty=0.1)
        constant = game_of("vanilla", penalty=penalty)
        w = torch.tensor([[3.0], [0.0]])  # D's gradient: 2/2 3² = 9, 6/2 3² = 27, 10 (3 - 1)² = 40

        def charges(game, seen):
            real, fake = torch.randn(2, 4, 1, 1, 2)
            play = Play(
                critic=lambda images: images.flatten(1) @ w,
                real=real,
                fake=fake,
                condition=torch.empty(4, 0),
                seen=seen,
            )
            names = ("r1", "r2", "gradient_penalty")
            return [game.D.objective[name](play).item() for name in names]

        for seen, share in ((0, 1), (500, 0.55), (1000, 0.1), (5000, 0.1)):
            expected = [share * 9, share * 27, share * 40]
            assert charges(game, seen) == pytest.approx(expected)
            assert charges(constant, seen) == pytest.approx([9, 27, 40])
        assert charges(game, 250)[0] == pytest.approx(9 * (0.55 + 0.45 * 0.5**0.5))

    def test_pack_and_parts(self):
        game = game_of("wgan-gp", pack=2, grad_accumulation=4)
        assert (game.parts, game.forward.packed) == (4, 2)
        assert game.D.net(torch.rand(5, 2, 28, 28), torch.empty(5, 0)).shape == (5, 1)


class TestRefusals:
    @pytest.mark.parametrize("name", ["cgan", "acgan"])
    def test_no_labels_for_a_recipe_that_needs_them(self, name):
        with pytest.raises(UserError, match="these images have no labels"):
            game_of(name)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"pack": 3}, "expected --pack to divide the batch of 128 images, received 3"),
            ({"attention": "x"}, "--attention: received 'x', expected none, auto, or a resolution"),
            ({"penalty": "r1"}, "--penalty: received 'r1', expected a weight above 0 after r1"),
            ({"augment": "colour"}, "did you mean color"),
            ({"nets": "mlp", "attention": "14"}, "--nets dcgan, resnet or r3gan"),
            ({"nets": "mlp", "conditioning": "projection"}, "--conditioning concat beside"),
            ({"batch_size": 10, "grad_accumulation": 4, "pack": 2}, "made of whole packs"),
            (
                {"grad_accumulation": 128, "pack": 2},
                "--grad-accumulation times --pack, 256, to divide the batch of 128",
            ),
            ({"conditioning": "classifier", "pack": 2}, "a pack has no class"),
            ({"augment_target": 0.6}, "--augment color,translation,cutout beside"),
            (
                {"augment": "color", "augment_target": 0.6, "loss": "wasserstein"},
                "no --augment-target beside --loss wasserstein",
            ),
        ],
    )
    def test_settings_that_make_no_sense(self, train, settings, message):
        with pytest.raises(UserError) as caught:
            train("dcgan", **({"batch_size": 128} | settings))
        assert message in str(caught.value)

    def test_a_resolution_that_the_nets_do_not_have(self):
        with pytest.raises(UserError, match="14"):
            game_of("dcgan", attention="13")

    def test_a_size_that_the_nets_cannot_make(self):
        with pytest.raises(UserError, match="3×1100"):
            game_of("dcgan", image_shape=(1, 3, 1100))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", {}),
        ("auto", {"G": None, "D": None}),
        ("14", {"G": 14, "D": 14}),
        ("G:14", {"G": 14}),
        ("G:14,D:7", {"G": 14, "D": 7}),
    ],
)
def test_attention_is_read(text, expected):
    assert parse_attention(text) == expected


@pytest.mark.parametrize(
    ("shape", "resolution"),
    [
        ((3, 256, 256), 64),
        ((3, 128, 128), 32),  # the paper's
        ((3, 33, 47), 9),
        ((1, 28, 28), 7),
        ((3, 24, 24), 12),  # a quarter would be less than what D goes down to
        ((3, 16, 16), 8),
    ],
)
def test_the_usual_attention_is_at_a_quarter_of_the_image(shape, resolution):
    assert usual_resolution(shape) == resolution


@pytest.mark.parametrize("nets", ["dcgan", "resnet", "r3gan"])
@pytest.mark.parametrize("side", [*range(13, 36), 64, 100])
def test_every_net_has_a_map_for_the_usual_attention(nets, side):
    """For any size from 13 on: smaller images have no map between their own and the smallest."""
    game = game_of(nets=nets, attention="auto", width=2, image_shape=(1, side, side))
    for player in (game.G, game.D):
        assert any(isinstance(module, SelfAttention) for module in player.net.modules())
