import errno
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.training import run_directory
from zerosum.training.run_directory import (
    RunDirectory,
    StorageFailed,
    find_run,
    no_run_here,
)

CONFIG = {"recipe": "vanilla", "config": {"seed": 3}}


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.claim()
    directory.write_config(CONFIG)
    return directory


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def disk_full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestClaim:
    def test_makes_a_folder_that_is_not_there(self, tmp_path):
        directory = RunDirectory(tmp_path / "some" / "where" / "run")
        assert not directory.exists()
        directory.claim()
        assert directory.path.is_dir()
        assert not directory.exists()

    def test_takes_a_run_with_whatever_else_the_user_put_there(self, directory):
        (directory.path / "notes.txt").write_text("mine")
        directory.claim()

    def test_takes_what_a_kill_before_the_first_config_leaves(self, tmp_path):
        for name in (".lock", ".config.json.writing", ".config.json.1234.writing"):
            (tmp_path / name).write_text("")
        RunDirectory(tmp_path).claim()

    def test_takes_a_damaged_config_so_that_fresh_can_start_over(self, directory):
        directory.config_path.write_bytes(b"{")
        directory.claim()

    @pytest.mark.parametrize("files", [{"thesis.tex": "x"}, {"checkpoints": "x", ".lock": ""}])
    def test_refuses_a_folder_of_something_else_and_leaves_it_alone(self, tmp_path, files):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=r"is not empty and holds no run. .*--out"):
            RunDirectory(tmp_path).claim()
        assert names(tmp_path) == sorted(files)

    @pytest.mark.parametrize("foreign", [{"architectures": ["GPT"]}, [], "x"])
    def test_refuses_the_config_of_another_program(self, tmp_path, foreign):
        (tmp_path / "config.json").write_text(json.dumps(foreign))
        (tmp_path / "checkpoints").mkdir()
        with pytest.raises(UserError, match="holds no run"):
            RunDirectory(tmp_path).claim()

    def test_refuses_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"file' is a file: expected a folder"):
            RunDirectory(tmp_path / "file").claim()

    def test_refuses_what_cannot_be_written(self, tmp_path, monkeypatch):
        def read_only(*args, **kwargs):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        # As a rule tests run as root, whom no permission stops.
        monkeypatch.setattr(run_directory.Path, "mkdir", read_only)
        with pytest.raises(UserError, match=r"Permission denied. Expected a folder that can be"):
            RunDirectory(tmp_path / "run").claim()


class TestLeftovers:
    def test_of_a_kill_are_swept_whatever_the_run_is(self, directory):
        (directory.path / ".film.gif.999999999.writing").touch()
        (directory.path / "checkpoints" / ".writing-swept-40").mkdir(parents=True)
        directory.sweep()
        assert names(directory.path) == ["checkpoints", "config.json"]
        assert names(directory.path / "checkpoints") == []

    @pytest.mark.parametrize("step", range(6))
    def test_of_a_kill_while_it_is_removed_leave_a_run_that_can_begin(
        self, directory, monkeypatch, step
    ):
        for seen in (10, 20):
            (directory.checkpoints.path(seen)).mkdir(parents=True)
            (directory.checkpoints.path(seen) / "state.json").touch()
        directory.append_log({"epoch": 1, "seen": 10})
        count = 0

        def killed(function):
            def until(*args, **kwargs):
                nonlocal count
                count += 1
                if count > step:
                    raise KeyboardInterrupt
                return function(*args, **kwargs)

            return until

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", killed(os.unlink))
            patch.setattr(os, "rmdir", killed(os.rmdir))
            patch.setattr(Path, "unlink", killed(Path.unlink))
            with pytest.raises(KeyboardInterrupt):
                directory.remove()
        again = RunDirectory(directory.path)
        again.claim()
        again.sweep()
        assert again.checkpoints.seen() == []
        again.remove()
        assert names(again.path) == []


class TestConfig:
    def test_is_read_as_it_was_written(self, directory):
        assert directory.exists()
        assert directory.read_config() == CONFIG
        assert names(directory.path) == ["config.json"]

    def test_a_full_disk_leaves_the_old_one(self, directory, monkeypatch):
        monkeypatch.setattr(os, "fsync", disk_full)
        with pytest.raises(UserError, match="No space left on device"):
            directory.write_config({"recipe": "other"})
        assert directory.read_config() == CONFIG

    def test_a_newer_format_asks_for_an_upgrade(self, directory):
        config = json.loads(directory.config_path.read_text())
        directory.config_path.write_text(json.dumps({**config, "format": 2}))
        with pytest.raises(UserError, match=r"has format 2, .* reads format 1. Upgrade zerosum"):
            directory.read_config()

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format": ', "\x00"])
    def test_a_damaged_one_is_said_to_be_so(self, directory, text):
        directory.config_path.write_text(text)
        with pytest.raises(UserError, match=r"config.json' cannot be read .*--fresh"):
            directory.read_config()

    def test_where_there_is_no_run_those_beside_it_are_named(self, directory):
        missing = RunDirectory(directory.path.parent / "rum")
        with pytest.raises(UserError, match=rf"no run in '.*rum'.* beside it: {directory.path}\."):
            missing.read_config()

    def test_where_there_are_none_none_are_named(self, tmp_path):
        with pytest.raises(UserError, match=r"expected a folder with a config.json.* makes it\.$"):
            RunDirectory(tmp_path / "a" / "b").read_config()


def epochs(directory):
    return [record["epoch"] for record in directory.history().records]


class TestLog:
    def test_is_one_json_object_a_line(self, directory):
        lengths = [directory.append_log({"epoch": n, "seen": n, "name": "Zürich"}) for n in (1, 2)]
        assert [record["name"] for record in directory.history().records] == ["Zürich"] * 2
        data = directory.log_path.read_bytes()
        assert lengths == [data.index(b"\n") + 1, len(data)]

    def test_there_may_be_none(self, directory):
        assert directory.history().records == ()
        directory.cut_log(0)

    def test_is_cut_back_to_where_a_checkpoint_was(self, directory):
        length = directory.append_log({"epoch": 1, "seen": (10 * 1)})
        directory.append_log({"epoch": 2, "seen": (10 * 2)})
        directory.cut_log(length)
        assert epochs(directory) == [1]
        directory.append_log({"epoch": 2.5, "seen": round(10 * 2.5)})
        assert epochs(directory) == [1, 2.5]

    def test_is_never_made_longer(self, directory):
        length = directory.append_log({"epoch": 1, "seen": (10 * 1)})
        directory.cut_log(length + 100)
        assert directory.log_path.stat().st_size == length

    def test_a_line_that_was_cut_short_is_left_out(self, directory):
        directory.append_log({"epoch": 1, "seen": (10 * 1)})
        with directory.log_path.open("a") as log:
            log.write('{"epo')
        assert epochs(directory) == [1]

    @pytest.mark.parametrize("line", [b"{{", b"\xff\xfe", b"[1, 2]", b"{}", b"3"])
    def test_a_damaged_line_is_left_out_and_counted(self, directory, line):
        for epoch in (1, 2):
            directory.append_log({"epoch": epoch, "seen": round(10 * epoch)})
        first, second, rest = directory.log_path.read_bytes().split(b"\n")
        directory.log_path.write_bytes(b"\n".join([first, line, second, rest]))
        assert epochs(directory) == [1, 2]
        assert directory.history().damaged == 1


class TestPictures:
    def test_are_in_the_order_of_their_epochs(self, directory):
        for epoch in (10, 9, 100):
            directory.save_picture(Image.new("L", (2, 2), epoch), epoch)
        (directory.path / "generated_epoch_x.png").write_text("")
        assert [path.name for path in directory.pictures()] == [
            "generated_epoch_9.png",
            "generated_epoch_10.png",
            "generated_epoch_100.png",
        ]

    def test_are_whole_or_absent(self, directory, full_disk):
        directory.save_picture(Image.new("L", (2, 2), 7), 1)
        before = directory.pictures()[0].read_bytes()

        with full_disk(20), pytest.raises(OSError, match="too large"):
            directory.save_picture(Image.new("L", (2, 2), 8), 1)
        assert directory.pictures()[0].read_bytes() == before


class TestRemove:
    def test_removes_the_runs_own_files_and_nothing_else(self, directory):
        directory.append_log({})
        directory.save_picture(Image.new("L", (2, 2)), 1)
        directory.film_path.write_bytes(b"")
        directory.curve_path.write_bytes(b"")
        directory.loggers_path.write_text("{}")
        for logger in ("tensorboard", "wandb"):
            (directory.path / logger).mkdir()
            (directory.path / logger / "events").write_bytes(b"")
        (directory.checkpoints.directory / "12").mkdir(parents=True)
        (directory.path / "samples.png").write_text("mine")
        directory.remove()
        assert names(directory.path) == ["samples.png"]
        assert not directory.exists()

    def test_what_is_not_there_need_not_be_removed(self, tmp_path):
        RunDirectory(tmp_path / "none").remove()


class TestLock:
    def test_only_one_trains_at_a_time(self, directory):
        with (
            directory.locked(),
            pytest.raises(UserError, match="Another process is training"),
            RunDirectory(directory.path).locked(),
        ):
            pass
        with directory.locked():
            pass

    def test_a_process_that_died_holds_no_lock(self, directory):
        process = os.fork()
        if process == 0:
            lock = directory.locked()  # held while it lives
            os._exit(0 if lock else 1)
        assert os.waitpid(process, 0)[1] == 0
        with directory.locked():
            pass

    def test_an_unwritable_folder_is_the_users_to_mend(self, tmp_path):
        with pytest.raises(UserError, match=r"Could not write .*--out"):
            RunDirectory(tmp_path / "none").locked()


class TestStorageFailures:
    def test_what_the_disk_refuses_says_how_to_go_on(self, directory):
        expected = r"run': No space left on device\. .*run the same command again"
        with pytest.raises(StorageFailed, match=expected) as error, directory.storage_failures():
            disk_full()
        assert error.value.exit_code == 1

    @pytest.mark.parametrize("other", [BrokenPipeError, ValueError, KeyboardInterrupt])
    def test_anything_else_is_not_the_disks_fault(self, directory, other):
        with pytest.raises(other), directory.storage_failures():
            raise other


class TestFindRun:
    def test_a_run_goes_by_its_path_or_by_its_name_in_runs(self, make_run, tmp_path):
        make_run("runs/a")
        (tmp_path / "a").mkdir()  # holds no run
        assert find_run("a") == find_run(Path("runs/a")) == Path("runs/a")
        (tmp_path / "a").rmdir()
        make_run("a")
        assert find_run("a") == Path("a")
        assert find_run("b") == Path("b")

    def test_who_finds_none_is_told_the_closest(self, make_run, tmp_path):
        for name in ("runs/dcgan-cats", "runs/wgan-dogs"):
            make_run(name)
        said = no_run_here(Path("dcgan-cat"))
        assert "Did you mean 'dcgan-cats'? Runs in runs/: runs/dcgan-cats, runs/wgan-dogs." in said
        assert "Did you mean" not in no_run_here(Path("xyz"))


def test_discarding_leaves_what_is_not_ours(make_run):
    directory = make_run("runs/a")
    (directory.path / "mine.txt").write_text("mine")
    assert directory.discard() == ["mine.txt"]
    assert [path.name for path in directory.path.iterdir()] == ["mine.txt"]
    other = make_run("runs/b")
    assert other.discard() == []
    assert not other.path.exists()
