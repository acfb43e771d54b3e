"""What a folder of runs holds, and which checkpoints pruning leaves."""

import json

import pytest
import torch

from zerosum.errors import UserError
from zerosum.training.checkpoint import Snapshot
from zerosum.training.run_list import (
    list_runs,
    named_runs,
    plan_pruning,
    prune,
    shown_age,
    shown_bytes,
)


def save(directory, **scores):
    """Write checkpoints, named by the images seen, `at_10=3.0`."""
    directory.checkpoints.KEEP = 99
    for name, score in scores.items():
        snapshot = Snapshot({"G/weight": torch.ones(3)}, {})
        directory.checkpoints.save(snapshot, seen=int(name.removeprefix("at_")), score=score)


def damage(directory, seen):
    (directory.checkpoints.path(seen) / "state.safetensors").write_bytes(b"")


class TestList:
    def test_a_run_in_short(self, make_run, tmp_path):
        make_run("runs/a", metrics=(8.0, 9.0), health="collapsing")
        (found,) = list_runs(tmp_path / "runs")
        assert (found.recipe, found.data, found.problem) == ("vanilla", "mnist", None)
        assert (found.seen, found.images) == (40, 40)  # four epochs of ten
        assert (found.metric, found.best, found.health) == ("frechet_digits", 8.0, "collapsing")
        size = sum(path.stat().st_size for path in (tmp_path / "runs/a").iterdir())
        assert found.bytes == size
        assert not found.training

    def test_one_whose_budget_is_in_images_and_that_was_not_evaluated(self, make_run, tmp_path):
        make_run("runs/a", metrics=(), epochs=None, images=1000)
        (found,) = list_runs(tmp_path / "runs/a")
        assert (found.seen, found.images, found.metric, found.best) == (40, 1000, None, None)

    def test_damaged_ones_are_named_and_foreign_folders_are_not(self, make_run, tmp_path):
        for name in "abcd":
            make_run(f"runs/{name}")
        (tmp_path / "runs/a/config.json").write_text("{")
        (tmp_path / "runs/b/config.json").write_text('{"format": 1, "recipe": "vanilla"}')
        (tmp_path / "runs/c/config.json").unlink()
        (tmp_path / "runs/c/checkpoints").mkdir()
        (tmp_path / "runs/d/log.jsonl").write_text("no json\n")
        (tmp_path / "runs/other").mkdir()
        (tmp_path / "runs/other/config.json").write_text('{"hidden_size": 8}')
        (tmp_path / "runs/notes.txt").write_text("mine")
        found = {run.path.name: run for run in list_runs(tmp_path / "runs")}
        assert found.keys() == set("abcd")
        assert "cannot be read" in found["a"].problem
        assert "no 'config'" in found["b"].problem
        assert "There is no run" in found["c"].problem
        assert (found["d"].problem, found["d"].seen) == (None, 0)

    def test_no_folder(self, tmp_path):
        with pytest.raises(UserError, match="cannot be listed: No such file"):
            list_runs(tmp_path / "nowhere")

    def test_one_that_is_being_trained(self, make_run, tmp_path):
        directory = make_run("runs/a")
        with directory.locked():
            assert list_runs(tmp_path / "runs")[0].training
            with pytest.raises(UserError, match="A process is training in"):
                named_runs((directory.path,))
        assert not list_runs(tmp_path / "runs")[0].training


class TestNamedRuns:
    def test_each_once_by_path_or_by_name(self, make_run, tmp_path):
        make_run("runs/a")
        found = named_runs((tmp_path / "runs/a", tmp_path / "runs" / "." / "a"))
        assert [directory.path for directory in found] == [tmp_path / "runs/a"]

    def test_none_of_ours(self, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
        with pytest.raises(UserError, match="is none of zerosum's"):
            named_runs((tmp_path,))
        with pytest.raises(UserError, match="There is no run"):
            named_runs((tmp_path / "a",))


class TestPruning:
    @pytest.mark.parametrize(
        ("keep", "kept"), [(None, (10, 40)), ("best", (10,)), ("newest", (40,))]
    )
    def test_leaves_what_is_asked_for(self, make_run, keep, kept):
        directory = make_run("a")
        save(directory, at_10=1.0, at_20=2.0, at_30=3.0, at_40=4.0)
        plan = plan_pruning(directory, keep)
        assert plan.kept == kept
        assert set(plan.kept) | set(plan.removed) == {10, 20, 30, 40}
        assert plan.bytes > 0
        assert directory.checkpoints.seen() == [10, 20, 30, 40]  # so far nothing is removed
        prune(plan)
        assert directory.checkpoints.seen() == list(kept)
        assert directory.log_path.exists()

    def test_without_a_metric_the_newest_is_the_best(self, make_run):
        directory = make_run("a")
        save(directory, at_10=None, at_20=None)
        assert plan_pruning(directory, "best").kept == (20,)

    def test_damaged_ones_are_not_what_is_left(self, make_run):
        directory = make_run("a")
        save(directory, at_10=3.0, at_20=2.0, at_30=1.0)
        damage(directory, 30)
        assert plan_pruning(directory, None).kept == (20,)
        for seen in (10, 20):
            damage(directory, seen)
        plan = plan_pruning(directory, None)
        assert (plan.kept, plan.removed) == ((), ())
        prune(plan)
        assert directory.checkpoints.seen() == [10, 20, 30]

    def test_what_is_saved_after_it_was_planned_stays(self, make_run):
        directory = make_run("a")
        save(directory, at_10=3.0, at_20=2.0, at_30=1.0)
        plan = plan_pruning(directory, "newest")
        save(directory, at_40=0.5)
        prune(plan)
        assert directory.checkpoints.seen() == [30, 40]


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (999_600, "1 MB"), (3.21e9, "3.2 GB")],
)
def test_sizes_for_people(size, shown):
    assert shown_bytes(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(3, "now"), (60, "1 minute"), (7300, "2 hours"), (86400 * 40, "40 days"), (-5, "now")],
)
def test_ages_for_people(seconds, shown):
    assert shown_age(seconds) == shown
