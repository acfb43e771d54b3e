"""CycleGAN: what is built, and trainings from two folders to pictures of both ways."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from zerosum.cli.main import run as command
from zerosum.config.base import validate
from zerosum.config.translation import CycleGANSettings
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.cycle import CycleTranslation
from zerosum.nets import patchgan, translator
from zerosum.plots.grids import GAP
from zerosum.recipes.translation import build_cyclegan
from zerosum.training.checkpoint import TENSORS
from zerosum.training.signals import Interrupted

CPU = torch.device("cpu")
TINY = {"width": 2, "blocks": 1, "d_layers": 1, "anneal": None}


def game_of(*, image_shape=(6, 16, 16), source_channels=3, **settings):
    torch.manual_seed(0)
    config = validate(CycleGANSettings, TINY | settings)
    spec = DataSpec(shape=image_shape, source_channels=source_channels)
    return build_cyclegan(config, spec, device=CPU)


@pytest.fixture
def train(train_pairs):
    def train(folder="run", **settings):
        return train_pairs("cyclegan", folder, **({"blocks": 1} | settings))

    return train


@pytest.fixture
def flags(pairs, tmp_path):
    """The command line of a tiny training."""

    def flags(**settings):
        tiny = {
            "data": pairs,
            "out": tmp_path / "run",
            "size": 16,
            "batch-size": 5,
            "epochs": 1,
            "width": 2,
            "blocks": 1,
            "d-layers": 1,
            "device": "cpu",
        }
        words = [(f"--{name}", str(value)) for name, value in (tiny | settings).items()]
        return ["train", "cyclegan", *(word for both in words for word in both)]

    return flags


class TestDefaults:
    def test_they_are_the_papers(self):
        expected = {
            "size": "256",
            "batch_size": 1,
            "epochs": 200,
            "loss": "least-squares",
            "cycle": 10,
            "identity": 5,
            "pool": 50,
            "learning_rate": 2e-4,
            "betas": (0.5, 0.999),
            "d_layers": 3,
            "anneal": "budget",
            "lr_schedule": "linear",
            "lr_end": 0,
        }
        assert expected.items() <= CycleGANSettings().model_dump().items()
        assert [pool.size for pool in game_of().forward.pools] == [50, 50]

    def test_they_are_valid(self):
        assert (
            CycleGANSettings.model_validate(CycleGANSettings().model_dump()) == CycleGANSettings()
        )

    @pytest.mark.parametrize(("batch_size", "pool"), [(51, 50), (2, 1)])
    def test_a_pool_holds_a_batch_or_nothing(self, batch_size, pool):
        with pytest.raises(UserError, match=f"--pool 0, or no less than a batch of {batch_size}"):
            validate(CycleGANSettings, {"batch_size": batch_size, "pool": pool})
        validate(CycleGANSettings, {"batch_size": batch_size, "pool": 0})
        validate(CycleGANSettings, {"batch_size": batch_size, "pool": batch_size})


class TestWhatIsBuilt:
    def test_a_way_each_way_and_a_judge_of_each_domain(self):
        game = game_of(image_shape=(4, 16, 16), source_channels=1, identity=0)
        A, B = torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16)
        assert isinstance(game.G.net.AB, translator.Generator)
        assert isinstance(game.D.net.A, patchgan.Discriminator)
        assert game.G.net.AB(A).shape == B.shape
        assert game.G.net.BA(B).shape == A.shape
        assert len(game.D.net.A(A, A[:, :0])) == len(game.D.net.B(B, B[:, :0])) == 2
        assert isinstance(game.forward, CycleTranslation)
        assert [pool.images.shape[1] for pool in game.forward.pools] == [1, 3]
        assert game.turns == "DG"

    def test_the_identity_term_needs_domains_of_equal_channels(self):
        with pytest.raises(UserError, match=r"1 of A, 3 of B.*--identity 0"):
            game_of(image_shape=(4, 16, 16), source_channels=1)

    def test_the_terms(self):
        game = game_of()
        assert list(game.D.objective) == ["least_squares_A", "least_squares_B"]
        assert list(game.G.objective) == [*game.D.objective, "cycle", "identity"]
        assert list(game_of(cycle=0, identity=0).G.objective) == [*game.D.objective]
        penalised = game_of(penalty="r1:1").D.objective
        assert penalised.keys() == game.D.objective.keys() | {"r1_A", "r1_B"}

    @pytest.mark.parametrize(
        ("loss", "adversarial"), [("least-squares", 1.0), ("non-saturating", np.log(2))]
    )
    def test_the_weights_are_the_papers(self, loss, adversarial):
        # Equation 3 with the squares of section 4: E (D(G(x)) - 1)² for G, which is not halved.
        class Side:
            fake_logits = torch.zeros(1, 3)

        class Known:
            a = b = Side
            cycled = identity_mapped = ((torch.tensor([0.5]), torch.tensor([0.25])),)

        terms = game_of(loss=loss).G.objective
        name = "least_squares" if loss == "least-squares" else "cross_entropy"
        for side in "AB":
            assert terms[f"{name}_{side}"](Known).item() == pytest.approx(adversarial)
        assert terms["cycle"](Known) == 10 * 0.25
        assert terms["identity"](Known) == 5 * 0.25

    def test_the_learning_rate_falls_to_0_in_the_second_half(self):
        game = game_of(anneal=1000, learning_rate=1e-3)
        for player in (game.G, game.D):
            rates = [player.schedules["lr"](seen) for seen in (0, 500, 750, 1000)]
            assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 0])

    def test_a_penalised_d_with_batch_norm_is_refused(self):
        with pytest.raises(UserError, match=r"'r2'.*BatchNorm.*--d-norm none"):
            game_of(d_norm="batch", penalty="r2:1")


@pytest.mark.slow
class TestTraining:
    @pytest.mark.parametrize("batch", [3, 5, 6])
    def test_interrupted_it_ends_as_if_it_had_not_been(self, train, outcome, interrupt, batch):
        # The pool is full with the second batch: what is shown later hangs on what it remembers.
        settings = {"pool": 10, "checkpoint_every": 1, "evaluate_every": 1}
        whole = outcome(train("whole", **settings))
        interrupt(batch)
        with pytest.raises(Interrupted):
            train("stopped", **settings)
        assert outcome(train("stopped", **settings)) == whole

    def test_the_checkpoint_keeps_the_pools(self, train):
        kept = train(pool=20).directory.checkpoints
        tensors = load_file(kept.path(kept.seen()[-1]) / TENSORS)
        for pool in (0, 1):
            # 5 + 5 + 2 + 5, then no room for 5 but for the last 2.
            assert tensors[f"deal/{pool}.count"] == 19
            images = tensors[f"deal/{pool}.images"]
            assert images.shape == (21, 3, 16, 16)
            assert images.flatten(1).any(dim=1).tolist() == [True] * 19 + [False] * 2
            assert images.abs().max() <= 1

    def test_the_log_has_both_domains_and_how_like_them_the_fakes_are(self, train):
        for record in train(evaluate_every=1).log():
            metrics = record["metrics"]
            assert list(metrics) == ["frechet_random", "frechet_random_A", "frechet_random_B"]
            assert metrics["frechet_random"] == pytest.approx(
                (metrics["frechet_random_A"] + metrics["frechet_random_B"]) / 2
            )
            assert "health" not in record
            names = {f"{who}/least_squares_{side}" for who in "GD" for side in "AB"}
            assert names | {"G/cycle", "G/identity", "D(x)", "D(G(z))"} <= record.keys()
            assert np.isfinite([record["loss_G"], record["loss_D"], *metrics.values()]).all()

    def test_the_picture_has_six_rows_there_and_back_both_ways(self, train, pairs):
        run = train(epochs=1)
        scale = 84 // 16
        with Image.open(run.path / "generated_epoch_1.png") as picture:
            assert picture.size == (scale * (6 * 18 + GAP), scale * (6 * 18 + GAP))
            pixels = np.asarray(picture)[::scale, ::scale]
        for column, domain in ((0, "A"), (3, "B")):
            shown = pixels[GAP:, GAP + 18 * column :][:16, :16]
            with Image.open(pairs / domain / "val" / "0.png") as image:
                assert np.array_equal(shown, np.asarray(image))

    @pytest.mark.parametrize(
        "settings",
        [
            {"loss": "relativistic", "penalty": "r1:0.1,r2:0.1"},
            {"loss": "non-saturating"},
            {"loss": "hinge", "n_critic": 2},
            {"loss": "wasserstein", "penalty": "gradient-penalty:10"},
            {"cycle": 0, "identity": 0},
            {"pool": 0},
            {"d_norm": "batch"},
            {"d_norm": "none", "enlarge": 1, "hflip": False},
            {"direction": "BtoA", "channels": 1},
            {"precision": "bf16", "pool": 5},
            {"ema_half_life": 0},
        ],
        ids=str,
    )
    def test_it_stays_finite_with(self, train, settings):
        record = train(epochs=1, **settings).log()[-1]
        terms = {name: value for name, value in record.items() if "/" in name or "loss" in name}
        assert len(terms) >= 6
        assert np.isfinite([*terms.values(), *record["metrics"].values()]).all()

    def test_domains_of_other_sizes_and_channels(self, train, tmp_path, write_images):
        for split in ("train", "val"):
            write_images(tmp_path / "mixed" / f"{split}A", 11, gray=True)
            write_images(tmp_path / "mixed" / f"{split}B", 14)
        run = train(data=tmp_path / "mixed", epochs=1, identity=0)
        assert (run.image_shape, run.source_channels) == ((4, 16, 16), 1)
        assert run.log()[-1]["seen"] == 14
        assert np.isfinite([*run.log()[-1]["metrics"].values()]).all()

    def test_it_learns_a_translation(self, train, tmp_path):
        # Dark tones are to become bright ones: the colours of a domain are easily judged.
        for half, base in (("A", 0), ("B", 155)):
            for split, count in (("train", 20), ("val", 10)):
                folder = tmp_path / "tones" / split / half
                folder.mkdir(parents=True)
                for index in range(count):
                    noise = np.random.default_rng(index).integers(0, 100, (16, 16), np.uint8)
                    Image.fromarray(noise + np.uint8(base)).save(folder / f"{index}.png")
        log = train(
            data=tmp_path / "tones",
            epochs=20,
            width=4,
            learning_rate=2e-3,
            cycle=1,
            identity=0,
            ema_half_life=0,
            evaluate_every=1,
        ).log()
        scores = [record["metrics"]["frechet_random"] for record in log]
        assert min(scores) < 0.5 * scores[0]


class TestCommand:
    def test_it_trains_and_goes_on_and_says_what_to_try(self, flags, tmp_path, capsys):
        assert command(flags()) == 0
        out = capsys.readouterr().out
        assert "\nEpoch [1/1] Loss D: " in out
        assert f"try       zerosum translate {tmp_path / 'run'} IMAGE-OR-FOLDER --out" in out
        assert "best      frechet_random" in out
        assert command(flags()) == 0
        assert "is complete" in capsys.readouterr().out

    @pytest.mark.slow
    def test_the_budget_that_it_is_annealed_over_is_saved_and_stays(self, flags, tmp_path, capsys):
        assert command(flags()) == 0
        saved = json.loads((tmp_path / "run" / "config.json").read_text())
        assert saved["config"]["anneal"] == 12
        assert command(flags(epochs=2)) == 0
        told = "the learning rate has reached its end at 12 images and stays there"
        assert told in capsys.readouterr().out
        assert command(flags(epochs=3, anneal=24)) == 2
        assert "--anneal: the run has 12, received 24" in capsys.readouterr().err

    def test_samples_of_noise_are_refused(self, flags, tmp_path, capsys):
        assert command(flags()) == 0
        capsys.readouterr()
        assert command(["sample", str(tmp_path / "run")]) == 2
        assert "zerosum translate RUN IMAGE" in capsys.readouterr().err

    def test_a_few_held_out_images_are_no_domain(self, flags, tmp_path, write_images, capsys):
        for domain in "AB":
            write_images(tmp_path / "few" / "train" / domain, 10)
            write_images(tmp_path / "few" / "val" / domain, 1)
        assert command(flags(data=tmp_path / "few")) == 0
        out = capsys.readouterr().out
        assert out.count("holds back 1 images, too few to compare G's with") == 1
        assert "best      frechet_random" in out

    def test_with_few_images_in_all_there_are_no_evaluations(
        self, flags, tmp_path, write_images, capsys
    ):
        for domain in "AB":
            write_images(tmp_path / "few" / domain, 2)
        assert command(flags(data=tmp_path / "few")) == 0
        out = capsys.readouterr().out
        assert "2 images are too few to compare G's with: there will be no evaluations." in out
        assert "has no val/ or test/ folder" in out
        with Image.open(tmp_path / "run" / "generated_epoch_1.png") as picture:
            assert picture.size == (5 * (6 * 18 + GAP), 5 * (2 * 18 + GAP))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"data": ""}, "No images to translate between were given. Expected a folder"),
            ({"d-layers": 4}, "A PatchGAN of 4 strided layers cannot judge images of 16×16"),
            ({"pool": 4}, "expected --pool 0, or no less than a batch of 5"),
            ({"d-norm": "batch", "penalty": "r1:1"}, "--d-norm none"),
        ],
        ids=str,
    )
    def test_mistakes_are_told_once_and_leave_nothing(
        self, flags, tmp_path, monkeypatch, capsys, changes, message
    ):
        monkeypatch.chdir(tmp_path)
        assert command(flags(**changes)) == 2
        err = capsys.readouterr().err
        assert err.startswith("zerosum: ")
        assert err.count(message) == 1
        assert not (tmp_path / "run").exists()
