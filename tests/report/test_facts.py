import json
import shlex
from pathlib import Path

import pytest

from zerosum.cli.main import command_line
from zerosum.cli.train import train_app
from zerosum.errors import UserError
from zerosum.recipes import RECIPES
from zerosum.report.facts import collect
from zerosum.training.run_directory import RunDirectory

OLD = Path(__file__).parent.parent / "fixtures/v0.1"


def settings_of(command):
    """The settings that a command line comes to, by the parser of `train`."""
    words = shlex.split(command)[2:]
    app = command_line()
    app.command(train_app(words))
    _, bound, *_ = app.parse_args(["train", *words], print_error=False, exit_on_error=False)
    flags = bound.kwargs.get("settings")
    given = flags.model_dump(exclude_unset=True) if flags else {}
    return RECIPES[words[0]].configure(given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"epochs": 7},
        {"images": 500, "learning_rate": 0.001, "seed": 3},
        {"data": "my photos; rm -rf", "size": 16, "hflip": True, "hold_out": 0.25},
        {"hidden": (12, 20), "latent_size": 4, "anneal": "budget", "lr_end": 0.1},
    ],
)
def test_the_command_comes_to_the_same_settings(tmp_path, given):
    config = RECIPES["vanilla"].configure(given)
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    settled = config.settled(config.budget(40))
    directory.write_config(
        {
            "recipe": "vanilla",
            "image_shape": [1, 4, 4],
            "num_images": 40,
            "config": settled.model_dump(mode="json"),
        }
    )
    facts = collect(directory)
    assert settings_of(facts.command) == config
    differing = {setting.name for setting in facts.settings if setting.differs}
    assert differing <= {*given, "epochs"}


def test_how_far_a_run_is(make_run):
    directory = make_run("a")
    facts = collect(directory)
    assert (facts.budget, facts.state) == (40, "complete")  # 4 epochs of 10 images, by its log
    directory.log_path.write_text("".join(directory.log_path.read_text().splitlines(True)[:2]))
    assert collect(directory).state == "part"
    directory.log_path.unlink()
    assert collect(directory).state == "begun"


def test_impatience_is_told(make_run):
    directory = make_run("a", metrics=(1.0, 2.0), patience=2, epochs=9)
    saved = json.loads(directory.config_path.read_text())
    directory.config_path.write_text(json.dumps({**saved, "num_images": 10}))
    assert collect(directory).state == "stalled"


@pytest.mark.parametrize("name", ["vanilla", "acgan", "r3gan", "cyclegan"])
def test_old_runs_are_read(name):
    facts = collect(RunDirectory(OLD / name / "run"))
    assert facts.recipe == name
    assert facts.state == "part"  # they were stopped half-way
    assert facts.budget > facts.history.seen > 0
    assert facts.pictures
    assert facts.circumstances["device"] == "cpu"
    assert facts.command.startswith(f"zerosum train {name} --data")


def test_an_unknown_recipe_is_shown_without_comparison(make_run):
    directory = make_run("a")
    saved = json.loads(directory.config_path.read_text())
    directory.config_path.write_text(json.dumps({**saved, "recipe": "mine.py:OWN"}))
    facts = collect(directory)
    assert facts.command is None
    assert facts.task == ""
    assert {setting.name: setting.value for setting in facts.settings}["seed"] == "0"


@pytest.mark.parametrize(
    "change",
    [
        {"config": None},
        {"config": []},
        {"image_shape": None},
        {"image_shape": ["a"]},
        {"classes": 3},
    ],
)
def test_a_changed_config_is_said(make_run, change):
    directory = make_run("a")
    saved = json.loads(directory.config_path.read_text())
    directory.config_path.write_text(json.dumps({**saved, **change}))
    with pytest.raises(UserError, match="not as train writes it"):
        collect(directory)


def test_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="There is no run"):
        collect(RunDirectory(tmp_path))
