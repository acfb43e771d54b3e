"""Stopped anywhere, in any way, and started again: the run ends as if it had never been stopped.

Not nearly: every tensor, log line and picture is the same, bit for bit.
"""

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum import experiment as session
from zerosum.callbacks.monitor import Monitor
from zerosum.data.loader import Loader
from zerosum.errors import UserError
from zerosum.training import checkpoint
from zerosum.training.checkpoint import FACTS, MANIFEST, TENSORS, Checkpoints
from zerosum.training.loop import OutputLost
from zerosum.training.run_directory import RunDirectory, StorageFailed
from zerosum.training.signals import Interrupted

PACE = ("images_per_second", "seconds")


def outcome(path):
    """All that a finished run is, but for how long it took."""
    directory = RunDirectory(path)
    newest = directory.checkpoints.path(directory.checkpoints.seen()[-1])
    facts = json.loads((newest / FACTS).read_text())
    for unlike in ("seconds", "log_bytes", "log_sha256"):  # the log holds the pace
        facts["progress"].pop(unlike)
    return {
        "tensors": (newest / TENSORS).read_bytes(),
        "facts": facts,
        "log": [
            {k: v for k, v in line.items() if k not in PACE} for line in directory.history().records
        ],
        "pictures": {path.name: path.read_bytes() for path in directory.pictures()},
        "film": directory.film_path.read_bytes(),
        "config": directory.read_config(),
        "unfinished": [file for file in path.rglob(".*") if file.name != ".lock"],
    }


def checkpoints_of(path):
    return RunDirectory(path).checkpoints.seen()


class Crash(Exception):
    """Something unforeseen, of which training knows nothing."""


def crash(*args, **kwargs):
    raise Crash


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def send(number):
    return lambda *args, **kwargs: os.kill(os.getpid(), number)


def trouble(patch, owner, name, number, mishap, *, before=False):
    """Let a function of the program go wrong at its n-th call, before its work or behind it."""
    function, calls = getattr(owner, name), 0

    def troubled(*args, **kwargs):
        nonlocal calls
        calls += 1
        if before and calls == number:
            mishap()
        result = function(*args, **kwargs)
        if not before and calls == number:
            mishap()
        return result

    patch.setattr(owner, name, troubled)


@pytest.fixture
def whole(run):
    """What the run is when nothing goes wrong."""
    return outcome(run.path)


def flip_a_bit(path, *, position=0.5):
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 0b100
    path.write_bytes(data)


# An epoch is three batches, and there are three epochs.
SIGNALS = [
    pytest.param(Loader, "next_batch", batch, send(number), id=f"{number.name} in batch {batch}")
    for batch, number in [(1, signal.SIGTERM), (3, signal.SIGINT), (5, signal.SIGTERM)]
]
CRASHES = [
    pytest.param(Loader, "next_batch", 1, crash, id="the first batch"),
    pytest.param(Loader, "next_batch", 5, crash, id="mid-epoch"),
    pytest.param(Loader, "next_batch", 9, crash, id="the last batch"),
    pytest.param(RunDirectory, "append_log", 2, crash, id="after a line of the log"),
    pytest.param(RunDirectory, "save_picture", 2, crash, id="after a picture"),
    pytest.param(Monitor, "__call__", 2, crash, id="while the players are evaluated"),
    pytest.param(checkpoint, "write_whole", 5, crash, id="within a checkpoint"),
    pytest.param(Checkpoints, "save", 1, crash, id="after the first checkpoint"),
    pytest.param(Checkpoints, "save", 3, crash, id="after the last checkpoint"),
    pytest.param(session, "make_film", 1, crash, id="after the film"),
]
FULL_DISKS = [
    pytest.param(os, "fsync", number, no_space, id=f"at flush {number}")
    # Seven an epoch: the log's, three files' and two directories', but the config comes first.
    for number in (2, 3, 7, 8, 12, 15)
]


class TestBitForBit:
    @pytest.mark.parametrize(("owner", "name", "number", "mishap"), SIGNALS)
    def test_after_a_signal(
        self, train_tiny, tmp_path, whole, monkeypatch, owner, name, number, mishap
    ):
        with monkeypatch.context() as patch:
            trouble(patch, owner, name, number, mishap)
            with pytest.raises(Interrupted):
                train_tiny(tmp_path / "stopped")
        train_tiny(tmp_path / "stopped")
        assert outcome(tmp_path / "stopped") == whole

    @pytest.mark.parametrize(("owner", "name", "number", "mishap"), CRASHES)
    @pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
    def test_after_a_crash(
        self, train_tiny, tmp_path, whole, monkeypatch, owner, name, number, mishap, before
    ):
        with monkeypatch.context() as patch:
            trouble(patch, owner, name, number, mishap, before=before)
            with pytest.raises(Crash):
                train_tiny(tmp_path / "stopped")
        train_tiny(tmp_path / "stopped")
        assert outcome(tmp_path / "stopped") == whole

    @pytest.mark.parametrize(("owner", "name", "number", "mishap"), FULL_DISKS)
    def test_after_a_full_disk(
        self, train_tiny, tmp_path, whole, monkeypatch, owner, name, number, mishap
    ):
        with monkeypatch.context() as patch:
            trouble(patch, owner, name, number, mishap, before=True)
            with pytest.raises(StorageFailed, match="No space left"):
                train_tiny(tmp_path / "stopped")
        train_tiny(tmp_path / "stopped")
        assert outcome(tmp_path / "stopped") == whole

    @pytest.mark.parametrize(("number", "code"), [(errno.EPIPE, 141), (errno.ENOSPC, 1)])
    def test_after_its_output_was_lost(
        self, train_tiny, tmp_path, whole, new_recorder, number, code
    ):
        class Lost(new_recorder):
            def lost_output(self):
                return OSError(number, os.strerror(number)) if self.ticks else None

        with pytest.raises(OutputLost, match=os.strerror(number)) as lost:
            train_tiny(tmp_path / "stopped", callbacks=[Lost()])
        assert lost.value.exit_code == code
        assert checkpoints_of(tmp_path / "stopped") == [40]
        train_tiny(tmp_path / "stopped")
        assert outcome(tmp_path / "stopped") == whole

    def test_after_a_stop_in_every_single_round(self, train_tiny, tmp_path, whole, monkeypatch):
        stops = 0
        with monkeypatch.context() as patch:
            deal = Loader.next_batch
            patch.setattr(Loader, "next_batch", lambda self: (send(signal.SIGINT)(), deal(self))[1])
            while True:
                try:
                    train_tiny(tmp_path / "stopped")
                    break
                except Interrupted:
                    stops += 1
        assert stops == 9  # the last came when all was saved
        assert outcome(tmp_path / "stopped") == whole

    def test_whatever_the_caller_draws_in_between(self, train_tiny, tmp_path, whole, monkeypatch):
        torch.manual_seed(1)
        with monkeypatch.context() as patch:
            trouble(patch, Loader, "next_batch", 5, send(signal.SIGTERM))
            with pytest.raises(Interrupted):
                train_tiny(tmp_path / "stopped")
        torch.manual_seed(2)
        torch.randn(77)
        train_tiny(tmp_path / "stopped")
        assert outcome(tmp_path / "stopped") == whole


SERVER = """
import json, os, sys, traceback
import torch
import zerosum.api
from zerosum.config.gan import GanSettings
from zerosum.data.spec import DataSpec
from zerosum.recipes.gan import build

# What takes seconds is imported once; then a process is forked for each training.
torch.set_num_threads(1)
spec = DataSpec(shape=(1, 2, 2))
settings = GanSettings(nets="mlp", hidden=(2,))
build(settings, spec, device=torch.device("cpu")).G.optimizer.step()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            zerosum.api.train("vanilla", **json.loads(line))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Trainings:
    """Trainings in processes of their own, which can be killed."""

    def __init__(self, settings):
        self.settings = settings
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, out):
        self.server.stdin.write(json.dumps({**self.settings, "out": str(out)}) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self):
        return os.waitstatus_to_exitcode(int(self.server.stdout.readline()))

    def close(self):
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_again_and_again_a_run_ends_as_one_that_was_not(tiny_images, tmp_path):
    trainings = Trainings(
        {
            "data": str(tiny_images),
            "device": "cpu",
            "epochs": 40,
            "batch_size": 16,
            "hidden": [12],
            "latent_size": 4,
            "sample_every": 4,
            "checkpoint_every": 2,
        }
    )
    try:
        trainings.start(tmp_path / "whole")
        assert trainings.wait() == 0

        numbers = random.Random(0)
        killed, log = tmp_path / "killed", tmp_path / "killed" / "log.jsonl"
        for target in sorted(numbers.sample(range(3, 25), 5)):
            process = trainings.start(killed)
            deadline = time.monotonic() + 60
            while not log.exists() or log.read_bytes().count(b"\n") < target:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(numbers.uniform(0, 0.03))
            os.kill(process, signal.SIGKILL)
            assert trainings.wait() == -signal.SIGKILL
        trainings.start(killed)
        assert trainings.wait() == 0
    finally:
        trainings.close()

    expected, got = outcome(tmp_path / "whole"), outcome(killed)
    # A picture or film under way when the kill came is left, and overwritten the next time.
    assert {file.suffix for file in got.pop("unfinished")} <= {".writing"}
    assert expected.pop("unfinished") == []
    assert got == expected


class TestADamagedCheckpoint:
    @pytest.mark.parametrize("file", [TENSORS, FACTS, MANIFEST])
    def test_is_passed_over_loudly_and_made_again(
        self, train_tiny, tmp_path, whole, new_recorder, file
    ):
        path = tmp_path / "run"
        before = {
            seen: (RunDirectory(path).checkpoints.path(seen) / TENSORS).read_bytes()
            for seen in checkpoints_of(path)
        }
        flip_a_bit(path / "checkpoints" / "120" / file)
        recorder = new_recorder()
        train_tiny(path, callbacks=[recorder])

        warning, going_on, *_ = recorder.notices
        assert warning.startswith(f"WARNING: damaged checkpoint {path / 'checkpoints' / '120'}: ")
        assert warning.endswith("Falling back to 80 images.")
        assert "Going on" in going_on
        assert [record["epoch"] for record in recorder.ticks] == [3]
        assert outcome(path) == whole
        assert (path / "checkpoints" / "120" / TENSORS).read_bytes() == before[120]

    def test_does_not_cost_the_good_ones_when_training_stops_before_it_is_made_again(
        self, train_tiny, run, whole, monkeypatch
    ):
        assert checkpoints_of(run.path)[-2:] == [80, 120]
        flip_a_bit(run.path / "checkpoints" / "120" / TENSORS)
        with monkeypatch.context() as patch:
            trouble(patch, Loader, "next_batch", 1, send(signal.SIGINT))
            with pytest.raises(Interrupted):
                train_tiny(run.path)
        assert checkpoints_of(run.path)[-2:] == [80, 96]
        train_tiny(run.path)
        assert outcome(run.path) == whole

    def test_all_of_them_leave_nothing_to_go_on_from(self, train_tiny, run, whole):
        seen = checkpoints_of(run.path)
        for number in seen:
            flip_a_bit(run.path / "checkpoints" / str(number) / TENSORS)
        log = run.directory.log_path.read_bytes()
        with pytest.raises(UserError, match=r"No checkpoint of .* is whole: .*--fresh") as error:
            train_tiny(run.path)
        assert error.value.exit_code == 2
        assert all(f"checkpoints/{number}: " in str(error.value) for number in seen)
        assert checkpoints_of(run.path) == seen
        assert run.directory.log_path.read_bytes() == log

        train_tiny(run.path, fresh=True)
        assert outcome(run.path) == whole


class TestAnotherRun:
    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"batch_size": 8}, ["--batch-size: the run has 16, received 8"]),
            ({"epochs": 2}, ["--epochs: the run has 3, received 2; it can only grow"]),
            ({"seed": 1, "hidden": (5,)}, ["--seed: the run has 0", "--hidden: the run has 12 20"]),
            (
                {"size": 6},
                ["the run has 8×8 in 1 channel, received 6×6 in 1 channel", "--size: the run has "],
            ),
            ({"channels": 3}, ["received 8×8 in 3 channels", "--channels: the run has none"]),
        ],
    )
    def test_is_refused_by_the_fields_that_differ(self, train_tiny, run, changes, named):
        before = outcome(run.path)
        with pytest.raises(
            UserError, match=r"(?s)cannot go on with.*--from.*--out.*--fresh"
        ) as error:
            train_tiny(run.path, **changes)
        assert all(text in str(error.value) for text in named)
        assert outcome(run.path) == before

    def test_other_data_in_the_same_place_is_noticed(self, train_tiny, run, tiny_images):
        images = dict(np.load(tiny_images))
        images["images"][7, 3, 3] ^= 1
        np.savez(tiny_images, **images)
        with pytest.raises(UserError, match="are not those the run has seen"):
            train_tiny(run.path)

    @pytest.mark.parametrize(
        ("before", "line"),
        [
            (40, "the run has seen 40 images, received '.*' with 41"),
            (None, "the 41 images of '.*' are not those the run has seen"),  # a run of 0.1
        ],
    )
    def test_one_image_more_is_told_in_numbers(self, train_tiny, run, tiny_images, before, line):
        saved = json.loads(run.directory.config_path.read_text())
        if before is None:
            saved.pop("num_images")
        run.directory.config_path.write_text(json.dumps(saved))
        images = dict(np.load(tiny_images))
        np.savez(tiny_images, **{name: array[[0, *range(40)]] for name, array in images.items()})
        with pytest.raises(UserError, match=f"--data: {line}") as error:
            train_tiny(run.path)
        assert "--from" in str(error.value)
        assert "--epochs" not in str(error.value)

    def test_another_recipe_is_named(self, train_tiny, run):
        config = json.loads(run.directory.config_path.read_text())
        run.directory.config_path.write_text(json.dumps({**config, "recipe": "wgan"}))
        with pytest.raises(UserError, match="recipe: the run has 'wgan', received 'vanilla'"):
            train_tiny(run.path)

    def test_how_often_it_reports_may_change(self, train_tiny, run):
        train_tiny(run.path, epochs=6, sample_every=2, checkpoint_every=3)
        assert [path.name for path in run.directory.pictures()] == [
            f"generated_epoch_{epoch}.png" for epoch in (1, 2, 3, 4, 6)
        ]
        assert run.directory.read_config()["config"]["sample_every"] == 2


class TestMoreEpochs:
    def test_are_as_if_they_had_been_asked_for_at_first(self, train_tiny, tmp_path, whole):
        for epochs in (1, 2, 3):
            train_tiny(tmp_path / "grown", epochs=epochs)
        assert outcome(tmp_path / "grown") == whole

    def test_more_images_too(self, train_tiny, tmp_path, new_recorder):
        for images in (70, 250):
            train_tiny(tmp_path / "grown", images=images)
        train_tiny(tmp_path / "once", images=250)
        grown, once = outcome(tmp_path / "grown"), outcome(tmp_path / "once")
        assert grown["tensors"] == once["tensors"]
        assert grown["log"][-1] == once["log"][-1]


class TestMoreEpochsOfARunThatAnneals:
    def test_it_is_annealed_as_it_began_and_its_rates_stay(
        self, train_tiny, tmp_path, new_recorder
    ):
        annealed = {"anneal": "budget", "lr_end": 0.1}
        recorder = new_recorder()
        train_tiny(tmp_path / "grown", **annealed)
        train_tiny(tmp_path / "grown", epochs=5, callbacks=[recorder], **annealed)
        train_tiny(tmp_path / "once", epochs=5, anneal=120, lr_end=0.1)
        assert outcome(tmp_path / "grown") == outcome(tmp_path / "once")
        (told,) = [notice for notice in recorder.notices if "learning rate" in notice]
        assert told == "The learning rate has reached its end at 120 images and stays there."

    def test_a_rate_that_ends_at_0_is_a_warning(self, train_tiny, tmp_path, new_recorder):
        recorder = new_recorder()
        for epochs in (1, 2):
            train_tiny(
                tmp_path / "run", epochs=epochs, anneal="budget", lr_end=0, callbacks=[recorder]
            )
        assert any(
            notice.startswith("WARNING: the learning rate") and "nothing more is learnt" in notice
            for notice in recorder.notices
        )

    def test_another_number_that_was_given_is_refused(self, train_tiny, tmp_path):
        train_tiny(tmp_path / "run", anneal="budget", lr_end=0.1)
        with pytest.raises(UserError, match="--anneal: the run has 120, received 99"):
            train_tiny(tmp_path / "run", anneal=99, lr_end=0.1)


class TestACompleteRun:
    def test_says_so_and_trains_nothing(self, train_tiny, run, whole, recorder):
        assert train_tiny(run.path, callbacks=[recorder]).path == run.path
        (notice,) = recorder.notices
        assert notice.startswith(f"The run '{run.path}' is complete: 120 images. Raise --epochs")
        assert recorder.began == recorder.ticks == []
        assert outcome(run.path) == whole

    def test_needs_no_pictures(self, train_tiny, run):
        for picture in run.directory.pictures():
            picture.unlink()
        train_tiny(run.path)


class TestFresh:
    def test_starts_over(self, train_tiny, run, tmp_path):
        (run.path / "notes.txt").write_text("mine")
        train_tiny(run.path, seed=5, epochs=2, fresh=True)
        train_tiny(tmp_path / "new", seed=5, epochs=2)
        assert outcome(run.path) == outcome(tmp_path / "new")
        assert (run.path / "notes.txt").read_text() == "mine"

    def test_where_there_is_nothing_begins(self, train_tiny, tmp_path, whole):
        train_tiny(tmp_path / "new", fresh=True)
        assert outcome(tmp_path / "new") == whole

    def test_a_kill_amid_the_checkpoints_leaves_what_begins_anew(
        self, train_tiny, run, whole, monkeypatch
    ):
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", crash)
            with pytest.raises(Crash):
                train_tiny(run.path, fresh=True)
        train_tiny(run.path)
        assert outcome(run.path) == whole

    def test_mends_a_damaged_config(self, train_tiny, run, whole):
        run.directory.config_path.write_bytes(b"{")
        with pytest.raises(UserError, match="--fresh"):
            train_tiny(run.path)
        train_tiny(run.path, fresh=True)
        assert outcome(run.path) == whole

    @pytest.mark.parametrize("name", ["thesis.tex", "config.json"])
    def test_removes_nothing_of_somebody_elses(self, train_tiny, tmp_path, name):
        folder = tmp_path / "work"
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / "model.pt").write_text("months of work")
        (folder / name).write_text('{"architectures": []}')
        with pytest.raises(UserError, match="holds no run"):
            train_tiny(folder, fresh=True)
        assert (folder / "checkpoints" / "model.pt").exists()
        assert sorted(path.name for path in folder.iterdir()) == sorted(["checkpoints", name])


@pytest.mark.parametrize("changes", [{"epochs": 9}, {"fresh": True}, {"seed": 1, "fresh": True}])
def test_while_another_process_trains_nothing_is_touched(train_tiny, run, whole, changes):
    with run.directory.locked(), pytest.raises(UserError, match="Another process is training"):
        train_tiny(run.path, **changes)
    assert outcome(run.path) == whole


def test_a_run_and_its_images_may_be_moved(train_tiny, run, tiny_images, tmp_path, new_recorder):
    shutil.move(run.path, tmp_path / "moved")
    shutil.move(tiny_images, tmp_path / "images.npz")
    recorder = new_recorder()
    settings = {"epochs": 4, "data": str(tmp_path / "images.npz"), "callbacks": [recorder]}
    train_tiny(tmp_path / "moved", **settings)
    assert [record["epoch"] for record in recorder.ticks] == [4]
    assert len(outcome(tmp_path / "moved")["log"]) == 4
    with Image.open(tmp_path / "moved" / "film.gif") as film:
        assert film.n_frames == 4


class TestAfterTrouble:
    def test_a_budget_that_ended_in_mid_epoch_leaves_no_trace_when_it_grows(
        self, train_tiny, tmp_path
    ):
        whole = train_tiny(tmp_path / "whole", images=120)
        for images in (50, 120):
            parts = train_tiny(tmp_path / "parts", images=images)
        timing = {"seconds", "images_per_second"}
        logs = [
            [{k: v for k, v in record.items() if k not in timing} for record in run.log()]
            for run in (whole, parts)
        ]
        assert logs[0] == logs[1]

    def test_a_partial_record_stays_in_a_finished_log(self, train_tiny, tmp_path):
        for _ in range(2):
            run = train_tiny(tmp_path / "run", images=50)
        assert [record["seen"] for record in run.log()] == [40, 56]

    def test_a_damaged_picture_is_left_out_of_the_film(self, train_tiny, run, new_recorder):
        (run.path / "generated_epoch_2.png").write_bytes(b"no picture")
        recorder = new_recorder()
        train_tiny(run.path, epochs=4, callbacks=[recorder])
        assert any("leaves out" in notice for notice in recorder.notices)
        with Image.open(run.directory.film_path) as film:
            assert film.n_frames == 3

    def test_a_log_cut_in_mid_line_stays_readable(self, train_tiny, run):
        log = run.directory.log_path
        log.write_bytes(log.read_bytes()[:-9])
        assert [record["epoch"] for record in train_tiny(run.path, epochs=4).log()] == [1, 2, 4]

    def test_other_circumstances_are_told(self, train_tiny, run, new_recorder, monkeypatch):
        monkeypatch.setattr(torch, "__version__", "9.9")
        recorder = new_recorder()
        train_tiny(run.path, epochs=4, callbacks=[recorder])
        assert any("torch was" in notice and "9.9" in notice for notice in recorder.notices)

    def test_a_run_that_never_saved_may_begin_with_another_config(self, train_tiny, run):
        shutil.rmtree(run.directory.checkpoints.directory)
        assert train_tiny(run.path, hidden=(7,)).config.hidden == (7,)


def test_a_damaged_line_of_the_log_is_told_and_stops_nothing(train_tiny, tmp_path, recorder):
    run = train_tiny(tmp_path / "run")
    path = run.directory.log_path
    path.write_bytes(path.read_bytes().replace(b'{"epoch": 2', b'<"epoch": 2'))
    train_tiny(tmp_path / "run", epochs=4, callbacks=[recorder], patience=50)
    assert any("1 damaged lines" in notice for notice in recorder.notices)
    assert [record["epoch"] for record in run.log()] == [1, 3, 4]


def test_best_means_the_same_in_the_log_and_among_checkpoints(train_tiny, tmp_path, monkeypatch):
    """A budget that ends in mid-epoch and is raised, when the state there was the best."""
    metrics = iter([5.0, 1.0, 4.0, 3.0])
    plain = Monitor.__call__

    def scripted(self, log):
        return replace(plain(self, log), metrics={"distance": next(metrics)})

    monkeypatch.setattr(Monitor, "__call__", scripted)
    run = train_tiny(tmp_path / "run", images=60)
    assert run.directory.checkpoints.best() == 72
    train_tiny(tmp_path / "run", images=120)
    logged = [record["metrics"]["distance"] for record in run.log()]
    assert logged == [5, 4, 3]
    assert run.directory.checkpoints.best() == 120


def warnings_of(recorder):
    return [text for text in recorder.notices if text.startswith("WARNING")]


class TestALogThatIsNotTheTrainings:
    def unlike(self, run, kind):
        log = run.directory.log_path
        lines = log.read_bytes().splitlines(keepends=True)
        changed = {
            "cut": b"".join(lines[:1]),
            "emptied": b"",
            "foreign": b"".join(reversed(lines)),
            "edited": log.read_bytes().replace(b'"seen": 40', b'"seen": 41', 1),
        }
        if kind == "gone":
            log.unlink()
        else:
            assert changed[kind] != log.read_bytes()
            log.write_bytes(changed[kind])

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("cut", "The log ends at 40 images, and the checkpoint at 120 knows "),
            ("emptied", "The log is gone, and the checkpoint at 120 knows "),
            ("gone", "The log is gone, and the checkpoint at 120 knows "),
            ("foreign", "The log up to 120 images is not the one that the training wrote."),
            ("edited", "The log up to 120 images is not the one that the training wrote."),
        ],
    )
    def test_is_told_once_when_the_run_goes_on_and_known_from_then_on(
        self, train_tiny, run, new_recorder, kind, said
    ):
        assert run.directory.doubt_of_log() is None
        self.unlike(run, kind)
        assert run.directory.doubt_of_log().startswith(said)
        recorder = new_recorder()
        train_tiny(run.path, epochs=4, callbacks=[recorder])
        (warning,) = warnings_of(recorder)
        assert warning.startswith(f"WARNING: {said}")
        assert "Early stopping, the best checkpoint and compare go by what" in warning
        again = new_recorder()
        train_tiny(run.path, epochs=5, callbacks=[again])
        assert not warnings_of(again)
        assert run.directory.doubt_of_log() == (
            "The log was found cut or changed when the run went on at 120 images."
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [("log_bytes", "x"), ("seen", None), ("log_sha256", 3), ("log_doubted", [1])],
    )
    def test_a_damaged_checkpoint_knows_nothing_of_it(self, run, name, value):
        older, newest = run.directory.checkpoints.seen()[-2:]
        facts = run.directory.checkpoints.path(newest) / "state.json"
        content = json.loads(facts.read_text())
        content["progress"][name] = value
        facts.write_text(json.dumps(content))
        assert run.directory.doubt_of_log() is None
        self.unlike(run, "emptied")
        assert f"the checkpoint at {older:,} knows" in run.directory.doubt_of_log()

    def test_one_of_an_older_version_is_believed(self, train_tiny, run, new_recorder):
        rewrite(run, lambda progress: progress.pop("log_sha256") and progress.pop("log_doubted"))
        self.unlike(run, "cut")
        recorder = new_recorder()
        train_tiny(run.path, epochs=4, callbacks=[recorder])
        assert not warnings_of(recorder)
        assert run.directory.doubt_of_log() is None


def rewrite(run, change):
    """Change the progress of the newest checkpoint, as somebody who signs it again."""
    newest = run.directory.checkpoints.path(run.directory.checkpoints.seen()[-1])
    facts = json.loads((newest / FACTS).read_text())
    change(facts["progress"])
    content = json.dumps(facts).encode()
    (newest / FACTS).write_bytes(content)
    manifest = json.loads((newest / MANIFEST).read_text())
    manifest[FACTS] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (newest / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        lambda progress: progress.update(seen="120"),
        lambda progress: progress.update(restarts={}),
        lambda progress: progress.update(stranger=1),
        lambda progress: progress.update(turns=True),
        lambda progress: progress.update(log_bytes=None),
    ],
)
def test_a_well_signed_state_of_another_form_is_refused(train_tiny, run, change):
    rewrite(run, change)
    with pytest.raises(UserError, match="The checkpoint does not fit this game"):
        train_tiny(run.path, epochs=4)
