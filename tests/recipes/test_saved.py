"""Going on with a run by its name alone, and with the settings in its config.json."""

import json
import shlex
import shutil

import pytest

import zerosum
from zerosum.cli.main import run as run_command
from zerosum.recipes import get
from zerosum.recipes.saved import command_of, saved_settings
from zerosum.training.checkpoint import TENSORS


def newest(path):
    """The tensors of a run's newest checkpoint."""
    checkpoints = zerosum.load(path).directory.checkpoints
    return (checkpoints.path(checkpoints.seen()[-1]) / TENSORS).read_bytes()


def refusal(tokens, capsys):
    assert run_command(tokens) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


@pytest.fixture
def here(run, monkeypatch):
    """The folder of the run `run`, of 3 epochs."""
    monkeypatch.chdir(run.path.parent)
    return run.path.parent


class TestResume:
    @pytest.mark.parametrize("recipe", [None, 3, ["vanilla"]])
    def test_a_config_that_names_no_recipe_is_told(self, here, capsys, recipe):
        path = here / "run" / "config.json"
        saved = json.loads(path.read_text())
        path.write_text(json.dumps({**saved, "recipe": recipe} if recipe else {"format": 1}))
        assert "run" in refusal(["train", "--resume", "run"], capsys)
        assert "run" in refusal(["train", "--config", "run/config.json"], capsys)
        assert "run" in refusal(["sample", "run"], capsys)

    def test_it_needs_no_other_flag(self, here, capsys):
        assert run_command(["train", "--resume", "run"]) == 0
        assert "is complete: 120 images" in capsys.readouterr().out

    def test_it_ends_as_the_same_command_would(self, here, train_tiny, capsys):
        shutil.copytree("run", "other")
        assert run_command(["train", "--resume", "run", "--epochs", "5"]) == 0
        train_tiny(here / "other", epochs=5)
        assert newest("run") == newest("other")
        assert "Epoch [5/5]" in capsys.readouterr().out

    def test_what_is_safe_may_change(self, here):
        tokens = ["train", "vanilla", "--resume", "run", "--images", "150", "--sample-every", "2"]
        assert run_command(tokens) == 0
        saved = json.loads((here / "run/config.json").read_text())["config"]
        assert (saved["images"], saved["sample_every"], saved["batch_size"]) == (150, 2, 16)

    def test_what_is_not_safe_is_refused_by_its_flag(self, here, capsys):
        error = refusal(["train", "--resume", "run", "--batch-size", "8", "--lr", "1e-4"], capsys)
        assert "--batch-size: the run has 16, received 8" in error
        assert "--learning-rate: the run has 0.0002, received 0.0001" in error
        assert "--from run" in error
        assert error.count("the run has") == 2

    @pytest.mark.parametrize(
        ("flags", "reason"),
        [
            (["--out", "x"], "--out: the run goes on where it is"),
            (["--fresh"], "--fresh: it would remove the run"),
            (["--seeds", "2"], "--seeds: a run has one seed"),
            (["--config", "run/config.json"], "Leave one of them out"),
        ],
    )
    def test_what_contradicts_it_is_refused_with_the_reason(self, here, capsys, flags, reason):
        assert reason in refusal(["train", "--resume", "run", *flags], capsys)
        assert newest("run")

    def test_another_recipe_is_refused(self, here, capsys):
        error = refusal(["train", "dcgan", "--resume", "run"], capsys)
        assert "trained with the recipe 'vanilla', received 'dcgan'" in error

    def test_no_run_is_told_with_those_beside_it(self, here, capsys):
        assert "Runs beside it: run." in refusal(["train", "--resume", "rum"], capsys)

    def test_data_of_a_relative_path_is_found_from_elsewhere(
        self, here, train_tiny, monkeypatch, tmp_path_factory
    ):
        train_tiny(here / "near", data="tiny.npz")
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        assert run_command(["train", "--resume", str(here / "near"), "--epochs", "4"]) == 0

    def test_in_python(self, here):
        run = zerosum.train(resume="run", epochs=4, quiet=True)
        assert run.log()[-1]["epoch"] == 4
        with pytest.raises(zerosum.UserError, match="--hidden: the run has 12 20, received 7"):
            zerosum.train(resume="run", hidden=(7,), quiet=True)
        with pytest.raises(zerosum.UserError, match="--resume does not go with --fresh"):
            zerosum.train(resume="run", fresh=True)

    def test_help_shows_the_runs_settings(self, here, capsys):
        assert run_command(["train", "--resume", "run", "--help"]) == 0
        assert "[default: (12, 20)]" in capsys.readouterr().out


class TestASavedConfig:
    def test_goes_on_with_the_run_or_begins_one_like_it(self, here, capsys):
        config = ["--config", "run/config.json"]
        assert run_command(["train", "vanilla", *config, "--out", "run"]) == 0
        assert "is complete" in capsys.readouterr().out
        shutil.copy("run/config.json", "mine.json")
        assert run_command(["train", "--config", "mine.json", "--out", "again"]) == 0
        assert newest("again") == newest("run")

    def test_flags_overrule_it(self, here):
        tokens = ["--config", "run/config.json", "--batch-size", "8", "--images", "50"]
        assert run_command(["train", *tokens, "--out", "again"]) == 0
        config = zerosum.load("again").config
        assert (config.batch_size, config.hidden, config.budget(40)) == (8, (12, 20), 50)

    def test_another_recipe_is_refused(self, here, capsys):
        error = refusal(["train", "dcgan", "--config", "run/config.json"], capsys)
        assert "trained with the recipe 'vanilla', received 'dcgan'" in error

    @pytest.mark.parametrize("text", ["{", "[]", '{"epochs": 3}'])
    def test_another_json_is_one_message(self, here, capsys, text):
        (here / "other.json").write_text(text)
        assert "cannot be read" in refusal(["train", "--config", "other.json"], capsys)

    def test_what_followed_the_budget_follows_the_new_one(self, train_tiny, tmp_path):
        run = train_tiny(tmp_path / "run", anneal="budget", lr_end=0.1)
        saved = run.directory.read_config()
        assert saved["config"]["anneal"] == 120
        again = saved_settings(run.path, saved, get("vanilla"))
        assert again["anneal"] == "budget"
        unlike = {**saved, "config": {**saved["config"], "anneal": 100}}
        assert saved_settings(run.path, unlike, get("vanilla"))["anneal"] == 100

    def test_a_setting_that_nobody_knows_is_one_message(self, here, capsys):
        saved = json.loads((here / "run/config.json").read_text())
        saved["config"]["warp"] = 9
        (here / "run/config.json").write_text(json.dumps(saved))
        for flag in (["--resume", "run"], ["--config", "run/config.json"]):
            assert "'warp'" in refusal(["train", *flag], capsys)


def test_the_command_of_a_run_says_what_differs_and_what_is_off():
    given = {"data": "pairs/", "hflip": False, "batch_size": 2}
    settings = get("pix2pix").configure(given)
    defaults = get("pix2pix").configure({"data": "pairs/"})
    saved = {"recipe": "pix2pix", "started_from": {"run": "runs/my run"}}
    words = shlex.split(command_of(saved, settings, defaults))
    assert words[:7] == [
        *["zerosum", "train", "pix2pix", "--data", "pairs/", "--from"],
        "runs/my run",
    ]
    assert "--no-hflip" in words
    assert words[words.index("--batch-size") + 1] == "2"
