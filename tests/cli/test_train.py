"""The flags of `train` and the defaults that its help shows."""

import io
import re
from pathlib import Path

import pytest

from zerosum import preparation
from zerosum.cli import train as command
from zerosum.cli.main import run
from zerosum.cli.train import flags_of, spelled_out, value_of
from zerosum.recipes import RECIPES, get
from zerosum.training.run_directory import RunDirectory

EXAMPLE = Path(__file__).parents[2] / "examples/train.toml"

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


class TestMoreThanADay:
    @pytest.fixture
    def slow(self, monkeypatch, tiny_images, tmp_path):
        """A command that would take days, on a terminal that answers."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(preparation, "images_per_second", lambda *_, **__: 0.01)

        def train(answer, *flags):
            monkeypatch.setattr(command.sys, "stdin", answer)
            few = ["--hidden", "4", "--batch-size", "40", "--evaluate-every", "0"]
            return run(["train", "--data", str(tiny_images), "--images", "1040", *few, *flags])

        return train

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    @pytest.mark.parametrize("answer", ["\n", "n\n", ""])
    def test_no_leaves_and_leaves_nothing_behind(self, slow, answer, tmp_path, capsys):
        assert slow(self.Terminal(answer)) == 2
        said = capsys.readouterr().err
        assert "would take about 28.9 h" in said
        assert "Train all the same? [y/N]" in said
        assert "Nothing was trained" in said
        assert not (tmp_path / "runs").exists()

    def test_yes_goes_on(self, slow, tmp_path):
        assert slow(self.Terminal("y\n")) == 0
        assert (tmp_path / "runs/vanilla-tiny/config.json").exists()

    @pytest.mark.parametrize(
        ("stdin", "flags"), [(Terminal("n\n"), ["--yes"]), (io.StringIO("n\n"), []), (None, [])]
    )
    def test_with_yes_or_without_a_terminal_it_is_only_told(self, slow, stdin, flags, capsys):
        assert slow(stdin, *flags) == 0
        captured = capsys.readouterr()
        assert "would take about" in captured.out
        assert "[y/N]" not in captured.err

    def test_of_several_seeds_it_is_asked_once(self, slow, capsys):
        assert slow(self.Terminal("y\n"), "--seeds", "2") == 0
        assert capsys.readouterr().err.count("[y/N]") == 1


class TestWhenItCollapses:
    @pytest.fixture
    def chosen(self, monkeypatch, tiny_images, tmp_path):
        """What a command line makes of `on_collapse`."""
        monkeypatch.chdir(tmp_path)

        def train(*flags, terminal=True):
            stream = TestMoreThanADay.Terminal() if terminal else io.StringIO()
            monkeypatch.setattr(command, "at_a_terminal", lambda: terminal)
            monkeypatch.setattr(command.sys, "stdout", stream)
            few = ["--hidden", "4", "--images", "40", "--out", "run", "--fresh"]
            assert run(["train", "--data", str(tiny_images), *few, *flags]) == 0
            return RunDirectory("run").read_config()["config"]["on_collapse"]

        return train

    def test_in_a_terminal_it_stops_and_elsewhere_goes_on(self, chosen):
        assert chosen() == "stop"
        assert chosen(terminal=False) is None
        assert chosen("--on-collapse", "continue") == "continue"
        assert chosen("--evaluate-every", "0") is None


class TestSpelling:
    @pytest.mark.parametrize("data", ["mnist", "some/folder"])
    def test_what_follows_the_recipe_is_the_data(self, data):
        assert spelled_out(["dcgan", data, "--seed", "1"]) == [
            *("dcgan", "--data", data, "--seed", "1")
        ]

    @pytest.mark.parametrize("tokens", [[], ["dcgan"], ["dcgan", "--seed", "1"], ["--data", "x"]])
    def test_all_else_stays(self, tokens):
        assert spelled_out(tokens) == tokens

    def test_as_a_command(self, tiny_images, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        few = ["--epochs", "1", "--hidden", "4", "--evaluate-every", "0"]
        assert run(["train", "vanilla", str(tiny_images), *few]) == 0
        assert (tmp_path / "runs/vanilla-tiny/config.json").exists()

    def test_data_named_twice(self, capsys):
        assert run(["train", "dcgan", "mnist", "--data", "cifar10"]) == 2
        assert "named twice: 'mnist'" in capsys.readouterr().err

    def test_data_where_a_recipe_is_expected(self, capsys):
        assert run(["train", "mnist"]) == 2
        assert "as in 'zerosum train dcgan mnist'" in capsys.readouterr().err


class TestConfigFile:
    def test_it_may_hold_recipe_and_out_and_flags_overrule_them(
        self, tiny_images, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        lines = ['recipe = "dcgan"', f'data = "{tiny_images}"', 'out = "there"', "width = 4"]
        lines += ["epochs = 1", "evaluate-every = 0"]
        (tmp_path / "my.toml").write_text("\n".join(lines))
        assert run(["train", "--config", "my.toml"]) == 0
        assert RunDirectory("there").read_config()["recipe"] == "dcgan"
        assert run(["train", "lsgan", "--config", "my.toml", "--out", "here"]) == 0
        assert RunDirectory("here").read_config()["recipe"] == "lsgan"

    @pytest.mark.parametrize(
        ("recipe", "said"),
        [('"nobody"', "no recipe 'nobody'"), ("3", "received 3"), ('"a.py:R"', "would be run")],
    )
    def test_a_recipe_in_it_that_cannot_be(self, tmp_path, monkeypatch, capsys, recipe, said):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my.toml").write_text(f"recipe = {recipe}\n")
        assert run(["train", "--config", "my.toml"]) == 2
        assert said in capsys.readouterr().err

    @pytest.mark.slow
    def test_the_example_trains(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        few = ["--images", "128", "--evaluate-every", "0"]
        assert run(["train", "--config", str(EXAMPLE), *few]) == 0
        config = RunDirectory("runs/from-file").read_config()
        assert (config["recipe"], config["config"]["width"]) == ("dcgan", 16)


@pytest.mark.parametrize("recipe", ["dcgan", "r3gan", "cyclegan", "pix2pix"])
def test_a_size_that_nets_cannot_make_is_refused_before_anything_is_decoded(
    recipe, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("zerosum.api.load_images", None)
    assert run(["train", recipe, str(tmp_path), "--size", "3"]) == 2
    assert "3" in capsys.readouterr().err
