"""The flags of `train` and the defaults that its help shows."""

import re

import pytest

from zerosum.cli.main import run
from zerosum.cli.train import flags_of, value_of
from zerosum.recipes import RECIPES, get

DATA = ["mnist", "cifar10", "ring", "mine"]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("data", DATA)
def test_the_flags_defaults_are_those_that_the_command_will_use(name, data):
    recipe = get(name)
    shown = {
        field: info.default for field, info in flags_of(recipe, {"data": data}).model_fields.items()
    }
    assert shown == dict(recipe.configure({"data": data}))


def shown_defaults(tokens, capsys):
    """The defaults in a command's help, by flag."""
    assert run(tokens) == 0
    lines = [line.strip(" │") for line in capsys.readouterr().out.splitlines()]
    text = " ".join(lines)
    parts = re.split(r"(?=--[a-z-]+ (?:STR|INT|FLOAT|CHOICE|PATH|--no))", text)
    found = {}
    for part in parts:
        if match := re.match(r"--([a-z-]+) .*\[default: ([^\]]*)\]", part):
            found[match[1]] = match[2]
    return found


@pytest.mark.slow
def test_help_shows_what_the_same_command_uses(capsys):
    shown = shown_defaults(["train", "dcgan", "--help"], capsys)
    assert (shown["batch-size"], shown["width"], shown["epochs"]) == ("64", "32", "12")
    shown = shown_defaults(["train", "dcgan", "--data", "cifar10", "--help"], capsys)
    assert (shown["batch-size"], shown["width"], shown["images"]) == ("128", "64", "1000000")
    assert shown["hflip"] == "True"
    shown = shown_defaults(["train", "wgan-gp", "--help"], capsys)
    assert (shown["n-critic"], shown["learning-rate"]) == ("1", "0.0003")
    shown = shown_defaults(["train", "wgan-gp", "--data=mine", "--help"], capsys)
    assert (shown["n-critic"], shown["learning-rate"]) == ("5", "0.0001")


def test_help_shows_what_the_config_file_says(tmp_path, capsys):
    file = tmp_path / "my.toml"
    file.write_text('data = "cifar10"\nattention = "16"\n')  # which the default recipe refuses
    for config in (["--config", str(file)], [f"--config={file}"]):
        shown = shown_defaults(["train", "dcgan", *config, "--help"], capsys)
        assert (shown["data"], shown["attention"], shown["width"]) == ("cifar10", "16", "64")
    shown = shown_defaults(["train", "dcgan", *config, "--data", "mnist", "--help"], capsys)
    assert (shown["attention"], shown["width"]) == ("16", "32")


def test_help_says_who_reads_what_the_recipe_does_not(capsys):
    assert run(["train", "vanilla", "--help"]) == 0
    text = re.sub(r"[ │\n]+", " ", capsys.readouterr().out)
    assert "half as many are four times as fast. Read by --nets dcgan, resnet and r3gan." in text
    assert "--hidden INT... G's hidden layers; D's are the same in reverse. [default: (256" in text


def test_help_of_train_lists_the_recipes(capsys):
    assert run(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in RECIPES)


@pytest.mark.parametrize(
    ("tokens", "value"),
    [
        (["--data", "ring"], "ring"),
        (["--seed", "1", "--data=grid"], "grid"),
        (["--data"], None),
        ([], None),
        (["--datum", "x"], None),
    ],
)
def test_what_a_flag_is_given(tokens, value):
    assert value_of("--data", tokens) == value


def test_help_shows_one_default_of_each_flag(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    for recipe in ("vanilla", "r3gan", "pix2pix"):
        run(["train", recipe, "--help"])
        lines = capsys.readouterr().out.splitlines()
        assert not [line for line in lines if line.count("[default:") > 1]
