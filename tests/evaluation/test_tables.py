"""Stacked MNIST through the real commands, with few images instead of its 154,000."""

import json
from dataclasses import replace

import numpy as np
import pytest

from zerosum import data
from zerosum.cli.main import run
from zerosum.evaluation.tables import shown

NAME = "stacked-mnist"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory and a cache of their own, where the data set has 160 and 60 images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    about = data.DATASETS[NAME]
    few = replace(about.stack, counts={"train": 160, "test": 60})
    monkeypatch.setitem(data.DATASETS, NAME, replace(about, stack=few))
    return tmp_path


def test_train_sample_and_evaluate(here, capsys):
    budget = ["--epochs", "1", "--batch-size", "40", "--hidden", "16", "24", "--device", "cpu"]
    assert run(["train", "--data", NAME, *budget]) == 0
    assert run(["sample", "runs/vanilla-stacked-mnist", "-n", "5", "--out", "five.npz"]) == 0
    assert np.load("five.npz")["images"].shape == (5, 28, 28, 3)
    capsys.readouterr()

    assert run(["evaluate", "runs/vanilla-stacked-mnist", "--json"]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)["metrics"]
    assert {"frechet_stacked-digits", "kid", "precision", "modes", "mode_kl"} <= found.keys()
    assert 1 <= found["modes"]["value"] < found["modes"]["card"]["floor"] <= 60
    assert found["mode_kl"]["value"] > found["mode_kl"]["card"]["floor"] > np.log(1000 / 60) - 0.1
    assert len(found["classes"]["value"]) == 1000
    card = found["modes"]["card"]
    assert card["features"] == "stacked-digits"
    assert card["evaluated"]["n"] == 60
    assert (card["reference"]["split"], card["floor_of"]["split"]) == ("test", "train")
    assert "Do not rely on modes: 60 images are few for 1,000 modes" in output.err


def test_the_table_does_not_name_a_thousand_classes(here, capsys):
    np.savez("real.npz", images=data.load(NAME).images.permute(0, 2, 3, 1).numpy())
    asked = ("--reference", NAME, "--metrics", "classes,modes")
    assert run(["evaluate", "real.npz", *asked]) == 0
    table = capsys.readouterr().out
    assert "1,000 of them, most" in table
    assert len(table.splitlines()) < 25


def test_the_list_of_data_has_it(capsys):
    assert run(["data"]) == 0
    assert NAME in capsys.readouterr().out


def test_shares_are_all_shown_unless_they_are_very_many():
    few = {str(index): 0.1 for index in range(10)}
    assert shown(few).count("%") == 10
    shares = np.arange(1000) / np.arange(1000).sum()
    many = {f"{index:03d}": share for index, share in enumerate(shares)}
    assert shown(many) == (
        "1,000 of them, most 999 0.20%, 998 0.20%, 997 0.20%, least 002 0.00%, 001 0.00%, 000 0.00%"
    )
