"""Pix2Pix: what is built, and trainings from a folder of pairs to its pictures."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.cli.main import run as command
from zerosum.config.base import validate
from zerosum.config.translation import Pix2PixSettings
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.translation import Translation
from zerosum.nets import patchgan, unet
from zerosum.plots.grids import GAP
from zerosum.recipes.translation import build_pix2pix
from zerosum.training.signals import Interrupted

CPU = torch.device("cpu")
TINY = {"width": 2, "d_layers": 1, "anneal": None}


def game_of(*, image_shape=(4, 16, 16), source_channels=1, **settings):
    torch.manual_seed(0)
    config = validate(Pix2PixSettings, TINY | settings)
    spec = DataSpec(shape=image_shape, source_channels=source_channels)
    return build_pix2pix(config, spec, device=CPU)


def flags_of(pairs, out, **settings):
    """The command line of a tiny training."""
    tiny = {
        "data": pairs,
        "out": out,
        "size": 16,
        "batch-size": 5,
        "epochs": 1,
        "width": 2,
        "d-layers": 1,
        "device": "cpu",
    }
    words = [(f"--{name}", str(value)) for name, value in (tiny | settings).items()]
    return ["train", "pix2pix", *(word for both in words for word in both)]


class TestDefaults:
    def test_they_are_the_papers(self):
        expected = {
            "size": "256",
            "batch_size": 1,
            "epochs": 200,
            "loss": "non-saturating",
            "l1": 100,
            "adversarial": 1,
            "learning_rate": 2e-4,
            "betas": (0.5, 0.999),
            "dropout": 0.5,
            "width": 64,
            "d_layers": 3,
            "hflip": True,
            "anneal": "budget",
            "lr_schedule": "linear",
            "lr_end": 0,
        }
        assert expected.items() <= Pix2PixSettings().model_dump().items()
        assert round(256 * Pix2PixSettings().enlarge) == 286

    def test_they_are_valid(self):
        assert Pix2PixSettings.model_validate(Pix2PixSettings().model_dump()) == Pix2PixSettings()


class TestWhatIsBuilt:
    def test_a_u_net_from_source_to_target_and_a_patchgan_of_both(self):
        game = game_of()
        assert isinstance(game.G.net, unet.Generator)
        assert isinstance(game.D.net, patchgan.Discriminator)
        source, target = torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16)
        assert game.G.net(source).shape == target.shape
        assert len(game.D.net(target, source)) == 2
        assert isinstance(game.forward, Translation)
        assert game.turns == "DG"
        assert not game.has_batch_norm

    def test_g_minimises_d_s_verdict_and_the_error(self):
        assert list(game_of().G.objective) == ["cross_entropy", "l1"]
        assert list(game_of(l1=0).G.objective) == ["cross_entropy"]
        assert list(game_of(adversarial=0).G.objective) == ["l1"]
        assert list(game_of(adversarial=0).D.objective) == ["cross_entropy"]

    def test_the_weights(self):
        class Known:
            real, fake = torch.zeros(1, 2), torch.tensor([[0.25, -0.5]])
            fake_logits = torch.zeros(1, 3)

        terms = game_of(l1=8, adversarial=3).G.objective
        assert terms["l1"](Known) == 8 * 0.375
        assert terms["cross_entropy"](Known).item() == pytest.approx(3 * np.log(2))

    @pytest.mark.parametrize("d_learning_rate", [None, 3e-4])
    def test_the_learning_rate_falls_to_0_in_the_second_half(self, d_learning_rate):
        rates = {"learning_rate": 1e-3, "d_learning_rate": d_learning_rate}
        game = game_of(anneal=1000, **rates)
        for player, start in ((game.G, 1e-3), (game.D, d_learning_rate or 1e-3)):
            shares = [player.schedules["lr"](seen) / start for seen in (0, 500, 750, 900, 1000)]
            assert shares == pytest.approx([1, 1, 0.5, 0.2, 0])
        assert not game_of(anneal=None).G.schedules

    def test_what_is_annealed_over_the_budget_must_know_it(self):
        with pytest.raises(ValueError, match="settle them first"):
            game_of(anneal="budget")

    def test_a_penalised_d_with_batch_norm_is_refused(self):
        with pytest.raises(UserError, match=r"'r1'.*BatchNorm.*--d-norm none"):
            game_of(d_norm="batch", penalty="r1:1")
        assert game_of(d_norm="batch").has_batch_norm

    def test_nothing_to_minimise_is_refused(self):
        with pytest.raises(UserError, match="expected --l1 or --adversarial above 0"):
            game_of(l1=0, adversarial=0)


@pytest.mark.slow
class TestTraining:
    def test_interrupted_in_mid_epoch_it_ends_as_if_it_had_not_been(
        self, train_pairs, outcome, interrupt
    ):
        settings = {"penalty": "r1:0.1", "checkpoint_every": 1, "evaluate_every": 1}
        whole = outcome(train_pairs("pix2pix", "whole", **settings))
        interrupt(5)
        with pytest.raises(Interrupted):
            train_pairs("pix2pix", "stopped", **settings)
        assert outcome(train_pairs("pix2pix", "stopped", **settings)) == whole

    def test_the_log_has_the_terms_and_how_close_it_comes_to_the_targets(self, train_pairs):
        log = train_pairs("pix2pix", evaluate_every=1).log()
        for record in log:
            assert list(record["metrics"]) == ["val_l1", "val_ssim", "val_psnr"]
            assert "health" not in record
            assert {
                "G/cross_entropy",
                "G/l1",
                "D/cross_entropy",
                "D(x)",
                "D(G(z))",
            } <= record.keys()
            assert np.isfinite([record["loss_G"], record["loss_D"]]).all()
        assert 0 < log[-1]["metrics"]["val_l1"] < 2

    def test_the_picture_has_six_rows_of_source_output_target(self, train_pairs, pairs):
        run = train_pairs("pix2pix", epochs=1)
        scale = 84 // 16
        with Image.open(run.path / "generated_epoch_1.png") as picture:
            assert picture.size == (scale * (3 * 18 + GAP), scale * (6 * 18 + GAP))
            pixels = np.asarray(picture)[::scale, ::scale]
        rows = [0, 2, 4, 5, 7, 9]  # of the ten held-out ones, evenly
        for row, number in enumerate(rows):
            for column, domain in ((0, "A"), (2, "B")):
                shown = pixels[GAP + 18 * row :, GAP + 18 * column :][:16, :16]
                with Image.open(pairs / domain / "val" / f"{number}.png") as image:
                    assert np.array_equal(shown, np.asarray(image))

    @pytest.mark.parametrize(
        "settings",
        [
            {"loss": "relativistic", "penalty": "r1:0.1,r2:0.1"},
            {"loss": "least-squares"},
            {"loss": "hinge"},
            {"loss": "wasserstein", "clip": 0.01, "n_critic": 2},
            {"penalty": "gradient-penalty:10"},
            {"adversarial": 0},
            {"l1": 0},
            {"norm": "batch", "d_norm": "batch"},
            {"d_norm": "none", "dropout": 0, "enlarge": 1, "hflip": False},
            {"direction": "BtoA", "channels": 1},
            {"precision": "bf16"},
            {"ema_half_life": 0},
        ],
        ids=str,
    )
    def test_it_stays_finite_with(self, train_pairs, settings):
        record = train_pairs("pix2pix", epochs=1, **settings).log()[-1]
        terms = {name: value for name, value in record.items() if "/" in name or "loss" in name}
        assert len(terms) >= 4
        assert np.isfinite([*terms.values(), *record["metrics"].values()]).all()

    def test_regression_learns_the_translation(self, train_pairs, tmp_path):
        for index, tone in enumerate(range(0, 256, 15)):
            for half, level in (("A", tone), ("B", 255 - tone)):
                folder = tmp_path / "tones" / ("val" if index % 3 == 1 else "train") / half
                folder.mkdir(parents=True, exist_ok=True)
                Image.new("L", (16, 16), level).save(folder / f"{index}.png")
        log = train_pairs(
            "pix2pix",
            data=tmp_path / "tones",
            epochs=40,
            adversarial=0,
            dropout=0,
            learning_rate=0.01,
            ema_half_life=0,
            evaluate_every=20,
        ).log()
        scores = [record["metrics"]["val_l1"] for record in log if "metrics" in record]
        assert scores[-1] < 0.1

    def test_pairs_side_by_side(self, train_pairs, tmp_path, write_images):
        write_images(tmp_path / "both", 3, size=(16, 32))
        run = train_pairs("pix2pix", data=tmp_path / "both", epochs=1)
        assert run.image_shape == (6, 16, 16)
        assert run.source_channels == 3


class TestCommand:
    def test_it_trains_and_goes_on_and_says_what_to_try(self, pairs, tmp_path, capsys):
        flags = flags_of(pairs, tmp_path / "run", loss="hinge", penalty="r1:0.1")
        assert command(flags) == 0
        out = capsys.readouterr().out
        assert "\nEpoch [1/1] Loss D: " in out
        assert f"try       zerosum translate {tmp_path / 'run'} IMAGE-OR-FOLDER --out" in out
        assert "best      val_l1" in out
        assert command(flags) == 0
        assert "is complete" in capsys.readouterr().out

    @pytest.mark.slow
    def test_the_budget_that_it_is_annealed_over_is_saved_and_stays(self, pairs, tmp_path, capsys):
        out = tmp_path / "run"
        assert command(flags_of(pairs, out)) == 0
        assert json.loads((out / "config.json").read_text())["config"]["anneal"] == 12
        assert command(flags_of(pairs, out, epochs=2)) == 0
        told = "the learning rate has reached its end at 12 images and stays there"
        assert told in capsys.readouterr().out
        assert json.loads((out / "config.json").read_text())["config"]["anneal"] == 12
        assert command(flags_of(pairs, out, epochs=3, anneal=24)) == 2
        assert "--anneal: the run has 12, received 24" in capsys.readouterr().err

    def test_samples_of_noise_are_refused(self, pairs, tmp_path, capsys):
        assert command(flags_of(pairs, tmp_path / "run")) == 0
        capsys.readouterr()
        assert command(["sample", str(tmp_path / "run"), "--out", str(tmp_path / "x.png")]) == 2
        err = capsys.readouterr().err
        assert "makes images of images, and nothing of noise" in err
        assert "zerosum translate RUN IMAGE" in err
        assert not (tmp_path / "x.png").exists()

    def test_a_folder_without_val_is_noticed(self, tmp_path, write_images, capsys):
        for domain in "AB":
            write_images(tmp_path / "few" / domain, 2)
        assert command(flags_of(tmp_path / "few", tmp_path / "run")) == 0
        assert capsys.readouterr().out.count("has no val/ or test/ folder") == 1
        assert (tmp_path / "run" / "generated_epoch_1.png").is_file()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"data": ""}, "No images to translate between were given. Expected a folder"),
            ({"data": "mnist"}, "'mnist' holds single images, with nothing to translate them to"),
            ({"d-layers": 4}, "A PatchGAN of 4 strided layers cannot judge images of 16×16"),
            ({"size": 4}, "4×4"),
            ({"d-norm": "batch", "penalty": "r1:1"}, "--d-norm none"),
            ({"l1": 0, "adversarial": 0}, "expected --l1 or --adversarial above 0"),
            ({"enlarge": 0.9}, "--enlarge: received '0.9', expected greater than or equal to 1"),
        ],
        ids=str,
    )
    def test_mistakes_are_told_once_and_leave_nothing(
        self, pairs, tmp_path, monkeypatch, capsys, changes, message
    ):
        monkeypatch.chdir(tmp_path)
        assert command(flags_of(pairs, tmp_path / "run", **changes)) == 2
        err = capsys.readouterr().err
        assert err.startswith("zerosum: ")
        assert err.count(message) == 1
        assert not (tmp_path / "run").exists()

    def test_data_left_out_is_the_same_mistake(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert command(["train", "pix2pix"]) == 2
        assert "No images to translate between were given" in capsys.readouterr().err
        assert not (tmp_path / "runs").exists()
