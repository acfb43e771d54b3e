"""`zerosum compare` as a user runs it."""

import json
from pathlib import Path

import pytest

from zerosum.cli.main import run


@pytest.fixture(autouse=True)
def runs(make_run):
    for seed in range(3):
        make_run(f"base-seed-{seed}", seed=seed, metrics=(9.0 + seed, 19.5))
        metrics = (5.0 + 1.01 * seed, 16.0)
        make_run(f"half-seed-{seed}", seed=seed, metrics=metrics, precision="bf16")


BASE = [f"base-seed-{seed}" for seed in range(3)]
HALF = [f"half-seed-{seed}" for seed in range(3)]


def test_tables_and_a_page(capsys):
    assert run(["compare", *BASE, *HALF, "--out", "compare.html"]) == 0
    shown, said = capsys.readouterr()
    assert "frechet_digits, best logged (lower is better)" in shown
    assert "better by 3.99" in shown
    assert "Better in 3 of 3 pairs." in shown
    assert "precision=fp32, by seed: 0: 9  1: 10  2: 11" in shown
    assert "rough intervals" in shown
    assert "Wrote compare.html." in said
    assert Path("compare.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_json(capsys):
    assert run(["compare", *BASE, *HALF, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [group["name"] for group in found["groups"]] == ["precision=fp32", "precision=bf16"]
    first = found["groups"][0]["runs"][1]
    assert (first["path"], first["seed"], first["whole"]) == ("base-seed-1", 1, True)
    assert first["logged"]["frechet_digits"]["last"] == {"epoch": 4, "value": 19.5}
    metric = found["metrics"][0]
    assert metric["groups"][0]["seeds"] == {"0": 9.0, "1": 10.0, "2": 11.0}
    (difference,) = metric["differences"]
    assert difference["estimate"]["mean"] == pytest.approx(-3.99)
    assert difference["shown"] is True


def test_mistakes_are_said_before_anything_is_done(capsys):
    for tokens, message in (
        (["base-seed-0"], "needs two or more"),
        (["base-seed-0", "nowhere"], "no run in 'nowhere'"),
        (["base-seed-0", "base-seed-1", "--out", "config.json"], "ends in .html"),
        ([*BASE, "-n", "100", "--seed", "1"], "Received --count, --seed without --metrics"),
        ([*BASE, "--checkpoint", "newest"], "Received --checkpoint without --metrics"),
        ([*BASE, "--metrics", "classes"], "a number for each class"),
    ):
        assert run(["compare", *tokens]) == 2
        assert message in capsys.readouterr().err
