"""The model card: hostile names stay words, places stay secret."""

import json

import pytest

from zerosum.data.spec import DataSpec
from zerosum.export.card import (
    data_name,
    escaped,
    example_of_onnx,
    of_quality,
    recipe_name,
    told_command,
    write_card,
)
from zerosum.export.onnx_model import describe
from zerosum.export.parity import Parity

HOSTILE = '<script>alert(1)</script>\n---\n# x\n[a](javascript:b) ``` \x1b[31m | "\u202e'


def card_of(run, **changes):
    about = describe(run.generator(device="cpu"), run.spec, data=data_name(run.data))
    parity = Parity(worst=1.25e-7, rounding=None, batches=(1, 2, 5), sizes=())
    how = {"seen": 640, "ema": True, "half": False, "reverse": False}
    how |= {"pictured": True, "source": True}
    return write_card(run, about, parity, **{**how, **changes})


def test_hostile_names_stay_words(save_run_anew, tmp_path):
    spec = DataSpec(shape=(1, 8, 8), classes=(HOSTILE, "b"))
    run = save_run_anew(
        tmp_path / "run", "vanilla", spec=spec, data=f"/home/ada/{HOSTILE}", conditioning="concat"
    )
    card = card_of(run)
    _, front, body = card.split("---\n", 2)
    assert json.loads(front)["library_name"] == "zerosum"
    outside = "".join(body.split("````sh")[0] + body.split("````")[-1])
    assert "<script>" not in body
    assert "](javascript" not in outside
    assert "\x1b" not in card
    assert "\u202e" not in card
    assert "/home/ada" not in card
    assert "\n# x" not in card
    assert card.count("```python") == 2
    assert "2 classes" in card


def test_what_it_tells(save_run_anew, tmp_path):
    run = save_run_anew(tmp_path / "run", "vanilla", spec=DataSpec(shape=(1, 8, 8)), epochs=3)
    card = card_of(run)
    assert "zerosum train vanilla --epochs 3" in card
    assert "CC BY-SA 3.0" in card
    assert "1.2e-07" in card
    assert "12.5" in card
    assert "Verdict on the training: healthy" in card
    assert "320 of 1×8×8" in card
    assert "moving average" in card
    raw = card_of(run, ema=False)
    assert "G's own weights of the last step" in raw
    assert "They are of the moving average of G's weights, not of these." in raw
    assert "before these were rounded" in "".join(of_quality(run, 640, ema=True, half=True))
    assert "model.py" not in card_of(run, source=False)
    assert "samples.png" not in card_of(run, pictured=False)


@pytest.mark.parametrize("restarts", [5, [{"at": "x"}]])
def test_restarts_are_told_where_they_are_as_a_training_writes_them(
    save_run_anew, tmp_path, restarts
):
    run = save_run_anew(tmp_path / "run", "vanilla", spec=DataSpec(shape=(1, 8, 8)))
    told = {"verdict": "D has won", "at": 1234, "back_to": 640, "seed": 1, "attempt": 0}
    run.directory.write_config({**run.directory.read_config(), "restarts": [told]})
    assert "- restarted: D has won at 1,234 images, back to 640" in card_of(run)
    run.directory.write_config({**run.directory.read_config(), "restarts": restarts})
    assert "restarted" not in card_of(run)


def test_a_run_without_evaluations(save_run_anew, tmp_path):
    run = save_run_anew(tmp_path / "run", "vanilla", spec=DataSpec(shape=(1, 8, 8)), log=False)
    assert "Nothing was evaluated" in card_of(run)


@pytest.mark.parametrize("recipe", ["cgan", "pix2pix", "r3gan"])
def test_the_command_makes_the_same_settings(save_run_anew, tmp_path, recipe):
    from zerosum.cli.train import train_app

    run = save_run_anew(tmp_path / "run", recipe, batch_size=7, data=str(tmp_path / "my data"))
    words = told_command(run).split()
    assert words[:3] == ["zerosum", "train", recipe]
    assert "--batch-size" in words
    assert "--width" in words
    assert "my-data" in words
    known = {
        name
        for each in train_app([recipe])[recipe].assemble_argument_collection()
        for name in each.names
    }
    assert {word for word in words if word.startswith("--")} <= known


def test_plain_words():
    assert escaped("cats_and-dogs") == r"cats\_and-dogs"
    assert escaped("图像") == "图像"
    assert data_name("mnist") == "mnist"
    assert data_name("/home/ada/my cats.zip") == "my-cats"
    assert data_name("") == ""
    assert recipe_name("vanilla") == "vanilla"
    assert recipe_name("/home/ada/own.py:MINE") == "own.py:MINE"
    assert escaped("http://evil.org www.evil.org") == r"http\://evil.org www\.evil.org"


def test_masks_have_the_shapes_that_the_images_ask_for(save_run_anew, tmp_path):
    run = save_run_anew(tmp_path / "run", "pix2pix")
    text = example_of_onnx(describe(run.generator(device="cpu"), run.spec))
    assert '"noise_0": ((rng.random((1, 32, 2, 2)) < 0.5) / 0.5)' in text
