"""Sweeps as a whole: in feigned trainings what optuna is told, in tiny ones what a user sees."""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import zerosum
from zerosum.cli.main import run
from zerosum.errors import UserError
from zerosum.recipes import RECIPES
from zerosum.sweeps.results import importance
from zerosum.sweeps.study import open_study, quiet_optuna
from zerosum.sweeps.sweep import ask, carry_out
from zerosum.training.loop import TrainingDiverged
from zerosum.training.run_directory import RunDirectory

pytest.importorskip("optuna", reason="optuna is not installed")


def by_rate(config, look):
    """Best at a learning rate of 1e-3, and better with every look."""
    return 1 + abs(math.log10(config.learning_rate) + 3) + 1 / look


def carry(plan, folder, *, trials=4, workers=1, seeds=None, say=lambda _: None):
    config = RECIPES[plan.recipe].configure(dict(plan.settings))
    how = {"trials": trials, "workers": workers, "seeds": seeds}
    return carry_out(plan, ask(plan.recipe, config, out=folder, storage=None, **how), say=say)


def test_a_trial_is_a_run_and_its_value_the_best_of_the_log(tmp_path, make_a_plan, feign):
    trained = feign(lambda config, look: by_rate(config, look) + 9 * (look == 4))
    lines = []
    result = carry(make_a_plan(), tmp_path / "s", trials=3, say=lines.append)
    assert [name for name, _, _ in trained] == ["trial-000", "trial-001", "trial-002"]
    for trial, (_, _, config) in zip(result.trials, trained, strict=True):
        assert trial.settings == {"learning_rate": config.learning_rate}
        assert trial.value == pytest.approx(by_rate(config, 3))
    assert result.value == min(trial.value for trial in result.trials)
    assert lines[-1].startswith("[3/3] trial-002: learning-rate 0.0")
    saved = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert saved["over"]["learning_rate"] == {"low": 1e-4, "high": 1e-2, "log": True}


def test_it_finds_what_is_better_than_chance(tmp_path, make_a_plan, feign):
    feign(by_rate)
    result = carry(make_a_plan(), tmp_path / "s", trials=25)
    assert abs(math.log10(result.best_settings["learning_rate"]) + 3) < 0.05


def test_the_hopeless_are_pruned_and_the_last_look_never(tmp_path, make_a_plan, feign):
    trained = feign(by_rate)
    result = carry(make_a_plan(), tmp_path / "s", trials=15)
    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        seen = RunDirectory(tmp_path / "s" / trial.run).history().seen
        assert seen == 30  # the first look after two, the last before the end
    assert len(trained) == 15
    assert all(trial.value > result.value for trial in pruned)


def test_what_diverges_has_failed_and_the_sweep_goes_on(tmp_path, make_a_plan, feign):
    def score(config, look):
        if config.learning_rate > 1e-3:
            raise TrainingDiverged("Training diverged: a loss became NaN.")
        return by_rate(config, look)

    feign(score)
    lines = []
    result = carry(make_a_plan(), tmp_path / "s", trials=8, say=lines.append)
    states = {trial.settings["learning_rate"] > 1e-3: trial.state for trial in result.trials}
    assert states == {True: "failed", False: "complete"}
    assert any("failed. Training diverged: a loss became NaN." in line for line in lines)
    # What has failed for a reason is not tried again.
    assert len(carry(make_a_plan(), tmp_path / "s", trials=8).trials) == 8


def test_a_mistake_that_all_trials_share_ends_it(tmp_path, make_a_plan, feign):
    def score(config, look):
        raise UserError("The batch is too large.")

    trained = feign(score)
    with pytest.raises(UserError, match="The first 3 trials failed"):
        carry(make_a_plan(), tmp_path / "s", trials=8)
    assert len(trained) == 3


def test_an_unlogged_metric_is_named_and_costs_no_folder(tmp_path, make_a_plan, feign):
    trained = feign(by_rate)
    with pytest.raises(UserError, match=r"received frechet_digit, which .* of: frechet_digits"):
        carry(make_a_plan(metric="frechet_digit"), tmp_path / "s")
    assert len(carry(make_a_plan(), tmp_path / "s", trials=2).trials) == 2
    assert [name for name, _, _ in trained] == ["trial-000", "trial-000", "trial-001"]


def test_settings_that_were_trained_are_not_trained_again(tmp_path, make_a_plan, feign):
    trained = feign(lambda config, look: config.batch_size)
    result = carry(make_a_plan("batch-size=8,16"), tmp_path / "s", trials=6)
    assert sorted(config.batch_size for _, _, config in trained) == [8, 16]
    assert len(result.trials) == 6
    assert all(trial.value == int(trial.settings["batch_size"]) for trial in result.trials)
    assert sum(trial.note.startswith("as trial") for trial in result.trials) == 4


def test_the_setting_that_matters_is_called_important(tmp_path, make_a_plan, feign):
    feign(lambda config, look: by_rate(config, look) if look == 4 else 100.0)
    over = "lr=1e-4..1e-2:log,n-critic=1,2"
    few = carry(make_a_plan(over, recipe="dcgan"), tmp_path / "s", trials=19)
    assert "Importance" not in few.page.read_text()
    result = carry(make_a_plan(over, recipe="dcgan"), tmp_path / "s", trials=24)
    assert "Importance" in result.page.read_text()
    plan = result.plan
    with quiet_optuna():
        shares = importance(open_study(tmp_path / "s", plan, None))
    assert shares["learning_rate"] > shares["n_critic"]
    assert sum(shares.values()) == pytest.approx(1)


class Cut(KeyboardInterrupt):
    """What Ctrl-C raises."""


def test_what_was_interrupted_is_continued_in_its_run(tmp_path, make_a_plan, feign):
    whole = feign(by_rate)
    carry(make_a_plan(), tmp_path / "whole", trials=4)

    def score(config, look):
        if look == 3 and len(trained) == 2:
            raise Cut
        return by_rate(config, look)

    trained = feign(score)
    with pytest.raises(Cut):
        carry(make_a_plan(), tmp_path / "s", trials=4)
    lines = []
    result = carry(make_a_plan(), tmp_path / "s", trials=4, say=lines.append)
    assert lines[0].endswith("2 of 4 trials are there.")
    assert [(name, begun) for name, begun, _ in trained] == [
        ("trial-000", 0),
        ("trial-001", 0),
        ("trial-001", 20),
        ("trial-003", 0),
        ("trial-004", 0),
    ]
    assert [trial.state for trial in result.trials] == ["complete"] * 4
    # The trials are those of a sweep that nothing has interrupted.
    found = sorted(trial.settings["learning_rate"] for trial in result.trials)
    assert found == sorted(config.learning_rate for _, _, config in whole)


def test_another_sweep_is_refused(tmp_path, make_a_plan, feign):
    feign(by_rate)
    carry(make_a_plan(), tmp_path / "s", trials=1)
    with pytest.raises(UserError) as caught:
        carry(make_a_plan("lr=1e-5..1e-2:log", epochs=3), tmp_path / "s")
    assert "--over: the sweep has learning-rate=0.0001..0.01:log" in str(caught.value)
    assert "--epochs: the sweep has the default, received 3" in str(caught.value)


def test_a_folder_of_something_else_is_refused(tmp_path, make_a_plan):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not empty and holds no sweep"):
        carry(make_a_plan(), tmp_path / "s")


def test_the_best_are_trained_with_several_seeds(tmp_path, make_a_plan, feign):
    def score(config, look):
        luck = {0: 0.0, 1: 0.02, 2: 0.01}[config.seed]
        best = abs(config.learning_rate - rates[0]) < 1e-9 if rates else False
        return by_rate(config, look) + luck + 2 * (best and config.seed > 0)

    rates = []
    feign(score)
    plan, folder = make_a_plan(), tmp_path / "s"
    first = carry(plan, folder, trials=5)
    rates.append(first.best_settings["learning_rate"])
    result = carry(plan, folder, trials=5, seeds=3)
    assert [each.name for each in result.candidates] == ["best-1", "best-2", "best-3"]
    assert result.candidates[0].trial == first.best
    assert result.best == result.candidates[1].trial  # the first was luck
    assert (folder / "best-3-seed-2" / "log.jsonl").is_file()
    assert len(result.differences) == 2
    assert result.differences[1].shown


def test_other_settings_among_the_best_are_trained_anew(tmp_path, make_a_plan, feign):
    trained = feign(lambda config, look: config.learning_rate)
    carry(make_a_plan(), tmp_path / "s", trials=1, seeds=1)
    count = len(trained)
    carry(make_a_plan(), tmp_path / "s", trials=1, seeds=1)
    assert trained[count][1] == 40  # complete before
    carry(make_a_plan(), tmp_path / "s", trials=12, seeds=1)
    assert [begun for name, begun, _ in trained if name == "best-1-seed-0"] == [0, 40, 0]


def test_what_diverges_with_a_seed_cannot_win(tmp_path, make_a_plan, feign):
    def score(config, look):
        if config.seed == 1 and rates and abs(config.learning_rate - rates[0]) < 1e-9:
            raise TrainingDiverged("Training diverged.")
        return by_rate(config, look)

    rates = []
    feign(score)
    first = carry(make_a_plan(), tmp_path / "s", trials=4)
    rates.append(first.best_settings["learning_rate"])
    result = carry(make_a_plan(), tmp_path / "s", trials=4, seeds=2)
    assert result.candidates[0].values[1] is None
    assert result.best == result.candidates[1].trial


@pytest.mark.parametrize("name", ["trials", "workers", "seeds"])
def test_numbers_begin_at_one(name):
    with pytest.raises(UserError, match=f"number of {name} was 0"):
        zerosum.sweep("vanilla", "lr=1e-4..1e-3", metric="frechet_digits", **{name: 0})


def test_without_optuna_the_extra_is_named(monkeypatch, tmp_path, make_a_plan):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'zerosum\[sweep\]'"):
        carry(make_a_plan(), tmp_path / "s")
    assert not (tmp_path / "s").exists()


TINY = {
    "device": "cpu",
    "batch_size": 16,
    "hidden": (12, 20),
    "latent_size": 4,
    "ema_half_life": 60,
    "checkpoint_every": 1,
}


def command(tiny_images, out, *flags):
    words = [f"--{name.replace('_', '-')} {value}" for name, value in TINY.items()]
    settings = " ".join(words).replace("(12, 20)", "12 20").split()
    over = ["--over", "lr=1e-4..1e-2:log", "--metric", "frechet_random"]
    return ["sweep", "vanilla", str(tiny_images), *settings, *over, "--out", str(out), *flags]


@pytest.mark.slow
def test_the_command_and_the_winning_command(tiny_images, tmp_path, capsys):
    out = tmp_path / "my sweep"
    assert run(command(tiny_images, out, "--epochs", "2", "--trials", "2")) == 0
    shown = capsys.readouterr().out
    assert "2 trials: 2 complete" in shown
    assert (out / "sweep.html").read_text().startswith("<!DOCTYPE html>")
    assert shown.count("\n[") <= 2
    assert "optuna" not in shown
    words = shlex.split(shown.splitlines()[-1])
    winner = words[words.index("train") :]
    assert run([*winner, "--out", str(tmp_path / "again")]) == 0
    capsys.readouterr()
    best = min(
        zerosum.load(out / f"trial-00{index}").directory.history().best("frechet_random")[1]
        for index in range(2)
    )
    again = zerosum.load(tmp_path / "again").directory.history()
    assert again.best("frechet_random")[1] == best


@pytest.mark.slow
def test_python(tiny_images, tmp_path, capsys):
    settings = {**TINY, "epochs": 1, "data": tiny_images}
    result = zerosum.sweep(
        "vanilla",
        {"lr": [1e-3, 1e-2]},
        metric="frechet_random",
        trials=2,
        out=tmp_path / "s",
        quiet=True,
        **settings,
    )
    assert capsys.readouterr().out == ""
    assert result.best_settings["learning_rate"] in ("0.001", "0.01")
    assert "train vanilla" in result.command


def start(tiny_images, out, *flags):
    words = command(tiny_images, out, "--epochs", "60", "--evaluate-every", "10", *flags)
    return subprocess.Popen(
        [sys.executable, "-m", "zerosum", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(condition, process, *, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def checkpoints(out):
    return [path for path in out.glob("trial-*/checkpoints/*") if path.name.isdecimal()]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_from_the_checkpoint(tiny_images, tmp_path):
    out = tmp_path / "s"
    process = start(tiny_images, out, "--trials", "1")
    wait_for(lambda: checkpoints(out), process)
    process.kill()
    process.communicate()
    kept = max(int(path.name) for path in checkpoints(out))
    assert 0 < kept < 60 * 40
    before = (out / "trial-000" / "log.jsonl").read_bytes()[:200]
    process = start(tiny_images, out, "--trials", "1")
    shown, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert "[1/1] trial-000" in shown
    assert [path.name for path in out.glob("trial-*")] == ["trial-000"]
    assert (out / "trial-000" / "log.jsonl").read_bytes()[:200] == before
    assert RunDirectory(out / "trial-000").history().seen == 60 * 40


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tiny_images, tmp_path, number):
    if not Path("/proc").is_dir():
        pytest.skip("who started whom is read from /proc")
    out = tmp_path / "s"
    process = start(tiny_images, out, "--trials", "4", "--workers", "2")
    wait_for(lambda: len({path.parent for path in checkpoints(out)}) == 2, process)
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    children = list(map(int, started.split()))
    assert len(children) == 2
    process.send_signal(number)
    shown, errors = process.communicate(timeout=120)
    if number == signal.SIGINT:
        assert process.returncode == 130, errors
        assert "Run the same command again" in errors
        assert not any(map(is_alive, children))
    until = time.monotonic() + 60
    while any(map(is_alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_alive, children))
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        flags = ("--trials", "2", "--workers", "2")  # and the two that were begun go on
        process = start(tiny_images, out, *flags)
        shown, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        assert "2 trials: 2 complete" in shown
        assert len(list(out.glob("trial-*"))) == 2
