"""What the tests share: tiny data sets, a tiny training, a recorder that remembers."""

import signal
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

import zerosum
from zerosum.callbacks import Callback
from zerosum.callbacks.monitor import Monitor
from zerosum.inference.run import Run
from zerosum.plots.grids import grid
from zerosum.recipes import RECIPES
from zerosum.training import distributed
from zerosum.training.run_directory import RunDirectory

# The nets here are too small for a second thread, and on a busy machine two that wait for one
# another are a thousand times slower. (Results depend on the number, too.)
torch.set_num_threads(1)

# Tests run in the background of a shell are started with Ctrl-C ignored, and would pass it on to
# the commands they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline for an example: on a busy machine it would only measure the others' work.
settings.register_profile("zerosum", deadline=None)
settings.load_profile("zerosum")


class Recorder(Callback):
    """A callback that shows nothing and remembers what it is told."""

    def __init__(self):
        self.began = []
        self.updates = []
        self.ticks = []
        self.notices = []
        self.ended = 0

    def begin(self, **where):
        self.began.append(where)

    def update(self, **state):
        self.updates.append(state)

    def tick(self, record):
        self.ticks.append(record)

    def notice(self, text):
        self.notices.append(text)

    def end(self):
        self.ended += 1


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def new_recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def tiny_images(tmp_path) -> Path:
    """40 gray images of 8×8, in two classes: at 16 a batch, an epoch is 16 + 16 + 8."""
    numbers = np.random.default_rng(0)
    path = tmp_path / "tiny.npz"
    np.savez(path, images=numbers.integers(0, 256, (40, 8, 8), np.uint8), labels=np.arange(40) % 2)
    return path


@pytest.fixture
def train_tiny(tiny_images) -> Callable[..., Run]:
    """Train a small vanilla GAN on the tiny images: 3 epochs, saved and drawn after each."""

    def train(out: Path, **changes) -> Run:
        settings = {
            "data": str(tiny_images),
            "device": "cpu",
            "epochs": 3,
            "batch_size": 16,
            "hidden": (12, 20),
            "latent_size": 4,
            "ema_half_life": 60,
            "sample_every": 1,
            "checkpoint_every": 1,
            "evaluate_every": 1,
            "quiet": True,
        }
        if "images" in changes:  # the budget is one of both
            del settings["epochs"]
        return zerosum.train("vanilla", out=out, **(settings | changes))

    return train


@pytest.fixture
def run(train_tiny, tmp_path) -> Run:
    """A finished run of three epochs."""
    return train_tiny(tmp_path / "run")


@pytest.fixture
def full_disk():
    """Make a context inside which no file can grow beyond so many bytes."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def full(num_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full


@pytest.fixture
def write_images():
    """Write random images of a size, (height, width), as 0.png, 1.png and so on."""

    def write(folder, count, *, size=(16, 16), gray=False):
        folder.mkdir(parents=True)
        numbers = np.random.default_rng(zlib.crc32("/".join(folder.parts[-2:]).encode()))
        for index in range(count):
            pixels = numbers.integers(0, 256, size if gray else (*size, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")

    return write


@pytest.fixture
def pairs(tmp_path, write_images):
    """12 pairs of 16×16 to train on and 10 held out: at 5 a batch, an epoch is 5 + 5 + 2."""
    root = tmp_path / "pairs"
    for domain in "AB":
        write_images(root / domain / "train", 12)
        write_images(root / domain / "val", 10)
    return root


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """Make a run of four epochs in the folder where the test then runs; metrics at each second."""
    monkeypatch.chdir(tmp_path)

    def make(
        name, *, metrics=(9.0, 8.0), health="healthy", data="ab" * 32, version="0.2", **config
    ):
        directory = RunDirectory(name)
        directory.path.mkdir(parents=True)
        settings = RECIPES["vanilla"].configure({"epochs": 4, **config})
        directory.write_config(
            {
                "zerosum": version,
                "recipe": "vanilla",
                "image_shape": [1, 4, 4],
                "classes": [],
                "data_sha256": data,
                "config": settings.model_dump(mode="json"),
            }
        )
        for epoch in range(1, 5):
            record = {"epoch": epoch, "seen": 10 * epoch, "loss_D": 1.0 / epoch, "loss_G": 1.5}
            if epoch % 2 == 0 and metrics:
                record["metrics"] = {"frechet_digits": metrics[epoch // 2 - 1]}
                record["health"] = {
                    "verdict": health,
                    "why": "",
                    "alarm": health not in ("healthy", "forming"),
                }
            directory.append_log(record)
        pixels = np.full((4, 4, 4, 1), settings.seed % 256, np.uint8)
        directory.save_picture(grid(pixels), 4)
        return directory

    return make


@pytest.fixture
def collapse_when(monkeypatch):
    """Let evaluations find a collapse whenever (images seen, restarts so far) are such."""

    def stage(collapsed, *, verdict="D has won"):
        judge = Monitor.__call__

        def judged(monitor, history):
            found = judge(monitor, history)
            progress = monitor.state.progress
            ill = collapsed(progress.seen, len(progress.restarts))
            said = {"verdict": verdict if ill else "healthy", "why": "as staged.", "alarm": ill}
            return replace(found, health={**found.health, **said})

        monkeypatch.setattr(Monitor, "__call__", judged)

    return stage


@pytest.fixture
def in_shares():
    """Do a job as each of several processes would, one after the other; give process 0's result."""

    def play(world, job):
        told = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(distributed, "world", lambda: world)
            patch.setattr(distributed, "from_first", lambda value: value)
            for rank in reversed(range(world)):

                def to_first(value, rank=rank):
                    told[rank] = value
                    return None if rank else [told[each] for each in range(world)]

                patch.setattr(distributed, "rank", lambda rank=rank: rank)
                patch.setattr(distributed, "to_first", to_first)
                found = job()
        return found

    return play
