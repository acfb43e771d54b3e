"""What the tests of the image-to-image recipes share: tiny trainings, interruptions, outcomes."""

import os
import signal

import pytest

import zerosum
from zerosum.data.loader import Loader
from zerosum.training.checkpoint import TENSORS

PACE = ("images_per_second", "seconds")


@pytest.fixture
def train_pairs(pairs, tmp_path, new_recorder):
    """Train a tiny translation of the pairs for two epochs."""

    def train(recipe, folder="run", **settings):
        common = {
            "data": pairs,
            "size": 16,
            "batch_size": 5,
            "epochs": 2,
            "width": 2,
            "d_layers": 1,
            "device": "cpu",
            "quiet": True,
        }
        return zerosum.train(recipe, out=tmp_path / folder, **(common | settings))

    return train


@pytest.fixture
def interrupt(monkeypatch):
    """Let Ctrl-C come with a certain batch, counted from now on, and only there."""

    def at_batch(number):
        deal, calls = Loader.next_batch, 0

        def next_batch(self):
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGINT)
            return deal(self)

        monkeypatch.setattr(Loader, "next_batch", next_batch)

    return at_batch


@pytest.fixture
def outcome():
    """All that a run has come to, but for how long it took."""

    def outcome(run):
        kept = run.directory.checkpoints
        return {
            "tensors": (kept.path(kept.seen()[-1]) / TENSORS).read_bytes(),
            "log": [{k: v for k, v in line.items() if k not in PACE} for line in run.log()],
            "pictures": [path.read_bytes() for path in run.directory.pictures()],
        }

    return outcome
