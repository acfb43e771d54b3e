"""Whether a run still gets better, by its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Log = Sequence[Mapping[str, Any]]


def score_of(record: Mapping[str, Any]) -> float | None:
    """The metric by which the best checkpoint is chosen, lower is better: the record's first.

    None where an epoch was not evaluated.
    """
    return next(iter(record.get("metrics", {}).values()), None)


def best_record(log: Log) -> Mapping[str, Any] | None:
    """The record with the lowest score, the earliest of equals; None where none has a score."""
    scored = [record for record in log if score_of(record) is not None]
    return min(scored, key=lambda record: score_of(record) or 0.0, default=None)


def stalled(log: Log, patience: float | None) -> bool:
    """Whether the last `patience` epochs, or more, brought no better score; never if it is None."""
    best = best_record(log)
    if patience is None or best is None:
        return False
    newest = max(record["epoch"] for record in log if score_of(record) is not None)
    return bool(newest - best["epoch"] >= patience)
