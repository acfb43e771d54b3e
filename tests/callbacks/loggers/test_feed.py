"""What is sent when: each step once, whatever happens to the run in between."""

import json

import numpy as np
import pytest

import zerosum
from zerosum.callbacks.loggers import feed
from zerosum.callbacks.loggers.feed import LogFeed, entries_of, new_identity, read_memory
from zerosum.errors import UserError
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory


class Backend:
    """A logger that keeps what it is sent, as one on another machine would."""

    def __init__(self):
        self.entries, self.opened, self.closed = [], [], 0
        self.last_step, self.where, self.fails_at = None, "here", None

    def send(self, entry):
        if self.fails_at is not None and entry.step >= self.fails_at:
            raise OSError("the network is gone")
        self.entries.append(entry)

    def close(self):
        self.closed += 1

    @property
    def steps(self):
        return [entry.step for entry in self.entries]


@pytest.fixture
def backend(monkeypatch):
    made = Backend()

    def open_logger(name, run):
        made.opened.append((name, run))
        return made

    monkeypatch.setattr(feed, "open_logger", open_logger)
    return made


class TestTraining:
    def test_sends_every_line_and_picture_once_and_says_where(
        self, train_tiny, tmp_path, backend, recorder
    ):
        run = train_tiny(tmp_path / "run", log="tensorboard", callbacks=[recorder])
        assert backend.steps == [40, 80, 120]
        assert [entry.picture.name for entry in backend.entries] == [
            f"generated_epoch_{epoch}.png" for epoch in (1, 2, 3)
        ]
        first, record = backend.entries[0], run.log()[0]
        for name in ("loss_D", "loss_G", "D(x)", "D(G(z))", "images_per_second"):
            assert first.scalars[name] == record[name]
        assert first.scalars["metrics/frechet_random"] == record["metrics"]["frechet_random"]
        assert first.scalars["health/gap"] == record["health"]["signals"]["gap"]
        assert first.texts["health"].startswith(record["health"]["verdict"])
        best = [entry.scalars["best/frechet_random"] for entry in backend.entries]
        values = [record["metrics"]["frechet_random"] for record in run.log()]
        assert best == list(np.minimum.accumulate(values))
        ((name, sent),) = backend.opened
        assert name == "tensorboard"
        assert sent.settings["hidden"] == [12, 20]
        assert sent.settings["recipe"] == "vanilla"
        assert backend.closed == 1
        assert "Sent to tensorboard: here" in recorder.notices

    def test_a_restart_after_a_collapse_is_a_part_of_its_own(
        self, train_tiny, tmp_path, monkeypatch, collapse_when
    ):
        """What was sent of the collapse stays where it is, and the new log is sent whole."""
        parts = {}

        def open_logger(name, run):
            return parts.setdefault(run.named(name), Backend())

        monkeypatch.setattr(feed, "open_logger", open_logger)
        collapse_when(lambda seen, restarts: seen > 120 and not restarts)
        monkeypatch.setattr(feed, "WAIT_SECONDS", 0)
        settings = {"log": "wandb", "on_collapse": "restart"}
        run = train_tiny(tmp_path / "run", epochs=6, **settings)
        assert parts["wandb"].steps == [40, 80, 120, 160, 200]
        restarted = parts["wandb-restart-1"]
        assert restarted.steps == [record["seen"] for record in run.log()]
        assert restarted.entries[3].scalars["loss_G"] == run.log()[3]["loss_G"]
        assert parts["wandb"].closed == restarted.closed == 1
        train_tiny(tmp_path / "run", epochs=7, **settings)
        assert restarted.steps == [40, 80, 120, 160, 200, 240, 280]
        assert parts.keys() == {"wandb", "wandb-restart-1"}

    def test_changes_nothing_that_is_learnt(self, train_tiny, tmp_path, backend):
        a, b = (
            train_tiny(tmp_path / name, log=log).sample(8, ema=False)
            for name, log in (("a", "none"), ("b", ["tensorboard", "wandb"]))
        )
        assert np.array_equal(a, b)

    def test_going_on_sends_only_what_is_new_and_may_change_the_loggers(
        self, train_tiny, tmp_path, backend
    ):
        train_tiny(tmp_path / "run", epochs=2)
        train_tiny(tmp_path / "run", epochs=3, log="tensorboard")
        train_tiny(tmp_path / "run", epochs=4, log="tensorboard")
        assert backend.steps == [40, 80, 120, 160]
        identities = {run.identity for _, run in backend.opened}
        assert len(identities) == 1
        zerosum.train(resume=tmp_path / "run", epochs=5, quiet=True)
        assert backend.steps == [40, 80, 120, 160, 200]  # a run keeps its loggers

    def test_what_was_sent_beyond_a_cut_is_not_sent_again(self, train_tiny, tmp_path, backend):
        """As after a kill: the newest checkpoint is older than the log."""
        run = train_tiny(tmp_path / "run", epochs=3, log="tensorboard")
        newest = run.directory.checkpoints.seen()[-1]
        for file in run.directory.checkpoints.path(newest).iterdir():
            file.unlink()
        run.directory.checkpoints.path(newest).rmdir()
        train_tiny(tmp_path / "run", epochs=4, log="tensorboard")
        assert backend.steps == [40, 80, 120, 160]

    def test_what_the_end_left_is_sent_by_the_same_command(self, train_tiny, tmp_path, backend):
        train_tiny(tmp_path / "run", epochs=3)
        train_tiny(tmp_path / "run", epochs=3, log="tensorboard")  # which is complete
        assert backend.steps == [40, 80, 120]

    def test_a_failure_warns_once_and_what_it_missed_is_sent_later(
        self, train_tiny, tmp_path, backend, recorder
    ):
        backend.fails_at = 80
        run = train_tiny(tmp_path / "run", log="tensorboard", callbacks=[recorder])
        assert len(run.log()) == 3
        (warning,) = [text for text in recorder.notices if text.startswith("WARNING")]
        assert "OSError: the network is gone" in warning
        assert f"zerosum log {run.path} --to tensorboard" in warning
        assert backend.steps == [40]
        backend.fails_at = None
        with LogFeed(run.directory, ["tensorboard"], recorder.notice):
            pass
        assert backend.steps == [40, 80, 120]

    def test_fresh_begins_another_run(self, train_tiny, tmp_path, backend):
        for _ in range(2):
            run = train_tiny(tmp_path / "run", epochs=1, log="tensorboard", fresh=True)
            (run.path / "tensorboard").mkdir(exist_ok=True)
        assert backend.steps == [40, 40]
        assert len({run.identity for _, run in backend.opened}) == 2
        run.directory.discard()
        assert not run.path.exists()

    @pytest.mark.parametrize("log", ["tensorbord", "wandb,wandb", "", ["none", "wandb"], 3])
    def test_other_names_are_refused(self, train_tiny, tmp_path, log):
        with pytest.raises(UserError, match=r"--log: received .* expected"):
            train_tiny(tmp_path / "run", log=log)


class TestFeed:
    def test_a_backend_that_knows_what_it_has_is_believed(self, run, backend):
        backend.last_step = 80
        with LogFeed(run.directory, ["trackio"], print):
            pass
        assert backend.steps == [120]

    def test_damaged_memory_sends_nothing_twice(self, run, backend, recorder):
        for content in (b"{", b"[1]", b'{"sent": {"a": "b"}}'):
            run.directory.loggers_path.write_bytes(content)
            with LogFeed(run.directory, ["trackio"], recorder.notice):
                pass
            assert backend.steps == []
            assert "is damaged" in recorder.notices[-1]

    @pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: "[]"])
    def test_a_damaged_config_ends_no_training(self, run, backend, recorder, damage):
        config = run.directory.config_path
        config.write_text(damage(config.read_text()))
        with LogFeed(run.directory, ["trackio"], recorder.notice) as sending:
            sending.begin(seen=0, budget=120, images_per_epoch=40)
        (warning,) = recorder.notices
        assert warning.startswith("WARNING: nothing more is sent to trackio")
        assert "cannot be read" in warning

    def test_a_config_that_is_damaged_later_ends_nothing(self, run, backend, recorder):
        with LogFeed(run.directory, ["trackio"], recorder.notice) as sending:
            sending.begin(seen=0, budget=120, images_per_epoch=40)
            run.directory.config_path.write_text("{")
        assert backend.steps == [40, 80, 120]
        assert not sending.failed

    @pytest.mark.parametrize("restarts", [5, "x", {"at": 1}, [7], [{"at": "x"}]])
    def test_strange_restarts_are_none(self, run, backend, restarts):
        config = json.loads(run.directory.config_path.read_text())
        run.directory.config_path.write_text(json.dumps(config | {"restarts": restarts}))
        with LogFeed(run.directory, ["trackio"], print):
            pass
        assert backend.steps == [40, 80, 120]
        assert backend.opened[0][1].part is None

    def test_without_a_run_there_is_nothing_to_send(self, tmp_path, backend):
        with LogFeed(RunDirectory(tmp_path / "none"), ["trackio"], print):
            pass
        assert not backend.opened

    def test_remembers_each_logger_by_itself(self, run, backend):
        for names in (["trackio"], ["trackio", "wandb"]):
            with LogFeed(run.directory, names, print):
                pass
        assert backend.steps == [40, 80, 120] * 2
        memory = read_memory(run.directory.loggers_path)
        assert memory["sent"] == {"trackio": 120, "wandb": 120}


class TestEntries:
    def test_pictures_between_lines_of_the_log_come_in_order(self, tmp_path):
        records = [{"epoch": epoch, "seen": 100 * epoch, "loss_D": 1.0} for epoch in (1, 2)]
        pictures = {epoch: tmp_path / f"{epoch}.png" for epoch in (0.5, 1.0, 1.001, 1.9995, 2.5)}
        entries = list(entries_of(History(tuple(records)), pictures))
        assert [entry.step for entry in entries] == [50, 100, 101, 199, 200]
        assert [entry.picture.stem for entry in entries[:4]] == ["0.5", "1.0", "1.001", "1.9995"]
        assert entries[4].picture is None  # and what comes after the last line waits for the next

    def test_hostile_records_give_what_can_be_sent(self):
        records = [
            {"epoch": 1, "seen": 10, "health": "ill", "metrics": None, "loss_D": True},
            {"epoch": 2, "seen": 20, "health": {"verdict": 3}, "metrics": {"fid": "low"}},
            {"epoch": 3, "seen": 30, "health": {"verdict": "<b>"}, "D(x)": float("nan")},
        ]
        entries = list(entries_of(History(tuple(records)), {}))
        assert [dict(entry.scalars) for entry in entries] == [
            {"epoch": float(n), "seen": 10.0 * n} for n in (1, 2, 3)
        ]
        assert entries[2].texts == {"health": "<b>"}

    def test_identities_differ_and_have_no_letters_that_a_backend_refuses(self, tmp_path):
        a, b = (new_identity(tmp_path / "my run/#1 ü%") for _ in range(2))
        assert a != b
        assert set(a) <= set(json.dumps(["-1"]) + "0123456789abcdef-")
