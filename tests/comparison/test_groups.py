from pathlib import Path

import pytest

from zerosum.comparison.groups import Trained, grouped, open_runs
from zerosum.config.gan import GanSettings
from zerosum.errors import UserError


def groups_of(*names):
    """Names of groups with the paths of their runs."""
    groups = grouped(open_runs([Path(name) for name in names]))
    return {group.name: [str(run.path) for run in group.runs] for group in groups}


def test_runs_that_differ_in_their_seed_are_one_group_in_the_order_of_seeds(make_run):
    for seed in (2, 0, 1):
        make_run(f"base-seed-{seed}", seed=seed)
        make_run(f"half-seed-{seed}", seed=seed, precision="bf16")
    found = groups_of("half-seed-2", "base-seed-1", "half-seed-0", "base-seed-0")
    assert found == {
        "precision=bf16": ["half-seed-0", "half-seed-2"],
        "precision=fp32": ["base-seed-0", "base-seed-1"],
    }
    assert list(found) == ["precision=bf16", "precision=fp32"]  # as they were named


def test_what_a_resumed_run_may_change_makes_no_group(make_run):
    make_run("a", seed=0)
    make_run("b", seed=1, device="cpu", sample_every=2, checkpoint_every=1, data="cd" * 32)
    make_run("c", seed=1, device="cpu", sample_every=2, checkpoint_every=1)
    assert groups_of("a", "c") == {"a": ["a", "c"]}
    assert len(groups_of("a", "b")) == 2


def test_budget_and_every_other_setting_do(make_run):
    make_run("a")
    make_run("b", epochs=8, hidden=(12, 20))
    assert groups_of("a", "b") == {
        "epochs=4 hidden=256-512": ["a"],
        "epochs=8 hidden=12-20": ["b"],
    }


def test_the_budget_that_holds_is_named_and_nothing_is_none(make_run):
    make_run("a", epochs=None, images=40)
    make_run("b", patience=5)
    assert groups_of("a", "b") == {
        "images=40 patience=none": ["a"],
        "epochs=4 patience=5": ["b"],
    }


def test_data_are_told_by_their_content(make_run):
    make_run("a")
    make_run("b", data="cd" * 32)
    assert list(groups_of("a", "b")) == ["data=mnist (abababab)", "data=mnist (cdcdcdcd)"]


def test_one_group_is_named_by_the_path_without_the_seed(make_run):
    for seed in range(2):
        make_run(f"runs/base-seed-{seed}", seed=seed)
    assert list(groups_of("runs/base-seed-0", "runs/base-seed-1")) == ["runs/base"]


def test_the_same_settings_twice_are_told_apart_by_path(make_run):
    """Such as two versions of the code."""
    for name in ("old", "new"):
        for seed in range(2):
            make_run(f"{name}-seed-{seed}", seed=seed)
    found = groups_of("old-seed-0", "old-seed-1", "new-seed-0", "new-seed-1")
    assert found == {"old": ["old-seed-0", "old-seed-1"], "new": ["new-seed-0", "new-seed-1"]}


def test_a_seed_counts_once(make_run):
    make_run("a-seed-0")
    make_run("a-seed-1")  # copied, and so of seed 0
    with pytest.raises(UserError, match="both trained with seed 0"):
        groups_of("a-seed-0", "a-seed-1")


def test_a_path_counts_once(make_run):
    make_run("a")
    make_run("b", seed=1)
    assert groups_of("a", "./a", "b") == {"a": ["a", "b"]}


def test_a_log_that_cannot_be_read_is_said(make_run):
    directory = make_run("a")
    directory.log_path.unlink()
    directory.log_path.mkdir()
    with pytest.raises(UserError, match=r"log\.jsonl' cannot be read"):
        groups_of("a")


class TestWhatTellsGroupsApart:
    """By config alone: which of two budgets holds, and the rule to stop by."""

    def settings(self, **changes):
        class Run:
            recipe = "vanilla"
            config = GanSettings(**changes)

        return Trained(run=Run(), saved={"data_sha256": "x"}, history=None).settings

    def test_the_budget_that_holds(self):
        assert self.settings(images=100, epochs=2) == self.settings(images=100, epochs=3)
        assert self.settings(epochs=2) != self.settings(epochs=3)
        assert "images" not in self.settings(epochs=2)

    def test_when_to_stop(self):
        assert self.settings(patience=5) != self.settings()
        assert self.settings(evaluate_every=1) == self.settings()


def test_a_run_in_runs_goes_by_its_name_and_counts_once(make_run):
    make_run("runs/a")
    assert groups_of("a", "runs/a") == {"runs/a": ["runs/a"]}
