"""A run's log, `log.jsonl`: one JSON object a line. This is the one place where it is read.

A line that somebody has damaged is counted and left out. What stands behind the last line break is
being written, or was cut short by a kill and is written again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from zerosum.reading import parse_json, read_bytes

Point = tuple[float, float]
"""An epoch, counted from 1 and whole but for ticks inside of one, and a value there."""


@dataclass(frozen=True)
class History:
    """The records of a log, one a tick, in the order of the images seen.

    Attributes:
        records: as the training wrote them, in the names of today.
        damaged: how many lines are not such records.
    """

    records: tuple[dict[str, Any], ...] = ()
    damaged: int = 0

    def followed_by(self, record: Mapping[str, Any]) -> History:
        """The same with one more record, which the training has just written."""
        return History((*self.records, dict(record)), self.damaged)

    @property
    def seen(self) -> int:
        """Real images seen by the last record."""
        return int(self.records[-1]["seen"]) if self.records else 0

    @property
    def epochs(self) -> float:
        """The epoch of the last record."""
        epoch: float = self.records[-1]["epoch"] if self.records else 0
        return epoch

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

    def best(self, name: str, *, better: str = "lower") -> Point:
        """The best of a logged metric, the earliest of equal ones."""
        sign = -1 if better == "higher" else 1
        return min(self.metrics[name], key=lambda point: sign * point[1])

    def final(self, name: str) -> Point:
        """The last of a logged metric."""
        return self.metrics[name][-1]

    @cached_property
    def judged(self) -> list[tuple[float, str, bool]]:
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
    def alarms(self) -> list[tuple[str, float, float]]:
        """Every alarm, with the first and the last of the successive verdicts that were this."""
        found: list[tuple[str, float, float]] = []
        for (verdict, alarm), same in groupby(self.judged, key=lambda each: each[1:]):
            epochs = [epoch for epoch, _, _ in same]
            if alarm:
                found.append((verdict, epochs[0], epochs[-1]))
        return found


def read_log(path: Path) -> History:
    """Read a log; without one, there are no records.

    Of records of the same images seen the last one counts.

    Raises:
        OSError: the log is there and cannot be read.
    """
    if not path.exists():
        return History()
    by_seen: dict[int, dict[str, Any]] = {}
    damaged = 0
    for line in read_bytes(path).split(b"\n")[:-1]:
        try:
            record = parse_json(line)
            seen = whole(record["seen"])
            if not is_number(record["epoch"]):
                raise ValueError("no epoch")
            by_seen[seen] = require_form(modern(record))
        except (ValueError, KeyError, TypeError):
            damaged += 1
    return History(tuple(by_seen[seen] for seen in sorted(by_seen)), damaged)


def modern(record: dict[str, Any]) -> dict[str, Any]:
    """Give a record of 0.1 the names of today; one of today is itself."""
    if "figures" in record:
        record["metrics"] = record.pop("figures")
    health = record.get("health")
    if isinstance(health, dict) and isinstance(health.get("signs"), dict):
        signals = health.pop("signs")
        if "figure" in signals:
            signals["metric"] = signals.pop("figure")
        health["signals"] = signals
    return record


def require_form(record: dict[str, Any]) -> dict[str, Any]:
    """Insist on what early stopping, the best checkpoint and `compare` read of a record.

    Raises:
        ValueError: it is of another form.
    """
    metrics, health = record.get("metrics", {}), record.get("health", {"verdict": ""})
    if not isinstance(metrics, dict) or not all(map(is_number, metrics.values())):
        raise ValueError("its metrics are no numbers by name")
    if not isinstance(health, dict) or not isinstance(health.get("verdict"), str):
        raise ValueError("its health has no verdict")
    if not isinstance(health.get("why", ""), str) or not isinstance(
        health.get("signals", {}), dict
    ):
        raise ValueError("its health is of another form")
    whole(record.get("restarts", 0))
    return record


def numbers_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a record by name: metrics as metrics/NAME, signals of health as health/NAME.

    What is no number, such as a verdict, is left out.
    """
    health = record.get("health")
    groups = {
        "metrics": record.get("metrics"),
        "health": health.get("signals") if isinstance(health, dict) else None,
    }
    found = {
        name: float(value)
        for name, value in record.items()
        if name not in groups and is_number(value)
    }
    for group, values in groups.items():
        if isinstance(values, dict):
            found |= {f"{group}/{n}": float(v) for n, v in values.items() if is_number(v)}
    return found


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
