"""A recipe from a user's own module, on the command line and from Python."""

import json
import re
import shutil
import subprocess
import sys

import pytest

import zerosum
from zerosum.cli.main import run
from zerosum.recipes import RECIPES, find

MODULE = """
from zerosum.config.gan import GanSettings
from zerosum.recipes import Recipe
from zerosum.recipes.gan import build

SMALL = Recipe(
    config=GanSettings,
    build=build,
    summary="A vanilla GAN that is smaller.",
    source="me",
    settings={"nets": "mlp", "hidden": (6,), "latent_size": 3, "epochs": 1, "batch_size": 16},
)
"""


@pytest.fixture
def here(tmp_path, tiny_images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_module.py").write_text(MODULE)
    before = dict(RECIPES)
    yield tmp_path
    RECIPES.clear()
    RECIPES.update(before)


def forget():
    """What a new process knows: zerosum's recipes alone."""
    for name in [name for name in RECIPES if ":" in name]:
        del RECIPES[name]


TRAIN = ["train", "my_module.py:SMALL", "--data", "tiny.npz", "--device", "cpu"]


def test_it_is_trained_sampled_and_gone_on_with(here, capsys):
    assert run(TRAIN) == 0
    assert run([*TRAIN, "--epochs", "2"]) == 0
    out = capsys.readouterr().out
    assert "Going on with 'runs/my_module-SMALL-tiny'" in out
    tried = re.search(r"try +zerosum (sample .* --recipe my_module.py:SMALL .*)", out)[1]
    forget()
    assert run(tried.split()) == 0
    saved = json.loads((here / "runs/my_module-SMALL-tiny/config.json").read_text())
    assert saved["recipe"] == "my_module.py:SMALL"
    assert saved["recipe_file"]["path"] == str(here / "my_module.py")
    assert len(saved["recipe_file"]["sha256"]) == 64


def test_its_flags_are_in_its_help(here, capsys):
    assert run(["train", "my_module.py:SMALL", "--help"]) == 0
    out = capsys.readouterr().out
    assert "A vanilla GAN that is smaller. (me)" in out
    assert "[default: 16]" in out


def test_its_code_is_run_only_where_it_is_named(here, capsys):
    assert run(TRAIN) == 0
    forget()
    path = "runs/my_module-SMALL-tiny"
    (here / "my_module.py").write_text("raise SystemExit('this code was run')")
    with pytest.raises(zerosum.UserError) as refused:
        zerosum.load(path)
    assert "--recipe my_module.py:SMALL" in str(refused.value)
    assert str(here / "my_module.py") in str(refused.value)
    (here / "my_module.py").write_text(MODULE)
    assert zerosum.load(path, recipe="my_module.py:SMALL").sample(3).shape == (3, 8, 8, 1)
    assert capsys.readouterr().err == ""
    forget()
    (here / "other.py").write_text(MODULE + "# moved and changed\n")
    assert zerosum.load(path, recipe="other.py:SMALL").sample(1).shape == (1, 8, 8, 1)
    assert "is not as it was" in capsys.readouterr().err


def test_the_commands_take_its_name(here, capsys):
    assert run(TRAIN) == 0
    forget()
    path, named = "runs/my_module-SMALL-tiny", ["--recipe", "my_module.py:SMALL"]
    assert run(["sample", path, "--out", "a.png"]) == 2
    assert "--recipe my_module.py:SMALL" in capsys.readouterr().err
    assert run(["sample", path, "--out", "a.png", *named]) == 0
    forget()
    evaluate = ["evaluate", path, "--features", "random", "--metrics", "fid", "-n", "20"]
    assert run(evaluate) == 2
    assert run([*evaluate, *named]) == 0


def test_a_changed_module_does_not_go_on(here, capsys):
    assert run(TRAIN) == 0
    forget()
    (here / "my_module.py").write_text(MODULE + "# changed\n")
    assert run([*TRAIN, "--epochs", "2"]) == 2
    assert "has changed since" in capsys.readouterr().err


def test_it_is_resumed_only_if_it_is_named(here, monkeypatch, capsys):
    assert run(TRAIN) == 0
    forget()
    path = "runs/my_module-SMALL-tiny"
    assert run(["train", "--resume", path]) == 2
    assert f"zerosum train my_module.py:SMALL --resume {path}" in capsys.readouterr().err
    assert run(["train", "--config", f"{path}/config.json", "--out", path]) == 2
    assert run(["train", "my_module.py:SMALL", "--resume", path, "--epochs", "2"]) == 0
    assert "Epoch [2/2]" in capsys.readouterr().out
    forget()
    monkeypatch.chdir("/")
    named = f"{here / 'my_module.py'}:SMALL"  # the same file by another path
    assert run(["train", named, "--resume", str(here / path), "--epochs", "3"]) == 0


def test_from_another_folder_the_flag_names_the_whole_path(here, monkeypatch, capsys):
    assert run(TRAIN) == 0
    forget()
    monkeypatch.chdir("/")
    assert run(["sample", str(here / "runs/my_module-SMALL-tiny")]) == 2
    assert f"--recipe {here / 'my_module.py'}:SMALL" in capsys.readouterr().err


def test_every_command_knows_it_again_if_it_is_named(here, monkeypatch, capsys):
    evaluated = ["--evaluate-every", "1"]
    assert run([*TRAIN, *evaluated, "--seeds", "2", "--out", "run"]) == 0
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    flag = ["--recipe", f"{here / 'my_module.py'}:SMALL"]
    first, second = (str(here / f"run-seed-{seed}") for seed in range(2))
    data = ["--reference", str(here / "tiny.npz")]
    for command in (
        ["sample", first, "-n", "4"],
        ["evaluate", first, *data, "--features", "random", "--metrics", "fid"],
        ["compare", first, second],
    ):
        forget()
        capsys.readouterr()
        assert run(command) == 2
        assert " ".join(flag) in capsys.readouterr().err
        assert run([*command, *flag]) == 0, capsys.readouterr().err


def test_named_in_vain_it_is_refused_and_takes_no_other_recipes_place(here, capsys):
    assert run(["train", *TRAIN[2:], "--epochs", "1", "--hidden", "4", "--out", "known"]) == 0
    vanilla = RECIPES["vanilla"]
    with pytest.raises(zerosum.UserError, match="'vanilla', which is known: leave out --recipe"):
        zerosum.load("known", recipe="my_module.py:SMALL")
    assert RECIPES["vanilla"] is vanilla


def test_a_run_keeps_the_code_it_was_opened_with(here):
    """Two runs of one name, from two folders, in one process."""
    zerosum.train("my_module.py:SMALL", data="tiny.npz", device="cpu", out="a", quiet=True)
    forget()
    wider = MODULE.replace('"latent_size": 3', '"latent_size": 5')
    (here / "my_module.py").write_text(wider)
    zerosum.train("my_module.py:SMALL", data="tiny.npz", device="cpu", out="b", quiet=True)
    (here / "old.py").write_text(MODULE)
    a = zerosum.load("a", recipe="old.py:SMALL")
    assert a.config.latent_size == 3
    assert zerosum.load("b", recipe="my_module.py:SMALL").config.latent_size == 5
    assert a.sample(2).shape == (2, 8, 8, 1)


def test_a_file_that_was_edited_in_a_session_is_run_anew(here):
    zerosum.train("my_module.py:SMALL", data="tiny.npz", device="cpu", out="a", quiet=True)
    (here / "my_module.py").write_text(MODULE.replace('"latent_size": 3', '"latent_size": 5'))
    run = zerosum.train("my_module.py:SMALL", data="tiny.npz", device="cpu", out="b", quiet=True)
    assert run.config.latent_size == 5


def test_it_hides_no_other_module_and_finds_those_beside_it(here, monkeypatch):
    import csv

    monkeypatch.setattr(sys, "path", [*sys.path])
    (here / "beside_csv.py").write_text("SUMMARY = 'From a file beside it.'")
    (here / "csv.py").write_text("import beside_csv\n" + MODULE)
    assert find(f"{here / 'csv.py'}:SMALL").origin.path == str(here / "csv.py")
    assert sys.modules["csv"] is csv


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py:SMALL", "There is no file 'none.py'"),
        ("my_module.py:LARGE", "There is no recipe 'LARGE' in 'my_module.py'"),
        ("my_module.py:build", "Recipes in it: SMALL"),
        ("no_such_package.part:X", "cannot be run: ModuleNotFoundError"),
        ("broken.py:X", "cannot be run: ZeroDivisionError"),
        ("leaving.py:X", "cannot be run: SystemExit"),
        ("half.py:X", "cannot be run: SyntaxError"),
        ("my_module.py", "names no recipe of your own: expected a file or a module and a name"),
    ],
)
def test_mistakes_are_one_message(here, name, message, capsys):
    (here / "broken.py").write_text("1 / 0")
    (here / "leaving.py").write_text("raise SystemExit(3)")
    (here / "half.py").write_text("def build(:")
    assert run(["train", name, "--data", "tiny.npz"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_as_a_user_runs_it(here):
    """In a process of its own, in an otherwise empty directory."""
    folder = here / "new"
    folder.mkdir()
    for name in ("my_module.py", "tiny.npz"):
        shutil.copy(here / name, folder)
    command = [sys.executable, "-m", "zerosum", *TRAIN]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Epoch [1/1] Loss D: " in done.stdout


def test_another_spelling_of_its_path_is_the_same_recipe(here, capsys):
    assert run([*TRAIN, "--out", "own"]) == 0
    forget()
    again = ["train", "./my_module.py:SMALL", *TRAIN[2:], "--out", "own", "--epochs", "2"]
    assert run(again) == 0
    assert "Going on with 'own' at 40 images" in capsys.readouterr().out
