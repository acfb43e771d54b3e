"""`zerosum runs` as a user runs it."""

import io
import json
import sys

import pytest
import torch

from zerosum.cli import runs as cli_runs
from zerosum.cli.main import run
from zerosum.training.checkpoint import Snapshot


@pytest.fixture
def some(make_run):
    """Two runs, a with three checkpoints, in runs/."""
    a, b = make_run("runs/a"), make_run("runs/b", health="D has won")
    a.checkpoints.KEEP = 99
    for seen in (10, 20, 30):
        a.checkpoints.save(Snapshot({"w": torch.ones(2)}, {}), seen=seen, score=float(seen))
    return a, b


def refused(capsys, *tokens):
    assert run(["runs", *tokens]) == 2
    return capsys.readouterr().err


@pytest.fixture
def answer(monkeypatch):
    """Sit at a terminal and answer."""

    def sit(text):
        stream = io.StringIO(text)
        stream.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", stream)

    return sit


class TestList:
    def test_shows_a_row_a_run(self, some, capsys):
        with some[0].locked():
            assert run(["runs"]) == 0
        lines = capsys.readouterr().out.splitlines()
        (a,) = (line for line in lines if line.strip().startswith("runs/a"))
        (b,) = (line for line in lines if line.strip().startswith("runs/b"))
        for fact in ("vanilla", "mnist", "40 of 40", "8 frechet_digits", "healthy"):
            assert fact in a
        assert "training now" in a
        assert "D has won" in b

    def test_in_a_narrow_terminal_no_word_is_cut(self, some, capsys, monkeypatch):
        monkeypatch.setattr(cli_runs, "terminal_width", lambda: 80)
        assert run(["runs"]) == 0
        lines = capsys.readouterr().out.splitlines()
        (b,) = (line for line in lines if line.strip().startswith("runs/b"))
        assert b.split() == ["runs/b", "100%", "8", "D", "has", "won", "now"]
        assert max(map(len, lines)) <= 80

    def test_is_json_for_programs(self, some, capsys):
        assert run(["runs", "runs", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["runs"]
        assert {each["path"]: each["best"] for each in found} == {"runs/a": 8.0, "runs/b": 8.0}

    def test_names_damaged_ones(self, some, capsys):
        (some[0].path / "config.json").write_text("{[bold]")
        assert run(["runs"]) == 0
        shown = capsys.readouterr().out
        assert "damaged" in shown
        assert "runs/a: The run's 'runs/a/config.json' cannot be read" in shown

    def test_has_nothing_to_show(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert "cannot be listed" in refused(capsys)
        (tmp_path / "runs").mkdir()
        assert run(["runs"]) == 0
        assert "There are no runs in 'runs'" in capsys.readouterr().out


class TestRemoval:
    def test_takes_all_that_is_ours_and_leaves_the_rest(self, some, tmp_path, capsys):
        (tmp_path / "runs/b/notes.txt").write_text("mine")
        assert run(["runs", "rm", "a", "runs/b", "--yes"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "Removed runs/a.",
            "Removed runs/b, but for what is not zerosum's: notes.txt.",
        ]
        left = sorted(path.name for path in (tmp_path / "runs").rglob("*"))
        assert left == ["b", "notes.txt"]

    @pytest.mark.parametrize("text", ["n\n", "\n", ""])
    def test_is_asked_about_first(self, some, capsys, answer, text):
        answer(text)
        assert run(["runs", "rm", "a"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("Remove 1 run, ")
        assert out.endswith("Nothing was removed.\n")
        assert some[0].exists()
        answer("y\n")
        assert run(["runs", "rm", "a"]) == 0
        assert not some[0].path.exists()

    def test_is_refused_where_nobody_can_answer(self, some, capsys, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        assert "no terminal to answer at: add --yes" in refused(capsys, "rm", "a")
        assert "no terminal to answer at: add --yes" in refused(capsys, "prune")
        assert some[0].exists()

    def test_of_what_is_no_run_or_is_trained_removes_nothing(self, some, capsys):
        assert "Received no run" in refused(capsys, "rm", "--yes")
        said = refused(capsys, "rm", "a", "aa", "--yes")
        assert "There is no run in 'aa'" in said
        assert "Did you mean 'a'?" in said
        with some[1].locked():
            assert "A process is training in 'runs/b'" in refused(capsys, "rm", "a", "b", "--yes")
        assert some[0].exists()
        assert some[1].exists()


class TestPruning:
    def test_leaves_the_best_and_the_newest_of_all_runs(self, some, capsys):
        assert run(["runs", "prune", "--yes"]) == 0
        assert capsys.readouterr().out.startswith("Removed 1 checkpoint, ")
        assert some[0].checkpoints.seen() == [10, 30]
        assert run(["runs", "prune"]) == 0
        assert capsys.readouterr().out == "There is no checkpoint to remove.\n"

    def test_or_one_of_them_of_one_run(self, some, capsys, answer):
        answer("yes\n")
        assert run(["runs", "prune", "a", "--keep", "best"]) == 0
        assert "Remove 2 checkpoints" in capsys.readouterr().out
        assert some[0].checkpoints.seen() == [10]

    def test_leaves_alone_what_is_trained_or_damaged(self, some, capsys):
        with some[0].locked():
            assert run(["runs", "prune", "--yes"]) == 0
            assert "Left out 'runs/a': a process is training" in capsys.readouterr().err
        for seen in (10, 20, 30):
            (some[0].checkpoints.path(seen) / "manifest.json").unlink()
        assert run(["runs", "prune", "--yes"]) == 0
        assert "none of its checkpoints is whole" in capsys.readouterr().err
        assert some[0].checkpoints.seen() == [10, 20, 30]
