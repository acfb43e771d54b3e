"""What `zerosum log` says where there is nothing to send; what it sends is in tests/callbacks/."""

import pytest

from zerosum.callbacks.loggers import feed
from zerosum.cli.main import run as command


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("none", "expected some of tensorboard, wandb, trackio"),
        ("mlflow", "expected none, or names with commas between: tensorboard, wandb, trackio"),
    ],
)
def test_refuses_what_is_no_logger(run, capsys, to, told):
    assert command(["log", str(run.path), "--to", to]) == 2
    assert told in capsys.readouterr().err


def test_refuses_what_is_no_run(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    assert command(["log", str(tmp_path / "no"), "--to", "tensorboard"]) == 2
    assert "There is no run in" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_waits_for_no_training_that_is_under_way(run, capsys):
    pytest.importorskip("tensorboard")
    with run.directory.locked():
        assert command(["log", str(run.path), "--to", "tensorboard"]) == 2
    assert "Another process is training" in capsys.readouterr().err


def test_a_failure_is_an_exit_code(run, capsys, monkeypatch):
    pytest.importorskip("tensorboard")

    def fail(name, run):
        raise OSError("no network")

    monkeypatch.setattr(feed, "open_logger", fail)
    assert command(["log", str(run.path), "--to", "tensorboard"]) != 0
    assert "tensorboard failed" in capsys.readouterr().err
