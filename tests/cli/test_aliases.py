"""Flags of 0.1 are understood, and those who use them are told the new name once."""

import json

import pytest

import zerosum
from zerosum.cli.aliases import FOREIGN, hint_for, modern_flags
from zerosum.cli.main import run

OLD = [
    *("--d-turns", "2", "--parts=2", "--flips", "--tapers-above", "7"),
    *("--stop-after-no-gain", "3", "--anneal-rate", "0.5", "--anneal-along", "line"),
]
NEW = [
    *("--n-critic", "2", "--grad-accumulation=2", "--hflip", "--full-width-up-to", "7"),
    *("--patience", "3", "--lr-end", "0.5", "--lr-schedule", "linear"),
]


def test_they_become_todays_and_each_is_told(capsys):
    assert modern_flags(OLD) == NEW
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 7
    assert told[0] == "zerosum: --d-turns is now called --n-critic."


def test_todays_stay_as_they_are_and_lr_is_short_for_the_learning_rate(capsys):
    assert modern_flags(NEW) == NEW
    assert modern_flags(["--no-flips", "--anneal-along=cosine"]) == [
        "--no-hflip",
        "--lr-schedule=cosine",
    ]
    capsys.readouterr()
    assert modern_flags(["--lr", "0.1"]) == ["--learning-rate", "0.1"]
    assert capsys.readouterr().err == ""


def test_on_the_command_line_in_toml_and_in_python(
    tiny_images, tmp_path, monkeypatch, capsys, recorder
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text("d-turns = 2\nlr = 0.001\n")
    common = ["--data", str(tiny_images), "--epochs", "1", "--hidden", "4", "--device", "cpu"]
    assert run(["train", *common, "--config", "my.toml", "--parts", "2", "--out", "a"]) == 0
    assert "'d-turns' is now called 'n-critic'" in capsys.readouterr().err
    config = json.loads((tmp_path / "a/config.json").read_text())["config"]
    assert (config["n_critic"], config["grad_accumulation"]) == (2, 2)
    assert config["learning_rate"] == 0.001
    settings = {"data": tiny_images, "epochs": 1, "hidden": (4,), "device": "cpu", "quiet": True}
    with pytest.warns(FutureWarning, match="'stop-after-no-gain' is now called 'patience'"):
        zerosum.train("vanilla", out="b", stop_after_no_gain=7, **settings)
    assert zerosum.load("b").config.patience == 7


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--gpus", "uses a GPU by itself where there is one; choose with --device"),
        ("--workers", "images are decoded once"),
        ("--recipe", "write the recipe's name in front"),
        ("--lrG", "--learning-rate, --lr for short"),
        ("--lr_d", "--d-learning-rate gives D another"),
        ("--image_size", "use --size"),
    ],
)
def test_what_other_programs_call_something_is_answered_by_what_it_is_here(flag, hint, capsys):
    assert run(["train", "dcgan", flag, "1"]) == 2
    said = capsys.readouterr().err
    assert f"There is no {flag}: " in said
    assert hint in said


def test_no_hint_is_about_a_flag_that_there_is(capsys):
    assert run(["train", "dcgan", "--help"]) == 0
    there = capsys.readouterr().out
    assert not [name for name in FOREIGN if f"--{name} " in there]
    assert hint_for("--nonsense") == ""
