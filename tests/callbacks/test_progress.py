import json

import pytest

from zerosum.callbacks import progress
from zerosum.callbacks.progress import ProgressCallback


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_it_says_where_the_training_is(tmp_path, clock):
    path = tmp_path / "progress.json"
    callback = ProgressCallback(path)
    callback.begin(seen=0, budget=40, images_per_epoch=10)
    assert json.loads(path.read_text()) == {
        "state": "training",
        "seen": 0,
        "budget": 40,
        "images_per_epoch": 10,
    }
    clock[0] += 2
    callback.update(seen=8, losses={"loss_D": 1.0, "loss_G": 2.0})
    told = json.loads(path.read_text())
    assert (told["seen"], told["loss_D"], told["images_per_second"]) == (8, 1.0, 4.0)
    clock[0] += 0.5  # within a second of the last write
    callback.tick({"seen": 10, "loss_D": 3.0, "loss_G": 2.0})
    assert json.loads(path.read_text())["seen"] == 8
    callback.end()
    told = json.loads(path.read_text())
    assert (told["state"], told["seen"]) == ("ended", 10)


def test_it_writes_at_most_once_a_second(tmp_path, clock, monkeypatch):
    written = []
    monkeypatch.setattr(progress, "write_whole", lambda path, text: written.append(text))
    callback = ProgressCallback(tmp_path / "progress.json")
    callback.begin(seen=0, budget=40, images_per_epoch=10)
    for seen in range(100):
        clock[0] += 0.1
        callback.update(seen=seen, losses={})
    assert 9 <= len(written) - 1 <= 10


def test_a_disk_that_takes_no_more_stops_nothing(tmp_path):
    callback = ProgressCallback(tmp_path / "gone" / "progress.json")
    callback.begin(seen=0, budget=40, images_per_epoch=10)
    callback.end()
    assert not list(tmp_path.iterdir())
