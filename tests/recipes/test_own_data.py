"""Defaults for a user's own images: what they follow from, that they are told and kept."""

import json

import pytest

from zerosum.cli.main import run
from zerosum.recipes import RECIPES
from zerosum.recipes.own_data import NAMES, own_images

SMALL = ["--data", "photos", "--device", "cpu", "--width", "4", "--batch-size", "4"]


def found(name, *, count, channels=3, device="cpu", **given):
    recipe = RECIPES[name]
    config = recipe.configure({"data": "photos", **given})
    return recipe.on_own(config, own_images(config, count=count, channels=channels, device=device))[
        1
    ]


def test_few_images_are_augmented_and_many_are_not():
    few = found("dcgan", count=300)
    assert (few["augment"], few["augment_target"]) == ("color,translation,cutout", 0.6)
    assert "augment" not in found("dcgan", count=5_000)


@pytest.mark.parametrize(
    ("channels", "augment"),
    [(1, "color,translation,cutout"), (2, "translation,cutout"), (5, "translation,cutout")],
)
def test_what_is_no_color_is_not_augmented_as_one(channels, augment):
    assert found("dcgan", count=300, channels=channels)["augment"] == augment


def test_without_a_zero_of_the_logits_augmentation_is_fixed():
    assert "augment_target" not in found("r3gan", count=300)
    assert found("r3gan", count=300)["augment"] == "color,translation,cutout"


@pytest.mark.parametrize(
    ("count", "images"), [(10, 30_000), (300, 90_000), (3_000, 900_000), (50_000, None)]
)
def test_the_budget_is_in_proportion_to_the_images(count, images):
    assert found("dcgan", count=count).get("images") == images


def test_nets_on_a_cpu_are_narrow():
    assert found("r3gan", count=300)["width"] == 32
    assert "width" not in found("r3gan", count=300, device="cuda")


def test_what_the_user_gives_counts():
    assert found("dcgan", count=300, width=8, augment="none", epochs=3) == {}
    assert "images" not in found("dcgan", count=300, images=7)


def test_they_are_told_kept_and_the_same_on_resume(tmp_path, monkeypatch, capsys, write_images):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 8)
    assert run(["train", "dcgan", *SMALL, "--epochs", "1"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "of your own" in line]
    assert told == [
        "Defaults for 8 images of your own: --augment color,translation,cutout --augment-target "
        "0.6. What you give counts before them."
    ]
    file = tmp_path / "runs/dcgan-photos/config.json"
    saved = json.loads(file.read_text())
    assert saved["own_defaults"] == {"augment": "color,translation,cutout", "augment_target": 0.6}
    assert saved["config"]["augment_target"] == 0.6

    monkeypatch.setattr("zerosum.recipes.own_data.AUGMENT_TARGET", 0.2)  # as of another version
    assert run(["train", "dcgan", *SMALL, "--epochs", "2"]) == 0
    assert "of your own" not in capsys.readouterr().out
    again = json.loads(file.read_text())
    assert again["own_defaults"] == saved["own_defaults"]
    assert again["config"]["augment_target"] == 0.6


def test_a_run_of_a_version_without_them_goes_on_as_it_began(
    tmp_path, monkeypatch, capsys, write_images
):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 8)
    plain = [*SMALL, "--augment", "none", "--epochs"]
    assert run(["train", "dcgan", *plain, "1"]) == 0
    assert "own_defaults" not in json.loads(
        (tmp_path / "runs/dcgan-photos/config.json").read_text()
    )
    assert run(["train", "dcgan", *SMALL, "--epochs", "2"]) == 0


def test_nothing_else_differs_than_the_help_says():
    for name, recipe in RECIPES.items():
        if recipe.own:
            assert found(name, count=10).keys() - {"epochs"} <= NAMES


def test_the_help_says_which_follow_from_the_images(capsys):
    assert run(["train", "dcgan", "--data", "photos", "--help"]) == 0
    text = " ".join(line.strip(" │") for line in capsys.readouterr().out.splitlines())
    assert text.count("Unless given, may follow") == len(NAMES)
    assert run(["train", "dcgan", "--help"]) == 0
    assert "Unless given" not in capsys.readouterr().out


def test_named_data_and_the_gan_of_every_course_have_none():
    assert RECIPES["vanilla"].own is None
    assert RECIPES["pix2pix"].own is None
