from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zerosum.config.base import (
    FREE_ON_RESUME,
    Settings,
    Ticks,
    as_flag,
    conflicts,
    parse_size,
    read_toml,
    restore,
    unread,
    validate,
)
from zerosum.config.gan import GanSettings
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, get


class TestSize:
    @given(st.integers(1, 10**6), st.integers(1, 10**6))
    def test_is_one_side_or_height_by_width(self, height, width):
        assert parse_size(f"{height}") == (height, height)
        assert parse_size(f"{height}x{width}") == (height, width)
        assert parse_size(f"{height}X{width}") == (height, width)

    @pytest.mark.parametrize(
        "text", ["", "x", "0", "64x", "x64", "64x0", "-3", "1x2x3", "64 x 64", "6.4", "²", "big"]
    )
    def test_is_nothing_else(self, text):
        with pytest.raises(ValueError, match="expected N or HEIGHTxWIDTH"):
            parse_size(text)
        with pytest.raises(UserError, match=r"--size: received .*, expected N or HEIGHTxWIDTH"):
            validate(Settings, {"size": text})

    @pytest.mark.parametrize("size", [64, "64"])
    def test_may_be_given_as_a_number(self, size):
        assert validate(Settings, {"size": size}).size == "64"


class TestValidate:
    def test_takes_the_defaults_where_nothing_is_given(self):
        assert validate(GanSettings, {}) == GanSettings()

    def test_what_came_out_goes_in_again(self):
        config = validate(
            GanSettings, {"hidden": [8, 9, 10], "size": "48x64", "learning_rate": 1e-3}
        )
        assert config.hidden == (8, 9, 10)
        assert validate(GanSettings, config.model_dump(mode="json")) == config

    @pytest.mark.parametrize(
        ("name", "closest"),
        [("batchsize", "batch_size"), ("lerning_rate", "learning_rate"), ("epoch", "epochs")],
    )
    def test_an_unknown_setting_is_answered_with_the_closest(self, name, closest):
        with pytest.raises(UserError, match=f"no setting '{name}'. Did you mean '{closest}'"):
            validate(GanSettings, {name: 1})

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("epochs", 0, "--epochs: received 0, expected greater than or equal to 1."),
            ("epochs", "many", "--epochs: received 'many', expected a valid integer"),
            ("epochs", 1.5, "--epochs: received 1.5, expected a valid integer"),
            ("images", -1, "--images: received -1, expected greater than or equal to 1."),
            ("batch_size", 0, "--batch-size: received 0, expected greater than or equal to 1."),
            ("seed", -1, "--seed: received -1, expected greater than or equal to 0."),
            ("channels", 2, "--channels: received 2, expected 1, 3 or 4."),
            (
                "precision",
                "fp16",
                "--precision: received 'fp16', expected 'fp32', 'bf16', 'auto' or 'fp64'.",
            ),
            ("device", "gpu", "--device: received 'gpu', expected auto, cpu, cuda, cuda:N or mps."),
            ("device", "cuda:x", "--device: received 'cuda:x', expected auto, cpu, cuda, cuda:N"),
            ("ema_half_life", -1, "--ema-half-life: received -1, expected greater than or equal"),
            ("strict", "maybe", "--strict: received 'maybe', expected a valid boolean"),
            ("learning_rate", 0, "--learning-rate: received 0, expected greater than 0."),
            ("learning_rate", float("nan"), "--learning-rate: received nan, expected a finite"),
            ("betas", (0.5, 1), "--betas: received 1, expected less than 1."),
            ("betas", (0.5,), "--betas: received (0.5,), expected more values."),
            ("betas", (0, 0, 0), "--betas: received (0, 0, 0), expected at most 2 items"),
            ("hidden", (256, 0), "--hidden: received 0, expected greater than or equal to 1."),
            ("latent_size", None, "--latent-size: received None, expected a valid integer."),
        ],
    )
    def test_a_bad_value_is_named_with_what_was_received_and_expected(self, name, value, message):
        with pytest.raises(UserError) as error:
            validate(GanSettings, {name: value})
        assert str(error.value).startswith(message)

    def test_all_bad_values_are_named_at_once(self):
        with pytest.raises(UserError) as error:
            validate(GanSettings, {"epochs": 0, "seed": -1, "betas": (2, 2)})
        assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
            "--epochs",
            "--seed",
            "--betas",
            "--betas",
        ]

    def test_a_config_does_not_change(self):
        with pytest.raises(ValidationError, match="frozen"):
            GanSettings().epochs = 3


class TestToml:
    def test_dashes_stand_for_underscores(self, tmp_path):
        path = tmp_path / "my.toml"
        path.write_text('batch-size = 64\nlearning_rate = 1e-3\ndata = "mnist"\nhidden = [8, 9]\n')
        values = read_toml(path)
        assert values == {
            "batch_size": 64,
            "learning_rate": 1e-3,
            "data": "mnist",
            "hidden": [8, 9],
        }
        assert validate(GanSettings, values).hidden == (8, 9)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(UserError, match=r"'.*none.toml': No such file .*Expected a TOML file"):
            read_toml(tmp_path / "none.toml")

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(UserError, match="Is a directory"):
            read_toml(tmp_path)

    @pytest.mark.parametrize(
        "data",
        [b"epochs: 5", b"epochs =", b"\xff\xfe", b"a = 1\na = 2", b"a." * 9_000 + b"b = 1"],
        ids=["a colon", "half", "bytes", "twice", "too large"],
    )
    def test_what_is_not_toml_is_said_to_be_so(self, tmp_path, data):
        (tmp_path / "my.toml").write_bytes(data)
        with pytest.raises(UserError, match=r"my.toml' is not valid TOML"):
            read_toml(tmp_path / "my.toml")

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device that never ends")
    def test_what_never_ends_is_not_read_to_its_end(self, tmp_path):
        (tmp_path / "my.toml").symlink_to("/dev/zero")
        with pytest.raises(UserError, match="more than 16,384 bytes"):
            read_toml(tmp_path / "my.toml")


def test_a_gain_must_be_seen_to_be_missed():
    with pytest.raises(UserError, match=r"--evaluate-every above 0 beside --patience"):
        validate(GanSettings, {"patience": 10, "evaluate_every": 0})


class TestBudget:
    def test_it_is_in_epochs_or_in_images_which_count_where_both_are_given(self):
        assert Settings(epochs=3).budget(40) == 120
        assert Settings(epochs=None, images=50).budget(40) == 50
        assert Settings(epochs=3, images=50).budget(40) == 50

    @pytest.mark.parametrize("kind", [Settings, GanSettings, RECIPES["dcgan"].config])
    def test_there_has_to_be_one(self, kind):
        with pytest.raises(UserError, match="expected --epochs or --images"):
            validate(kind, {"epochs": None, "images": None})
        assert validate(kind, {"epochs": None, "images": 5}).budget(40) == 5

    @pytest.mark.parametrize("name", RECIPES)
    def test_every_recipe_has_one_of_its_own(self, name):
        for data in ("mnist", "my-folder"):
            config = RECIPES[name].configure({"data": data})
            assert (config.epochs is None) != (config.images is None)

    def test_what_follows_from_it_is_settled_once_it_is_known(self):
        assert Settings().settled(1000) == Settings()
        for asked, settled in (("budget", 1000), (300, 300), (None, None)):
            config = validate(GanSettings, {"anneal": asked})
            assert config.settled(1000).anneal == config.settled(1000).anneal_images == settled
            assert config.settled(1000).settled(2000) == config.settled(1000)
        assert validate(GanSettings, {"anneal": "300"}).anneal == 300
        with pytest.raises(ValueError, match="settle them first"):
            _ = GanSettings(anneal="budget").anneal_images


class TestTicks:
    @given(epochs=st.integers(20, 1000), num_images=st.integers(1, 60_000))
    def test_of_many_epochs_each_comes_at_the_end_of_some(self, epochs, num_images):
        ticks = Settings(epochs=epochs).ticks(num_images)
        assert ticks == Settings(epochs=None, images=epochs * num_images).ticks(num_images)
        assert ticks.log == num_images
        assert ticks.sample == num_images * round(epochs / 10)
        assert ticks.evaluate == num_images * max(1, round(epochs / 20))
        assert ticks.checkpoint == num_images * (epochs // 20)

    @given(images=st.integers(1, 10**7), num_images=st.integers(1, 10**7))
    def test_a_power_cut_costs_a_twentieth_at_most(self, images, num_images):
        ticks = Settings(epochs=None, images=images).ticks(num_images)
        assert 1 <= ticks.checkpoint <= max(1, images / 20)

    @given(images=st.integers(1, 10**7), num_images=st.integers(1, 10**7))
    def test_the_log_has_a_thousand_lines_at_most_and_one_an_epoch_if_it_can(
        self, images, num_images
    ):
        log = Settings(epochs=None, images=images).ticks(num_images).log
        assert images / log <= 1000
        assert log == min(num_images, 60_000) or (images - 1) / log > 500

    def test_the_vanilla_gan_on_mnist(self):
        ticks = get("vanilla").configure({}).ticks(60_000)
        assert ticks == Ticks(log=60_000, sample=600_000, checkpoint=300_000, evaluate=300_000)

    def test_100_images_for_10_000_epochs(self):
        ticks = Settings(epochs=10_000).ticks(100)
        assert ticks == Ticks(log=1000, sample=100_000, checkpoint=50_000, evaluate=50_000)

    def test_few_long_epochs(self):
        ticks = Settings(epochs=5).ticks(60_000)
        assert ticks == Ticks(log=60_000, sample=60_000, checkpoint=15_000, evaluate=60_000)
        ticks = Settings(epochs=None, images=3_600_000).ticks(1_300_000)
        assert ticks == Ticks(log=60_000, sample=360_000, checkpoint=180_000, evaluate=180_000)

    @pytest.mark.parametrize("name", ["sample", "checkpoint", "evaluate"])
    def test_what_is_asked_for_counts_in_parts_of_an_epoch_too(self, name):
        for epochs, images in ((7, 280), (0.5, 20), (1e-9, 1)):
            ticks = Settings(epochs=100, **{f"{name}_every": epochs}).ticks(40)
            assert getattr(ticks, name) == images

    def test_no_evaluations_are_none(self):
        assert Settings(evaluate_every=0).ticks(40).evaluate == 0


SAVED = GanSettings(epochs=5, images=1000)
OTHER = {  # another valid value for every field
    "data": "fashion-mnist",
    "size": "32",
    "channels": 3,
    "strict": True,
    "data_tier": "disk",
    "batch_norm": "local",
    "fit": "pad",
    "range": "0:4095",
    "hold_out": 0.1,
    "all_frames": True,
    "batch_size": 64,
    "seed": 1,
    "device": "cpu",
    "precision": "bf16",
    "ema_half_life": 0,
    "sample_every": 1,
    "log": "wandb",
    "checkpoint_every": 1,
    "evaluate_every": 0,
    "patience": 10,
    "on_collapse": "restart",
    "restarts": 2,
    "nets": "resnet",
    "latent_size": 2,
    "hidden": (8,),
    "width": 8,
    "full_width_up_to": 7,
    "spectral_norm": "both",
    "d_norm": "batch",
    "attention": "14",
    "conditioning": "concat",
    "pack": 2,
    "loss": "hinge",
    "targets": (-1.0, 1.0, 0.0),
    "penalty": "r1:1",
    "clip": 0.01,
    "n_critic": 5,
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "d_learning_rate": 4e-4,
    "freeze_d": 1,
    "betas": (0.0, 0.9),
    "anneal": 1000,
    "lr_schedule": "linear",
    "lr_end": 0.5,
    "anneal_penalty": 0.1,
    "anneal_beta": 0.99,
    "augment": "color",
    "augment_target": 0.6,
    "hflip": True,
    "grad_accumulation": 2,
}


class TestConflicts:
    def test_a_config_agrees_with_itself(self):
        assert conflicts(SAVED, SAVED, num_images=100) == []

    def test_every_field_but_the_budget_is_covered_here(self):
        assert OTHER.keys() | {"epochs", "images"} == GanSettings.model_fields.keys()

    @pytest.mark.parametrize("name", sorted(OTHER))
    def test_what_weights_depend_on_may_not_change(self, name):
        asked = SAVED.model_copy(update={name: OTHER[name]})
        before, now = as_flag(getattr(SAVED, name)), as_flag(OTHER[name])
        expected = f"--{name.replace('_', '-')}: the run has {before}, received {now}"
        free = FREE_ON_RESUME | (unread(SAVED).keys() & unread(asked).keys())
        assert conflicts(SAVED, asked, num_images=100) == ([] if name in free else [expected])

    def test_a_flag_that_nobody_gave_is_not_called_received(self):
        asked = SAVED.model_copy(update={"batch_size": 9, "seed": 1})
        assert conflicts(SAVED, asked, num_images=100, given={"seed"}) == [
            f"--batch-size: the run has {SAVED.batch_size}, not given here, where the default is 9",
            f"--seed: the run has {SAVED.seed}, received 1",
        ]

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "none"), (True, "on"), (False, "off"), ((12, 20), "12 20"), (1, "1"), ("x", "x")],
    )
    def test_values_are_shown_as_behind_a_flag(self, value, text):
        assert as_flag(value) == text

    def test_how_often_a_run_reports_may_change(self):
        assert {
            "sample_every",
            "checkpoint_every",
            "evaluate_every",
            "patience",
            "on_collapse",
            "restarts",
            "data_tier",
            "data",
            "strict",
            "device",
            "log",
        } == FREE_ON_RESUME

    @pytest.mark.parametrize(
        ("before", "now"),
        [
            ({"epochs": 5}, {"epochs": 6}),
            ({"images": 1000}, {"images": 1001}),
            ({"epochs": 5}, {"images": 500}),
            ({"images": 450}, {"epochs": 5}),
        ],
    )
    def test_the_budget_may_grow_in_either_unit(self, before, now):
        saved, asked = (GanSettings(**{"epochs": None, **budget}) for budget in (before, now))
        assert conflicts(saved, asked, num_images=100) == []

    @pytest.mark.parametrize(
        ("before", "now", "line"),
        [
            ({"epochs": 5}, {"epochs": 4}, "--epochs: the run has 5, received 4"),
            ({"images": 1000}, {"images": 999}, "--images: the run has 1000, received 999"),
            ({"epochs": 5}, {"images": 499}, "--images: the run has 5 epochs, received 499"),
            ({"images": 401}, {"epochs": 4}, "--epochs: the run has 401 images, received 4"),
        ],
    )
    def test_the_budget_may_not_shrink(self, before, now, line):
        saved, asked = (GanSettings(**{"epochs": None, **budget}) for budget in (before, now))
        assert conflicts(saved, asked, num_images=100) == [f"{line}; it can only grow"]

    @pytest.mark.parametrize("now", [None, 1, 9])
    def test_epochs_are_of_no_account_where_the_budget_is_in_images(self, now):
        asked = SAVED.model_copy(update={"epochs": now})
        assert conflicts(SAVED, asked, num_images=100) == []

    def test_what_neither_reads_is_of_no_account(self):
        """In 0.1 `--width` could be given to the nets mlp: such a run goes on without it."""
        saved = restore(GanSettings, {"nets": "mlp", "width": 99, "anneal_along": "line"})
        assert conflicts(saved, GanSettings(nets="mlp"), num_images=100) == []
        lines = conflicts(saved, GanSettings(nets="resnet"), num_images=100)
        assert [line.split(":")[0] for line in lines] == ["--nets", "--width"]

    def test_every_field_that_differs_is_listed(self):
        asked = SAVED.model_copy(update={"seed": 1, "batch_size": 2})
        lines = conflicts(SAVED, asked, num_images=100)
        assert [line.split(":")[0] for line in lines] == ["--batch-size", "--seed"]
