"""The progress of a training in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO, cast

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from zerosum.errors import visible
from zerosum.streams import TERMINAL_GONE, guarded
from zerosum.training.interfaces import Callback

PROMISE_SECONDS = 5
"""After which the pace is steady enough to say how long the training will take."""


class ConsoleCallback(Callback):
    """One line a tick; under them, in a terminal, a bar with the pace and the ETA, and the losses.

    The bar is redrawn only when the loop reports, about once a second: a thread that animates it
    would take a processor's time from the training.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._output = guarded(sys.stdout)
        self.console = console or Console(
            file=cast("TextIO | None", self._output), highlight=False, soft_wrap=True
        )
        self._alarm: str | None = None
        self._judged: list[str] = []
        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            # The one column that gives way in a narrow terminal.
            BarColumn(bar_width=None, table_column=Column(max_width=24)),
            TaskProgressColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[pace]}"),
            TextColumn("ETA {task.fields[eta]}"),
            console=self.console,
            auto_refresh=False,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Show an empty bar, or one as far along as the run that is resumed."""
        self._alarm, self._judged = None, []  # of a training before this one
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._images_per_epoch, self._budget = images_per_epoch, budget
        self._epochs = -(-budget // images_per_epoch)
        self._began, self._began_at, self._promised = time.monotonic(), seen, False
        self._task = self._bar.add_task(
            "", total=budget, completed=seen, epoch=self._place(seen), pace="-", eta="-"
        )
        self._pace = Pace(seen)
        self._bar.start()

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """Move the bar on; once, after some seconds, say how long the whole will take."""
        self._promise(seen)
        pace = self._pace.at(seen)
        self._bar.below = [
            f"Loss D: {losses['loss_D']:.4f}, Loss G: {losses['loss_G']:.4f}",
            *self._judged,
        ]
        self._bar.update(
            self._task,
            completed=seen,
            epoch=self._place(seen),
            pace=in_pace(pace),
            eta=in_clock((self._budget - seen) / pace) if pace else "-",
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
        self._judged = [f"{name} {value:.4g}"]
        if "health" not in record:
            return
        verdict = record["health"]["verdict"]
        self._judged.append(verdict)
        alarm = verdict if record["health"]["alarm"] else None
        if alarm != self._alarm:
            self._alarm = alarm
            self.notice(f"Health: {in_words(record['health'])}")

    def notice(self, text: str) -> None:
        """Print what the person should know; in a terminal wrapped at words, but for commands."""
        for line in visible(text).splitlines():
            is_command = line.startswith(("  try ", " " * 12))  # to be copied in one piece
            whole = is_command or not self.console.is_terminal
            self.console.print(line, markup=False, soft_wrap=whole)

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
        if self._promised or seconds < PROMISE_SECONDS or not images or seen >= self._budget:
            return
        self._promised = True
        rest = seconds / images * (self._budget - seen)
        self.notice(f"{in_pace(images / seconds)}: about {in_time(rest)} to go.")

    def _place(self, seen: int) -> str:
        return f"{min(seen // self._images_per_epoch + 1, self._epochs)}/{self._epochs}"


class WarningCallback(Callback):
    """Prints warnings on standard error, and nothing else."""

    def notice(self, text: str) -> None:
        """Print what begins with WARNING."""
        if text.startswith("WARNING"):
            print(visible(text), file=sys.stderr)


class Bar(Progress):
    """A bar, and what is told below it: in one line, or in as many as a narrow terminal needs."""

    below: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar's own line first."""
        yield from super().get_renderables()
        if self.below:  # or the console may not be there yet
            for line in packed(self.below, width=self.console.width):
                yield Text(line, no_wrap=True, overflow="ellipsis")


def packed(parts: Iterable[str], *, width: int) -> list[str]:
    """Lay short texts out in lines of at most so many columns, in their order, none of them cut."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def in_pace(pace: float) -> str:
    """Images a second; of less than ten, with the digits that tell."""
    return f"{pace:,.0f} images/s" if pace >= 10 else f"{pace:.2g} images/s"


def in_clock(seconds: float) -> str:
    """A stretch of time in hours, minutes and seconds, or in days where these are many: 1:02:03."""
    if seconds >= 48 * 3600:
        return f"{seconds / 24 / 3600:,.1f} days"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


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
    why = health.get("why")
    return f"{health['verdict']}: {why}" if why else str(health["verdict"])


class Pace:
    """Images a second over the last few looks."""

    def __init__(self, seen: int) -> None:
        self._marks = [(time.monotonic(), seen)]

    def at(self, seen: int) -> float:
        """Take another look."""
        self._marks = [*self._marks[-9:], (time.monotonic(), seen)]
        (since, before), (now, after) = self._marks[0], self._marks[-1]
        return (after - before) / max(now - since, 1e-9)
