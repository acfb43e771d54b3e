"""What a run's log tells: its metrics and losses over the epochs.

Unlike the training, which must know where its log ends, this reads what can be read: a line that
somebody has damaged is counted and left out.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from zerosum.metrics.registry import better
from zerosum.training.run_directory import RunDirectory, modern

Point = tuple[int, float]
"""An epoch, counted from 1, and a metric of it."""


@dataclass(frozen=True)
class History:
    """The records of a log, one an epoch, in the order of the epochs.

    Attributes:
        records: as the training wrote them.
        damaged: how many lines are not such records.
    """

    records: tuple[dict[str, Any], ...]
    damaged: int = 0

    @property
    def seen(self) -> int:
        """Real images seen by the last epoch."""
        return int(self.records[-1]["seen"]) if self.records else 0

    @property
    def epochs(self) -> int:
        """The last epoch's number."""
        return int(self.records[-1]["epoch"]) if self.records else 0

    @cached_property
    def metrics(self) -> dict[str, list[Point]]:
        """Every logged metric of quality over the epochs that it was logged at."""
        found: dict[str, list[Point]] = {}
        for record in self.records:
            metrics = record.get("metrics")
            for name, value in metrics.items() if isinstance(metrics, dict) else ():
                if is_number(value):
                    found.setdefault(str(name), []).append((record["epoch"], float(value)))
        return found

    def series(self, name: str) -> list[Point]:
        """An entry of the records, such as `loss_D`, over the epochs that have it."""
        return [
            (record["epoch"], float(record[name]))
            for record in self.records
            if is_number(record.get(name))
        ]

    def best(self, name: str) -> Point:
        """The best of a logged metric, the earliest of equal ones."""
        sign = -1 if better(name) == "higher" else 1
        return min(self.metrics[name], key=lambda point: sign * point[1])

    def final(self, name: str) -> Point:
        """The last of a logged metric."""
        return self.metrics[name][-1]

    @cached_property
    def judged(self) -> list[tuple[int, str, bool]]:
        """Every verdict on the training's health: its epoch, its name, whether it is an alarm."""
        found = []
        for record in self.records:
            health = record.get("health")
            if isinstance(health, dict) and isinstance(health.get("verdict"), str):
                verdict = health["verdict"]
                # Logs of older versions do not say what is an alarm.
                alarm = bool(health.get("alarm", verdict != "healthy"))
                found.append((record["epoch"], verdict, alarm))
        return found

    @property
    def health(self) -> str | None:
        """The last verdict on the training's health, if there is any."""
        return self.judged[-1][1] if self.judged else None

    @property
    def alarm(self) -> str | None:
        """The last verdict, if it is an alarm."""
        return self.health if self.judged and self.judged[-1][2] else None

    @property
    def alarms(self) -> list[tuple[str, int, int]]:
        """Every alarm, with the first and the last of the successive verdicts that were this."""
        found: list[tuple[str, int, int]] = []
        for (verdict, alarm), same in groupby(self.judged, key=lambda each: each[1:]):
            epochs = [epoch for epoch, _, _ in same]
            if alarm:
                found.append((verdict, epochs[0], epochs[-1]))
        return found


def read_history(directory: RunDirectory) -> History:
    """Read a run's log. Of records of one epoch the last one counts; without a log, there are none.

    Raises:
        OSError: the log is there and cannot be read.
    """
    if not directory.log_path.exists():
        return History(())
    # What follows the last line break is being written, or was cut short and is written again.
    *lines, _ = directory.log_path.read_bytes().split(b"\n")
    by_epoch: dict[int, dict[str, Any]] = {}
    damaged = 0
    for line in lines:
        try:
            record = json.loads(line)
            seen, epoch = whole(record["seen"]), whole(record["epoch"])
            by_epoch[epoch] = {**modern(record), "seen": seen}
        except (ValueError, KeyError, TypeError):
            damaged += 1
    return History(tuple(by_epoch[epoch] for epoch in sorted(by_epoch)), damaged)


def whole(value: object) -> int:
    """Insist on a count.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a count, found {value!r}")
    return value


def is_number(value: object) -> bool:
    """Whether a value from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
