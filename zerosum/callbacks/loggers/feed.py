"""Sends a run's log to loggers: it reads the log's file, not the loop.

So a run that was killed and goes on, or one that was trained long ago, is sent like any other: each
step once, and none left out. What was sent last is in the run's loggers.json.
"""

from __future__ import annotations

import math
import re
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from zerosum.callbacks.console import in_words
from zerosum.callbacks.loggers import Entry, Logger, Sent, open_logger
from zerosum.errors import UserError
from zerosum.files import write_whole
from zerosum.reading import read_json
from zerosum.training.checkpoint import to_json
from zerosum.training.interfaces import Callback
from zerosum.training.log import History, numbers_of
from zerosum.training.run_directory import RunDirectory
from zerosum.training.saved_config import restarts_of

WAIT_SECONDS = 2
"""Between two looks at the log, each of which reads all of it: 40 ms where it has a thousand lines.
"""


class LogFeed(Callback):
    """Sends each line of the log, and each picture, soon after it was written.

    As a context it sends what is left at its end, and closes the loggers. A logger that fails is
    left alone from then on, with one warning; what it missed is sent when the run goes on.
    """

    def __init__(
        self, directory: RunDirectory, names: Sequence[str], notice: Callable[[str], None]
    ) -> None:
        """Take a run, which need not have begun.

        Args:
            directory: the run's.
            names: loggers of `zerosum.config.specs.LOGGERS`.
            notice: told what the person should know.
        """
        self.directory = directory
        self._tell = notice
        self.failed: list[str] = []
        self.num_sent = dict.fromkeys(names, 0)
        self._names = names
        self._loggers: dict[str, Logger] = {}
        self._sent: dict[str, int] = {}
        self._restarts = 0
        self._caught_up = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.catch_up()
        self._close()

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Send what the log already has."""
        self.catch_up()

    def tick(self, record: Mapping[str, Any]) -> None:
        """Send the line that was just written, and those before that waited."""
        if time.monotonic() - self._caught_up > WAIT_SECONDS:
            self.catch_up()

    def catch_up(self) -> None:
        """Send what the log has and a logger has not."""
        names = [name for name in self._names if name not in self.failed]
        if not names or not self.directory.exists():
            return
        self._caught_up = time.monotonic()
        restarts = self._restarts
        with suppress(UserError):  # of a damaged config.json, without which a logger cannot open
            restarts = len(restarts_of(self.directory.read_config()))
        if restarts != self._restarts:
            # The log was cut, and goes on otherwise than it was sent: a part of its own.
            self._close()
            self._loggers.clear()
            self._restarts = restarts
        for name in names:
            self._guarded(name, partial(self._send, name))

    def _close(self) -> None:
        for name, logger in self._loggers.items():
            if name not in self.failed:
                self._guarded(name, logger.close)

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        """Let a logger fail without harm to the training: whatever it raises is a warning."""
        try:
            act()
        except Exception as error:  # of somebody else's package, over somebody's network
            self.failed.append(name)
            self._tell(
                f"WARNING: nothing more is sent to {name}, which failed: "
                f"{type(error).__name__}: {error} The run and its log are whole; zerosum log "
                f"{shlex.quote(str(self.directory.path))} --to {name} sends the rest later."
            )

    def _send(self, name: str) -> None:
        logger = self._loggers.get(name) or self._open(name)
        entries = entries_of(self.directory.history(), self.directory.pictures_by_epoch())
        before = self._sent[name]
        try:
            for entry in entries:
                if entry.step > self._sent[name]:
                    logger.send(entry)
                    self._sent[name] = entry.step
                    self.num_sent[name] += 1
        finally:  # of what went out before one failed, too
            if self._sent[name] > before:
                self._remember(name)

    def _open(self, name: str) -> Logger:
        memory = read_memory(self.directory.loggers_path)
        identity = memory.get("run") or new_identity(self.directory.path)
        sent = memory.get("sent", {}) if memory.get("restarts", 0) == self._restarts else {}
        memory = {"run": identity, "restarts": self._restarts, "sent": sent}
        # Before a backend knows the name: a run that goes on must find it again.
        write_memory(self.directory.loggers_path, memory)
        saved = self.directory.read_config()
        facts = {key: saved[key] for key in FACTS if key in saved}
        run = Sent(
            path=self.directory.path,
            identity=identity,
            part=f"restart-{self._restarts}" if self._restarts else None,
            settings={**facts, **saved["config"]},
        )
        logger = self._loggers[name] = open_logger(name, run)
        remembered = sent.get(name, 0)
        self._sent[name] = remembered if logger.last_step is None else logger.last_step
        self._tell(f"Sent to {name}: {logger.where}")
        return logger

    def _remember(self, name: str) -> None:
        memory = read_memory(self.directory.loggers_path)
        sent = {**memory.get("sent", {}), name: self._sent[name]}
        write_memory(self.directory.loggers_path, {**memory, "sent": sent})


FACTS = ("zerosum", "recipe", "image_shape", "num_images", "data_sha256")
"""What loggers are told of a run beside its settings. Paths of this machine are not among them."""


def entries_of(history: History, pictures: Mapping[float, Path]) -> Iterator[Entry]:
    """What there is to send of a run, in the order of the steps, each step once.

    Args:
        history: its log.
        pictures: its pictures by their epochs.
    """
    waiting = sorted(pictures.items())
    best, last = math.inf, 0
    for record in history.records:
        step, epoch = int(record["seen"]), float(record["epoch"])
        while waiting and waiting[0][0] < epoch:  # drawn between two lines of the log
            drawn, path = waiting.pop(0)
            about = round(step * drawn / epoch)
            last = min(max(about, last + 1), step - 1)
            yield Entry(step=last, picture=path)
        scalars = numbers_of(record)
        first = next((name for name in scalars if name.startswith("metrics/")), None)
        if first is not None:  # by which the best checkpoint is chosen
            best = min(scalars[first], best)
            scalars[first.replace("metrics/", "best/", 1)] = best
        picture = waiting.pop(0)[1] if waiting and waiting[0][0] == epoch else None
        yield Entry(step=step, scalars=scalars, texts=verdict_of(record), picture=picture)
        last = step


def verdict_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The verdict on the training's health and why, where a record has one."""
    health = record.get("health")
    if not isinstance(health, dict) or not isinstance(health.get("verdict"), str):
        return {}
    return {"health": in_words({"why": "", **health})}


def new_identity(path: Path) -> str:
    """A name for a run that no other has, of letters that every backend takes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.resolve().name)[:60]
    return f"{name}-{secrets.token_hex(4)}"


def read_memory(path: Path) -> dict[str, Any]:
    """What loggers.json says; {} where nothing was sent yet.

    Raises:
        ValueError: it is damaged, and so nobody knows what was sent.
    """
    try:
        memory = read_json(path)
        sent = memory.get("sent", {})
        if not all(type(step) is int for step in sent.values()):
            raise TypeError
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        raise ValueError(
            f"'{path}' is damaged, which says what was sent. Remove it to send all of it anew, as "
            "another run."
        ) from None
    return dict(memory)


def write_memory(path: Path, memory: Mapping[str, Any]) -> None:
    """Keep what was sent, so that it outlives a power cut."""
    write_whole(path, to_json(memory), durable=True)
