"""What a sweep is, and the command that trains one of its settings."""

import json

import pytest

from zerosum.errors import UserError
from zerosum.recipes import RECIPES
from zerosum.sweeps.plan import (
    claim,
    differences,
    direction,
    flag_words,
    keep,
    make_plan,
    plan_from_json,
)
from zerosum.sweeps.space import read_space


def test_it_comes_back_from_json(make_a_plan):
    plan = make_a_plan("n-critic=1,2,5,betas=0 0.9,0.5 0.999", recipe="dcgan", epochs=3)
    again = plan_from_json(json.loads(json.dumps(plan.as_json())))
    assert again == plan
    assert again.configure({"n_critic": "5"}).n_critic == 5
    assert differences(plan.as_json(), again) == []


def test_the_command_spells_what_was_given_and_what_was_found(make_a_plan):
    plan = make_a_plan("lr=1e-4..1e-3:log,betas=0 0.9,0.5 0.999", epochs=3, hidden=(12, 20))
    found = plan.values({"learning_rate": 0.00031234567, "betas": "0 0.9"})
    assert found == {"learning_rate": 0.0003123, "betas": ("0", "0.9")}
    words = plan.command(found)
    assert words[:3] == ["zerosum", "train", "vanilla"]
    line = " ".join(words)
    for part in ("--epochs 3", "--hidden 12 20", "--learning-rate 0.0003123", "--betas 0.0 0.9"):
        assert part in line
    assert "--batch-size" not in line


def test_what_another_runs_config_gave_is_spelt_out():
    recipe = RECIPES["dcgan"]
    inherited = {"width": 8}
    plan = make_plan(
        "dcgan",
        read_space("lr=1e-4..1e-3", recipe),
        "frechet_digits",
        recipe.configure({}, inherited=inherited),
        given={},
        inherited=inherited,
        sampler_seed=0,
    )
    assert "--width 8" in " ".join(plan.command({"learning_rate": 2e-4}))
    assert plan_from_json(plan.as_json()).configure({}).width == 8


def test_a_drawn_number_stays_inside_its_range(make_a_plan):
    plan = make_a_plan("lr=0.000123456..0.000987654")
    assert plan.values({"learning_rate": 0.00024681357}) == {"learning_rate": 0.0002468}
    assert plan.values({"learning_rate": 0.00098765}) == {"learning_rate": 0.000987654}
    assert plan.values({}) == {}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, []),
        (True, ["--strict"]),
        (False, ["--no-strict"]),
        ((1, 2), ["--strict", "1", "2"]),
        ("a b", ["--strict", "a b"]),
    ],
)
def test_words_of_flags(value, words):
    assert flag_words("strict", value) == words


def test_a_metric_has_to_have_a_direction():
    assert direction("frechet_digits") == "lower"
    assert direction("val_psnr") == "higher"
    with pytest.raises(UserError, match="better when like real"):
        direction("confidence")


def test_runs_without_evaluations_cannot_be_compared(make_a_plan):
    with pytest.raises(UserError, match="--evaluate-every 0"):
        make_a_plan(evaluate_every=0)


def test_a_file_is_no_folder(tmp_path, make_a_plan):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        claim(tmp_path / "file")
    claim(tmp_path / "new" / "sweep")
    keep(tmp_path / "new" / "sweep", make_a_plan())
    claim(tmp_path / "new" / "sweep")
