# ruff: noqa: PT017 - pytest is not there to raise what it expects
"""Runs that are trained, stopped, killed, damaged, pruned, copied and sampled, in any order.

hypothesis draws the order, and a model says what must hold: the weights after n images are a
function of n, however a run came there; a checkpoint that was whole stays whole until it is swept;
a damaged one is named and passed over; a log that was changed is told; and nothing is left behind.
`make attack` plays many games of many moves, the suite a few short ones; both without the charts
and pages that a training writes beside.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import zerosum
from zerosum.callbacks import Callback
from zerosum.errors import UserError
from zerosum.inference.run import Run
from zerosum.training.checkpoint import FACTS, TENSORS, is_whole, read
from zerosum.training.loop import Loop
from zerosum.training.run_directory import RunDirectory
from zerosum.training.run_list import plan_pruning, prune

IMAGES, BATCH = 40, 16
SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "batch_size": BATCH,
    "hidden": (6,),
    "latent_size": 3,
    "ema_half_life": 60,
    "sample_every": 2,
    "checkpoint_every": 1,
    "evaluate_every": 2,
    "quiet": True,
}
FILES = {
    *(".lock", "checkpoints", "config.json", "curve.svg", "data.json", "data.png", "film.gif"),
    *("log.jsonl", "progress.json", "report.html"),
}
MOST_RUNS = 3
steps: Counter[str] = Counter()
"""What was done so far, over all games."""


class Recorder(Callback):
    """Remembers what is said, and does something at a moment."""

    def __init__(self, at: int | None = None, act: Callable[[], None] = lambda: None) -> None:
        self.said: list[str] = []
        self._at, self._act = at, act

    def notice(self, text: str) -> None:
        self.said.append(text)

    def update(self, *, seen: int, **state: Any) -> None:
        if self._at is not None and seen >= self._at:
            self._at = None
            self._act()


@dataclass
class Model:
    """What we know of a run.

    Attributes:
        lineage: whose weights it began with: runs of one lineage have the same weights.
        epochs: the largest budget that it was given.
        damaged: checkpoints that we have damaged, by the images seen.
        touched: whether we have damaged its log.
    """

    lineage: str
    epochs: int
    damaged: set[int] = field(default_factory=set)
    touched: bool = False


def digest_of(checkpoint: Path) -> str:
    """A hash of all tensors of a checkpoint."""
    found = hashlib.sha256()
    for name, tensor in sorted(read(checkpoint).tensors.items()):
        found.update(name.encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    """Ask this process to stop."""
    os.kill(os.getpid(), signal.SIGTERM)


def killed(work: Callable[[], object], *, call: int) -> None:
    """Do some work in a process that dies at its n-th flush, rename or cut of a file."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    left = call

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                die()
            return function(*args, **kwargs)

        return count

    try:
        os.fsync, os.truncate = counted(os.fsync), counted(os.truncate)
        for name in ("rename", "replace", "mkdir", "unlink"):
            setattr(Path, name, counted(getattr(Path, name)))
        shutil.rmtree = counted(shutil.rmtree)
        work()
    except (UserError, KeyboardInterrupt):
        pass
    finally:
        os._exit(0)


class Over(KeyboardInterrupt):
    """The time is over."""


class Runs(RuleBasedStateMachine):
    """A folder of runs, and what is known of each."""

    known: dict[tuple[str, int], str] = {}  # noqa: RUF012 - of all games: they share the data
    drawn: dict[tuple[str, int], str] = {}  # noqa: RUF012

    end = float("inf")

    def __init__(self) -> None:
        super().__init__()
        if time.monotonic() > self.end:
            raise Over
        self.folder = Path(tempfile.mkdtemp(prefix="runs-"))
        self.data = self.folder / "data.npz"
        pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8), dtype=np.uint8)
        np.savez(self.data, images=pixels)
        self.models: dict[str, Model] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is done.

    def train(self, name: str, callback: Callback, **how: Any) -> None:
        model = self.models[name]
        begun = RunDirectory(self.folder / name).exists()
        where = {"resume": self.folder / name} if begun else {"out": self.folder / name}
        if not begun:
            where |= {"recipe": "vanilla", "data": str(self.data)}
        zerosum.train(**where, epochs=model.epochs, callbacks=[callback], **SETTINGS, **how)

    def directory(self, name: str) -> RunDirectory:
        return RunDirectory(self.folder / name)

    def whole(self, name: str) -> list[int]:
        """Checkpoints that nobody has damaged."""
        seen = self.directory(name).checkpoints.seen()
        return [each for each in seen if each not in self.models[name].damaged]

    def any_run(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.models)), label="run")

    def new_name(self) -> str:
        return next(name for name in "abcdefgh" if not (self.folder / name).exists())

    @initialize()
    def first(self) -> None:
        """Train a run of an epoch, which all games begin with."""
        steps["begun"] += 1
        self.models["a"] = Model(lineage="", epochs=1)
        self.train("a", Recorder())
        self.must_be_complete("a")

    @rule(data=st.data(), more=st.integers(0, 2))
    def go_on(self, data: st.DataObject, more: int) -> None:
        """Go on to the end of the budget, which may be larger now."""
        steps["trained to the end"] += 1
        name = self.any_run(data)
        model = self.models[name]
        there, whole = self.directory(name).checkpoints.seen(), self.whole(name)
        doubted = self.log_is_another(name)
        model.epochs = min(6, model.epochs + more)
        recorder = Recorder()
        if there and not whole:
            try:
                self.train(name, recorder)
            except UserError as error:
                assert "is whole" in str(error), error
            else:
                raise AssertionError("it went on from a damaged checkpoint")
            shutil.rmtree(self.folder / name)
            del self.models[name]
            if not self.models:
                self.models["a"] = Model(lineage="", epochs=1)
                self.train("a", Recorder())
            return
        self.train(name, recorder)
        said = "\n".join(recorder.said)
        for seen in there:
            if seen in model.damaged and seen > max(whole):
                assert str(self.directory(name).checkpoints.path(seen)) in said, said
        if doubted:
            assert "WARNING: The log" in said, said
        self.must_be_complete(name)

    @rule(data=st.data(), more=st.integers(1, 2), at=st.integers(0, 3 * IMAGES))
    def interrupt(self, data: st.DataObject, more: int, at: int) -> None:
        """Go on, and be asked to stop on the way."""
        steps["stopped by a signal"] += 1
        name = self.any_run(data)
        self.models[name].epochs = min(6, self.models[name].epochs + more)
        try:
            self.train(name, Recorder(at, stop))
        except KeyboardInterrupt:
            pass
        except UserError:
            assert self.directory(name).checkpoints.seen()
            assert not self.whole(name)

    @rule(data=st.data(), more=st.integers(1, 2), call=st.integers(1, 80))
    def kill(self, data: st.DataObject, more: int, call: int) -> None:
        """Go on, and be killed at any write."""
        steps["killed"] += 1
        name = self.any_run(data)
        self.models[name].epochs = min(6, self.models[name].epochs + more)
        killed(lambda: self.train(name, Recorder()), call=call)

    @rule(
        data=st.data(),
        file=st.sampled_from([TENSORS, FACTS, "manifest.json"]),
        newest=st.booleans(),
        where=st.floats(0, 0.999),
        how=st.sampled_from(["bit", "cut", "missing"]),
    )
    def damage(self, data: st.DataObject, file: str, newest: bool, where: float, how: str) -> None:
        """Damage a checkpoint."""
        name = self.any_run(data)
        whole = self.whole(name)
        if not whole:
            return
        steps["damaged a checkpoint"] += 1
        seen = max(whole) if newest else data.draw(st.sampled_from(whole), label="checkpoint")
        path = self.directory(name).checkpoints.path(seen) / file
        content = bytearray(path.read_bytes())
        at = int(where * len(content))
        if how == "bit" and file == "manifest.json":
            content[content.index(b"sha256") + 12] ^= 1
        elif how == "bit":
            content[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
        elif how == "cut":
            del content[min(at, len(content) - 4) :]
        path.write_bytes(content)
        if how == "missing":
            path.unlink()
        self.models[name].damaged.add(seen)

    @rule(data=st.data(), where=st.floats(0, 0.999), how=st.sampled_from(["byte", "cut", "gone"]))
    def damage_log(self, data: st.DataObject, where: float, how: str) -> None:
        """Damage the log."""
        name = self.any_run(data)
        path = self.directory(name).log_path
        if not path.exists() or not path.stat().st_size:
            return
        steps["damaged a log"] += 1
        content = bytearray(path.read_bytes())
        at = int(where * len(content))
        if how == "byte":
            content[at] ^= 3
        else:
            del content[at:]
        path.write_bytes(content)
        if how == "gone":
            path.unlink()
        self.models[name].touched = True

    @rule(data=st.data(), file=st.sampled_from(sorted(FILES - {"checkpoints", "log.jsonl"})))
    def damage_besides(self, data: st.DataObject, file: str) -> None:
        """Damage a file that no weights depend on; the config is restored again."""
        name = self.any_run(data)
        path = self.folder / name / file
        if not path.exists():
            return
        steps["damaged another file"] += 1
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        if file == "config.json":
            for act in (lambda: self.train(name, Recorder()), lambda: Run(self.folder / name)):
                try:
                    act()
                except UserError as error:
                    assert "config.json" in str(error), error
                else:
                    raise AssertionError("half a config was believed")
            path.write_bytes(content)

    @rule(data=st.data(), keep=st.sampled_from([None, "best", "newest"]))
    def prune(self, data: st.DataObject, keep: Any) -> None:
        """Remove checkpoints that are not to be kept."""
        steps["pruned"] += 1
        name = self.any_run(data)
        directory, whole = self.directory(name), self.whole(name)
        if not directory.exists():
            return
        prune(plan_pruning(directory, keep))
        left = self.whole(name)
        assert set(left) <= set(whole)
        assert bool(left) == bool(whole), "the last whole checkpoint was pruned"
        if whole and keep != "best":
            assert max(whole) in left

    @precondition(lambda self: len(self.models) < MOST_RUNS)
    @rule(data=st.data())
    def copy(self, data: st.DataObject) -> None:
        """Copy a run to go on with both."""
        steps["copied"] += 1
        name, new = self.any_run(data), self.new_name()
        shutil.copytree(self.folder / name, self.folder / new)
        model = self.models[name]
        self.models[new] = Model(model.lineage, model.epochs, set(model.damaged), model.touched)

    @precondition(lambda self: len(self.models) < MOST_RUNS)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        """Begin a run with the weights of another, as --from does."""
        steps["forked"] += 1
        name, new = self.any_run(data), self.new_name()
        whole, source = self.whole(name), self.folder / name
        if not self.directory(name).exists():
            return
        how = {"start_from": source, "data": str(self.data), **SETTINGS}
        recorder = Recorder()
        try:
            zerosum.train("vanilla", out=self.folder / new, epochs=1, callbacks=[recorder], **how)
        except UserError as error:
            assert not whole, error
            shutil.rmtree(self.folder / new, ignore_errors=True)
            return
        assert whole, "it began with a damaged checkpoint"
        lineage = f"{self.models[name].lineage}, from {max(whole)}"
        self.models[new] = Model(lineage, epochs=1)
        self.must_be_complete(new)

    @rule(data=st.data())
    def sample(self, data: st.DataObject) -> None:
        """Sample a run: of the newest whole checkpoint, or of none."""
        steps["sampled"] += 1
        name = self.any_run(data)
        whole = self.whole(name)
        try:
            images = np.asarray(zerosum.load(self.folder / name).sample(2, device="cpu"))
        except UserError:
            assert not whole
            return
        assert whole, "a damaged checkpoint was sampled"
        found = hashlib.sha256(images.tobytes()).hexdigest()
        key = self.models[name].lineage, max(whole)
        assert self.drawn.setdefault(key, found) == found, f"other images at {key}"

    # What must hold.

    def log_is_another(self, name: str) -> bool:
        """Whether the log does not begin with what the newest whole checkpoint knows."""
        whole = self.whole(name)
        if not whole:
            return False
        path = self.directory(name).checkpoints.path(max(whole)) / FACTS
        progress = json.loads(path.read_bytes())["progress"]
        log = self.directory(name).log_path
        there = log.read_bytes() if log.exists() else b""
        prefix = there[: progress["log_bytes"]]
        return (
            bool(progress["log_bytes"])
            and hashlib.sha256(prefix).hexdigest() != progress["log_sha256"]
        )

    def must_be_complete(self, name: str) -> None:
        """A run that was trained to its end has the weights of its end, and nothing else."""
        directory, model = self.directory(name), self.models[name]
        end = IMAGES * model.epochs
        model.damaged = {
            each for each in model.damaged if not is_whole(directory.checkpoints.path(each))
        }
        assert max(self.whole(name)) == end
        names = {path.name for path in directory.path.iterdir()}
        strays = [
            each for each in names - FILES if not re.fullmatch(r"generated_epoch_\S+png", each)
        ]
        assert not strays, strays
        for path in directory.checkpoints.directory.iterdir():
            assert path.name.isdecimal(), path
        if not model.touched:
            seen = [json.loads(line)["seen"] for line in directory.log_path.open()]
            assert seen == [IMAGES * each for each in range(1, model.epochs + 1)], seen

    @invariant()
    def weights_follow_from_images(self) -> None:
        """Checkpoints are whole but for those that we have damaged, and as others of n images."""
        for name, model in self.models.items():
            checkpoints = self.directory(name).checkpoints
            seen = checkpoints.seen()
            model.damaged &= set(seen)
            for each in seen:
                path = checkpoints.path(each)
                if each in model.damaged and is_whole(path):
                    model.damaged.discard(each)  # trained once more
                if each not in model.damaged:
                    found, key = digest_of(path), (model.lineage, each)
                    assert self.known.setdefault(key, found) == found, f"other weights at {key}"


def without_pictures() -> None:
    """Leave out what a training draws beside: it takes most of the time of so small a one."""
    import zerosum.experiment as experiment

    def drawn(history: object, path: Path) -> None:
        path.write_text("<svg/>")

    experiment.draw_curve = drawn  # type: ignore[assignment]
    experiment.make_report = lambda directory, callback: None


def play(*, games: int, moves: int, seed: int | None) -> None:
    """Play games of so many moves; without a seed, the same ones each time."""
    how = settings(
        max_examples=games,
        stateful_step_count=moves,
        deadline=None,
        database=None,
        derandomize=seed is None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    machine = Runs if seed is None else hypothesis.seed(seed)(Runs)
    run_state_machine_as_test(machine, settings=how)


def main() -> int:
    """Play for some time, or so many games."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--small", action="store_true", help="a few games, the same each time")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    Loop.UPDATE_SECONDS = 0.0
    without_pictures()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ZEROSUM_CACHE"] = cache
        if asked.small:
            play(games=10, moves=10, seed=None)
        else:
            Runs.end = time.monotonic() + asked.seconds
            with suppress(Over):
                # Many at once, since hypothesis begins with the plainest.
                play(games=100_000, moves=30, seed=random.randrange(2**30))
    games = steps.pop("begun")
    told = ", ".join(f"{name} {count:,}" for name, count in steps.most_common())
    print(f"{games} games, {steps.total():,} moves, none fell: {told}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
