"""A training as a whole: what it says of itself, and of what comes next."""

import json

import pytest
import torch

from zerosum import experiment
from zerosum.data import load
from zerosum.experiment import finished, follow_loop, header, summary
from zerosum.preparation import build_game
from zerosum.recipes import RECIPES
from zerosum.tasks import TASKS
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress


@pytest.mark.parametrize(
    ("program", "on_path", "command"),
    [
        (".venv/bin/zerosum", None, ".venv/bin/zerosum"),
        (".venv/bin/zerosum", "/usr/bin/zerosum", "zerosum"),
        ("/a b/zerosum", None, "'/a b/zerosum'"),
        ("/x/zerosum/__main__.py", None, "/usr/python -m zerosum"),
        ("notebook.py", None, "zerosum"),
    ],
)
def test_commands_to_try_work_as_they_are_printed(monkeypatch, program, on_path, command):
    monkeypatch.setattr(experiment.shutil, "which", lambda name: on_path)
    monkeypatch.setattr(experiment.sys, "argv", [program])
    monkeypatch.setattr(experiment.sys, "executable", "/usr/python")
    assert experiment.called_as() == command


@pytest.mark.parametrize(("tier", "resident"), [("device", True), ("memory", False)])
def test_who_follows_keeps_images_where_they_shall_be_as_who_leads_does(
    tiny_images, tmp_path, monkeypatch, tier, resident
):
    told = []
    loader = experiment.Loader
    monkeypatch.setattr(
        experiment, "Loader", lambda *a, **how: told.append(how) or loader(*a, **how)
    )
    config = RECIPES["vanilla"].configure({"data": str(tiny_images), "data_tier": tier})
    # Alone, it is told at once that there are no more rounds.
    follow_loop(
        "vanilla",
        config,
        load(tiny_images),
        RunDirectory(tmp_path),
        device=torch.device("cpu"),
        channels_last=False,
    )
    assert [how["resident"] for how in told] == [resident]


class TestWords:
    """What a training says before it begins, where nothing is left to do, and at its end."""

    def test_the_header_counts_weights_images_and_epochs(self, tiny_images):
        config = RECIPES["vanilla"].configure(
            {"data": str(tiny_images), "images": 60, "batch_size": 10, "hidden": (4,)}
        )
        images = load(tiny_images)
        game = build_game("vanilla", config, images, device=torch.device("cpu"))
        first, second = header("vanilla", TASKS["generation"], config, images, game).splitlines()
        assert first == f"vanilla on {tiny_images}: 40 images of 8×8 gray, 2 classes"
        weights = [sum(w.numel() for w in p.net.parameters()) for p in (game.G, game.D)]
        assert second.startswith(
            f"G {weights[0]:,} weights, D {weights[1]:,}; cpu, 1 thread, fp32;"
        )
        assert second.endswith("60 images (1.5 epochs) in batches of 10")

    @pytest.mark.parametrize(
        ("changes", "seen", "scores", "reason"),
        [
            ({"epochs": 4}, 39, (), None),
            ({"epochs": 4}, 40, (), "Raise --epochs"),
            ({"images": 40}, 40, (), "Raise --images"),
            ({"images": 40, "anneal": 40, "lr_end": 0.5}, 40, (), "schedules stay at their end"),
            ({"images": 40, "anneal": 80, "lr_end": 0.5}, 40, (), "Raise --images"),
            ({"epochs": 4, "patience": 2}, 30, (5.0, 6.0, 7.0), "Raise --patience"),
            ({"epochs": 4, "patience": 2}, 30, (5.0, 6.0, 4.0), None),
        ],
    )
    def test_why_nothing_is_left_to_train(self, changes, seen, scores, reason):
        records = [
            {"epoch": index + 1, "seen": 10 * (index + 1), "metrics": {"fid": score}}
            for index, score in enumerate(scores)
        ]
        config = RECIPES["vanilla"].configure(changes)
        history = History(records=tuple(records), damaged=0)
        found = finished(config, 40, Progress(seen=seen), history)
        assert (found is None) if reason is None else (reason in found)

    def test_the_summary_names_the_best_and_the_newest_metric(self, make_run):
        directory = make_run("a", metrics=(4.0, 9.0))
        text = summary(directory, Progress(seen=500, seconds=2.0), ["one", "another"])
        assert text.startswith("Done: 500 images in 2 s (250 images/s).")
        assert "frechet_digits 4 at epoch 2 (now 9); use it with --checkpoint best" in text
        assert text.endswith("  try       one\n            another")
        unscored = summary(make_run("b", metrics=()), Progress(seen=1, seconds=1.0), [])
        assert "--checkpoint best" not in unscored

    def test_what_to_try_next_names_the_run_as_a_shell_needs_it(
        self, train_tiny, tmp_path, recorder
    ):
        train_tiny(tmp_path / "my run", epochs=1, callbacks=[recorder])
        assert f"try       zerosum sample '{tmp_path}/my run' -n 64" in recorder.notices[-1]


class TestReport:
    """The page that a training leaves behind."""

    def test_every_training_writes_one_and_names_it(self, train_tiny, tmp_path, recorder):
        run = train_tiny(tmp_path / "run", callbacks=[recorder])
        assert f"  report    {run.directory.report_path}" in recorder.notices[-1]
        assert "zerosum train vanilla" in run.directory.report_path.read_text()
        assert run.directory.examples_path.is_file()

    def test_one_that_cannot_be_written_stops_no_training(
        self, train_tiny, tmp_path, recorder, monkeypatch
    ):
        def fail(*_, **__):
            raise RuntimeError("a bug of ours")

        monkeypatch.setattr(experiment, "report", fail)
        run = train_tiny(tmp_path / "run", callbacks=[recorder])
        (warning,) = [each for each in recorder.notices if each.startswith("WARNING")]
        assert "No report was written (a bug of ours)" in warning
        assert "zerosum report" in warning
        assert "report.html" not in recorder.notices[-1]
        assert run.directory.history().seen == 120

    def test_a_complete_run_gets_the_one_that_it_lacks(self, train_tiny, tmp_path):
        run = train_tiny(tmp_path / "run")
        run.directory.report_path.unlink()
        train_tiny(tmp_path / "run")
        assert run.directory.report_path.is_file()

    def test_a_complete_run_that_was_killed_says_that_it_has_ended(self, train_tiny, tmp_path):
        path = train_tiny(tmp_path / "run").directory.progress_path
        path.write_text('{"state": "training", "seen": 80, "budget": 120}')
        train_tiny(tmp_path / "run")
        told = json.loads(path.read_text())
        assert (told["state"], told["seen"], told["budget"]) == ("ended", 120, 120)

    def test_it_goes_with_its_run(self, run):
        run.directory.discard()
        assert not run.path.exists()
