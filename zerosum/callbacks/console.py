"""The progress of a training in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zerosum.streams import TERMINAL_GONE, guarded
from zerosum.training.interfaces import Callback

PROMISE_SECONDS = 5
"""After which the pace is steady enough to say how long the training will take."""


class ConsoleCallback(Callback):
    """One line a tick; under them, in a terminal, a bar with the pace, the ETA and the losses.

    The bar is redrawn only when the loop reports, about once a second: a thread that animates it
    would take a processor's time from the training.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._output = guarded(sys.stdout)
        self.console = console or Console(
            file=cast("TextIO | None", self._output), highlight=False, soft_wrap=True
        )
        self._alarm: str | None = None
        self._judged = ""
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]:,.0f} images/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=self.console,
            auto_refresh=False,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Show an empty bar, or one as far along as the run that is resumed."""
        self._images_per_epoch, self._budget = images_per_epoch, budget
        self._epochs = -(-budget // images_per_epoch)
        self._began, self._began_at, self._promised = time.monotonic(), seen, False
        self._task = self._bar.add_task(
            "", total=budget, completed=seen, epoch=self._place(seen), pace=0.0, losses=""
        )
        self._pace = Pace(seen)
        self._bar.start()

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """Move the bar on; once, after some seconds, say how long the whole will take."""
        self._promise(seen)
        self._bar.update(
            self._task,
            completed=seen,
            epoch=self._place(seen),
            pace=self._pace.at(seen),
            losses=f"Loss D: {losses['loss_D']:.4f}, Loss G: {losses['loss_G']:.4f}{self._judged}",
            refresh=True,
        )

    def tick(self, record: Mapping[str, Any]) -> None:
        """Print the line of an epoch, or of a part of one."""
        self.console.print(
            f"Epoch [{record['epoch']}/{self._epochs}] "
            f"Loss D: {record['loss_D']:.4f}, Loss G: {record['loss_G']:.4f}",
            markup=False,
        )
        if "metrics" in record:
            self._judge(record)
        self.update(seen=record["seen"], losses=record)

    def _judge(self, record: Mapping[str, Any]) -> None:
        """Show the metric and the verdict in the bar; print an alarm, and when it is over."""
        name, value = next(iter(record["metrics"].items()))
        self._judged = f" · {name} {value:.4g}"
        if "health" not in record:
            return
        verdict = record["health"]["verdict"]
        self._judged += f" · {verdict}"
        alarm = verdict if record["health"]["alarm"] else None
        if alarm != self._alarm:
            self._alarm = alarm
            self.notice(f"Health: {in_words(record['health'])}")

    def notice(self, text: str) -> None:
        """Print what the person should know."""
        self.console.print(text, markup=False)

    def lost_output(self) -> OSError | None:
        """Why nobody gets these lines; but a training goes on without a terminal that was closed.

        Whoever closes a terminal sends SIGHUP; a process that ignores it was told to stay.
        """
        failure = self._output.failure if self._output else None
        return failure if failure and failure.errno not in TERMINAL_GONE else None

    def end(self) -> None:
        """Take the bar away."""
        self._bar.stop()

    def _promise(self, seen: int) -> None:
        seconds, images = time.monotonic() - self._began, seen - self._began_at
        if self._promised or seconds < PROMISE_SECONDS or not images:
            return
        self._promised = True
        rest = seconds / images * (self._budget - seen)
        self.notice(f"{images / seconds:,.0f} images/s: about {in_time(rest)} to go.")

    def _place(self, seen: int) -> str:
        return f"{min(seen // self._images_per_epoch + 1, self._epochs)}/{self._epochs}"


def in_time(seconds: float) -> str:
    """A stretch of time in the unit that suits it: 40 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def in_words(health: Mapping[str, Any]) -> str:
    """A verdict, and why."""
    return f"{health['verdict']}: {health['why']}" if health["why"] else str(health["verdict"])


class Pace:
    """Images a second over the last few looks."""

    def __init__(self, seen: int) -> None:
        self._marks = [(time.monotonic(), seen)]

    def at(self, seen: int) -> float:
        """Take another look."""
        self._marks = [*self._marks[-9:], (time.monotonic(), seen)]
        (since, before), (now, after) = self._marks[0], self._marks[-1]
        return (after - before) / max(now - since, 1e-9)
